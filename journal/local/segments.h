// Segments: a journal's files: who may append to them, what is whole in them, what of them is still needed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/frames.h"
#include "journal/journal.h"
#include "journal/local/pages.h"

namespace moveout::journal::local {

struct Options {
  std::uint64_t segment_bytes = 64 << 20;  // then another one begins
};

// Blocking, one call at a time. The format stands in docs/journal.md. An owner writes only into files that carry its
// epoch in their name, so that two of them never write into one; and it lists the files after each durable write:
//
//   earlier owner   write ─► sync ─► list: a later owner's file? then the append failed
//   later owner     make its file, durably ─► read what the earlier ones wrote
//
// Whichever way these two meet, an append that succeeded is read, and one that is not read does not succeed.
class Segments {
 public:
  Segments(base::Disk& disk, std::string name, std::uint32_t generation, Options options);

  base::Result<Opened> open(std::int64_t owner, Position replayed);
  // All of them or none.
  base::Result<> append(const std::vector<Page>& pages);
  base::Result<std::vector<Entry>> read(Position from, std::size_t bytes);
  base::Result<> trim(Position until);
  Position end() const { return end_; }

 private:
  struct Name {
    std::uint32_t generation = 0;
    std::uint64_t owner = 0;
    std::uint64_t number = 0;
    friend auto operator<=>(const Name&, const Name&) = default;
  };
  struct Tail;

  std::string file(const Kept& segment) const;
  std::string file(const Name& name) const;
  std::optional<Name> parse(const std::string& file) const;
  base::Result<std::vector<Name>> list();
  base::Result<> check_owner();
  base::Result<> claim(const std::vector<Name>& names);
  base::Result<std::optional<Tail>> find_tail(const std::vector<Name>& names);
  base::Result<std::optional<Tail>> look(const Name& name);
  base::Result<> check_kept(Position replayed, Opened& opened);
  base::Result<> read_checkpoints(const Kept& segment, Opened& opened);
  base::Result<> take_over(const Tail& tail, Kept& begun, Opened& opened);
  base::Result<Opened> go_on_in(const Name& name);
  base::Result<> remove_others(const std::vector<Name>& names);
  base::Result<> begin_segment(const Tail* tail, Opened& opened);
  base::Result<> next_segment();
  base::Error damaged(const std::string& file, const std::string& what) const;

  base::Disk& disk_;
  base::Frames frames_;
  std::string name_;
  std::uint32_t generation_;
  Options options_;
  std::uint64_t owner_ = 0;
  std::vector<Kept> kept_;  // before the current one, oldest first
  Kept current_;            // `bytes`: durable
  Position end_;
  bool over_ = false;  // nothing more goes into the current one: it is full, or a write into it failed
  struct Cursor {
    Position position{0};
    std::uint64_t number = 0, owner = 0;
    std::uint64_t offset = 0;
  } cursor_;
};

}  // namespace moveout::journal::local
