// FileSource: where a back-fill's items come from when not from the table itself: a scan's file, an export's files.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/task.h"
#include "item/batch.h"
#include "item/key.h"
#include "item/version.h"
#include "schema/columns.h"

namespace moveout::backfill {

// What is read at once: about a megabyte of versioned writes, and where their part goes on behind them.
struct FilePage {
  item::Batch writes;
  std::uint64_t items = 0;  // of the file
  std::uint64_t bytes = 0;  // of their DynamoDB JSON
  std::string at;           // for FileSource::open: behind this page. Opaque to all others; stands in a checkpoint
  bool last = false;        // the part is complete with this page
};

// One part, from its start or from where a checkpoint says.
class PartReader {
 public:
  virtual ~PartReader() = default;
  // contract: the next page, in the part's order; called by one coroutine, one call at a time, and no more after `last`
  // or an error. What blocks or computes for long is done on a Worker. An error speaks for what comes behind the pages
  // returned before: they stand. Corrupt: names the file, the byte, the item's number and what was expected; never
  // item data.
  virtual base::Task<base::Result<FilePage>> next() = 0;
};

// What the files say of the table they hold, as far as they do.
struct FilesKnown {
  std::optional<item::KeySchema> key;
  std::string table;
  std::optional<std::int64_t> t_us;  // the version's t (docs/consistency.md §2); nothing: when the era was opened
  std::uint64_t items = 0;           // 0: unknown
  bool versioned = false;  // they hold versions of their own, several of a key, and deletes: a target must keep them
};

// Parts (files) that may be read side by side, each from any place that one of its pages gave. Single executor.
class FileSource {
 public:
  virtual ~FileSource() = default;
  // contract: looks at what is there; before every other call, once a process.
  virtual base::Task<base::Result<FilesKnown>> begin() = 0;
  // contract: what the items are read with; after begin(), before the calls below. `version` is that of every write,
  // unless the files hold versions of their own (incremental exports), which take its era.
  virtual void set(item::KeySchema key, item::Version version) = 0;
  // contract: the same parts in the same order in every process of a run; at least one.
  virtual std::size_t parts() const = 0;
  // contract: for messages.
  virtual std::string part_name(std::size_t part) const = 0;
  // contract: `at` is empty (from the start) or a page's. Of a last page: then next() answers a last page without
  // writes, or says how the part has changed.
  virtual std::unique_ptr<PartReader> open(std::size_t part, std::string at) = 0;
  // contract: shows some thousands of items, as many as memory allows. What is read afterwards lacks none of them,
  // although a pipe gives its bytes only once.
  virtual base::Task<base::Result<>> sample(schema::Sampler& sampler) = 0;
};

}  // namespace moveout::backfill
