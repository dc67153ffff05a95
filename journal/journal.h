// Journal: changes that were captured and wait to be replayed, in the order of their arrival. One implementation per
// folder beside this file.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "item/change.h"

namespace moveout::journal {

// A page's place: pages are numbered from 1, in the order of arrival, without gaps.
struct Position {
  std::uint64_t number = 1;
  Position next() const { return {number + 1}; }
  friend auto operator<=>(const Position&, const Position&) = default;
};

// What capture delivers at once. The checkpoint says where capture goes on behind it (name, value; an empty value
// forgets the name): both are kept together, so that a page that is read again was not kept before.
struct Page {
  std::vector<item::Change> changes;
  std::pair<std::string, std::string> checkpoint;
};

struct Entry {
  Position position;
  Page page;
};

struct Opened {
  Position first;                                  // the oldest page that is kept, or `end`
  Position end;                                    // where the next page will stand
  std::map<std::string, std::string> checkpoints;  // of the pages that are kept, the newest of each name
};

// Single executor; calls may overlap. Errors: DiskFull, Corrupt, RunLocked.
class Journal {
 public:
  virtual ~Journal() = default;

  // contract: takes the journal for `owner`. What an earlier owner appended with success is there; what it appends from
  // now on fails with RunLocked and is never read. `replayed`: pages before it are known to have been kept and
  // replayed; they may be gone. Its number is 0 before the first open() is known to have succeeded. A torn end is left
  // out: its append never returned. Corrupt: pages are damaged or absent otherwise, nothing is guessed.
  virtual base::Task<base::Result<Opened>> open(std::int64_t owner, Position replayed) = 0;
  // contract: durable when it returns success, all of it. DiskFull: nothing of it is kept, and the same call may be
  // made again. RunLocked: a later owner has opened the journal. After another error: open() again.
  virtual base::Task<base::Result<Position>> append(Page page) = 0;
  // contract: whole pages from `from` on, in order, until their changes come to about `bytes`; one at least where there
  // is one. Nothing: `from` is the end. Asserts that `from` was not trimmed.
  virtual base::Task<base::Result<std::vector<Entry>>> read(Position from, std::size_t bytes) = 0;
  // contract: pages before `until` are no longer needed; their space is given back some time. Idempotent.
  virtual base::Task<base::Result<>> trim(Position until) = 0;
  // contract: where the next page will stand. After open().
  virtual Position end() const = 0;
};

}  // namespace moveout::journal
