// Spill: keys and hashes of both sides, in files by hash of the key, so that memory does not grow with the table.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/task.h"
#include "base/worker.h"
#include "item/hash.h"

namespace moveout::verify {

inline constexpr std::size_t kFiles = 64;  // a side; buckets are dealt out to them by number
enum Side : std::size_t { kSource = 0, kTarget = 1 };

// On the disk: key length (2 bytes, little endian), hash (16), key.
struct Record {
  std::string_view key;  // Key::encoded()
  item::Hash128 hash;    // of the canonical item
};
void append_record(std::string& out, const Record& record);

// Where a key lies. One bucket lies in one file.
struct Place {
  Place(std::string_view key, std::uint64_t seed, std::size_t buckets);
  std::size_t file() const { return bucket % kFiles; }
  // Of a file cut into kFiles parts, and those again: bits that the bucket does not depend on.
  std::size_t part(int level) const { return (high >> (6 * level)) % kFiles; }
  std::size_t bucket;
  std::uint64_t high;
};

struct BucketSum {
  std::uint64_t count = 0;
  item::Hash128 sum;
  void add(const Record& record, std::uint64_t seed);
  void add(std::string_view record, std::uint64_t seed);  // as it is on the disk
  friend bool operator==(const BucketSum&, const BucketSum&) = default;
};

// One set of files being written. Buffers are the caller's to bound: buffered() and take().
class Spill {
 public:
  explicit Spill(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string name(std::size_t file) const { return prefix_ + "." + std::to_string(file); }
  // Answers the record as it will be on the disk; valid until the next call.
  std::string_view add(std::size_t file, const Record& record);
  std::size_t buffered() const { return buffered_; }
  // Bytes of each file, buffered ones included.
  const std::array<std::uint64_t, kFiles>& sizes() const { return sizes_; }
  // What an earlier process wrote; nothing is buffered.
  void resume(const std::vector<std::uint64_t>& sizes);

  struct Piece {
    std::string name;
    std::uint64_t at;  // the file's size before it
    std::string bytes;
  };
  // The buffered bytes, to be appended in this order.
  std::vector<Piece> take();

 private:
  std::string prefix_;
  std::array<std::string, kFiles> buffers_;
  std::array<std::uint64_t, kFiles> sizes_{};
  std::size_t buffered_ = 0;
};

// Appends the pieces; blocking.
base::Result<> write_pieces(base::Disk& disk, const std::vector<Spill::Piece>& pieces);
// The same for pieces of which nobody knows how far they were written: what is there of them is written anew.
base::Result<> write_pieces_again(base::Disk& disk, const std::vector<Spill::Piece>& pieces);

// Calls visit (on the worker) for each record in the first `size` bytes of a file, a bounded piece a turn, so that
// others get the worker in between. Corrupt when the bytes are not records; an error of visit ends it.
using Visit = std::function<base::Result<>(const Record& record)>;
base::Task<base::Result<>> for_each_record(base::Disk& disk, base::Worker& worker, std::string name, std::uint64_t size,
                                           Visit visit);

// Key lists: length (2 bytes, little endian), key.
void append_key(std::string& out, std::string_view key);
// Takes one key off the front of `bytes`; nothing when it is not whole.
bool take_key(std::string_view* bytes, std::string_view* key);

}  // namespace moveout::verify
