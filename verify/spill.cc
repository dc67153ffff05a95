#include "verify/spill.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/mutant.h"

namespace moveout::verify {
namespace {

using base::ErrorKind;
using base::Result;
using base::Task;

constexpr std::size_t kHead = 2 + 16;
constexpr std::size_t kPiece = 1 << 20;

void append_length(std::string& out, std::size_t length) {
  MOVEOUT_ASSERT(length < 65536);
  out += static_cast<char>(length & 0xFF);
  out += static_cast<char>(length >> 8);
}

std::size_t length_at(std::string_view bytes) {
  return static_cast<unsigned char>(bytes[0]) | static_cast<std::size_t>(static_cast<unsigned char>(bytes[1])) << 8;
}

void append_u64(std::string& out, std::uint64_t value) {
  char bytes[8];
  std::memcpy(bytes, &value, 8);
  out.append(bytes, 8);
}

// Takes one record off the front; false when it is not whole.
bool take_record(std::string_view* bytes, Record* record) {
  if (bytes->size() < kHead) return false;
  const std::size_t length = length_at(*bytes);
  if (bytes->size() < kHead + length) return false;
  std::memcpy(&record->hash.high, bytes->data() + 2, 8);
  std::memcpy(&record->hash.low, bytes->data() + 10, 8);
  record->key = bytes->substr(kHead, length);
  bytes->remove_prefix(kHead + length);
  return true;
}

// Reads the next piece behind what is left of the last one, and visits what is whole.
Result<> visit_piece(base::Disk& disk, const std::string& name, std::uint64_t size, std::uint64_t* at,
                     std::string* rest, const Visit& visit) {
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, size - *at));
  Result<std::string> bytes = disk.read(name, *at, wanted);
  if (!bytes) return base::fail(bytes.error());
  if (bytes->size() != wanted) {
    return base::fail(ErrorKind::Corrupt, fmt::format("{} ends at byte {} of {}", name, *at + bytes->size(), size));
  }
  *at += wanted;
  rest->append(*bytes);
  std::string_view left = *rest;
  Record record;
  while (take_record(&left, &record)) {
    const Result<> visited = visit(record);
    if (!visited) return visited;
  }
  rest->erase(0, rest->size() - left.size());
  if (*at == size && !rest->empty()) return base::fail(ErrorKind::Corrupt, name + " ends within a record");
  return {};
}

}  // namespace

void append_record(std::string& out, const Record& record) {
  append_length(out, record.key.size());
  append_u64(out, record.hash.high);
  append_u64(out, record.hash.low);
  out.append(record.key);
}

Place::Place(std::string_view key, std::uint64_t seed, std::size_t buckets) {
  const item::Hash128 hash = item::hash_of(key, seed);
  bucket = hash.low % buckets;
  high = hash.high;
}

void BucketSum::add(const Record& record, std::uint64_t seed) {
  std::string bytes;
  append_record(bytes, record);
  add(std::string_view(bytes), seed);
}

void BucketSum::add(std::string_view record, std::uint64_t seed) {
  const item::Hash128 term = item::hash_of(record, seed);
  ++count;
  if (base::mutant("hash_xor")) {
    sum.high ^= term.high;
    sum.low ^= term.low;
    return;
  }
  sum += term;
}

std::string_view Spill::add(std::size_t file, const Record& record) {
  std::string& buffer = buffers_[file];
  const std::size_t before = buffer.size();
  append_record(buffer, record);
  sizes_[file] += buffer.size() - before;
  buffered_ += buffer.size() - before;
  return std::string_view(buffer).substr(before);
}

void Spill::resume(const std::vector<std::uint64_t>& sizes) {
  MOVEOUT_ASSERT(sizes.size() == kFiles);
  for (std::string& buffer : buffers_) buffer.clear();
  buffered_ = 0;
  std::copy(sizes.begin(), sizes.end(), sizes_.begin());
}

std::vector<Spill::Piece> Spill::take() {
  std::vector<Piece> pieces;
  for (std::size_t file = 0; file < kFiles; ++file) {
    if (buffers_[file].empty()) continue;
    pieces.push_back({name(file), sizes_[file] - buffers_[file].size(), std::move(buffers_[file])});
    buffers_[file] = {};
  }
  buffered_ = 0;
  return pieces;
}

Result<> write_pieces(base::Disk& disk, const std::vector<Spill::Piece>& pieces) {
  for (const Spill::Piece& piece : pieces) {
    const Result<> written = disk.append(piece.name, piece.bytes);
    if (!written) return written;
  }
  return {};
}

Result<> write_pieces_again(base::Disk& disk, const std::vector<Spill::Piece>& pieces) {
  for (const Spill::Piece& piece : pieces) {
    const Result<std::uint64_t> size = disk.size(piece.name);
    if (!size) return base::fail(size.error());
    if (*size < piece.at) return base::fail(ErrorKind::Corrupt, piece.name + " is shorter than it was");
    if (*size > piece.at) {
      if (const Result<> cut = disk.truncate(piece.name, piece.at); !cut) return cut;
    }
    if (const Result<> written = disk.append(piece.name, piece.bytes); !written) return written;
  }
  return {};
}

Task<Result<>> for_each_record(base::Disk& disk, base::Worker& worker, std::string name, std::uint64_t size,
                               Visit visit) {
  std::uint64_t at = 0;
  std::string rest;
  while (at < size) {
    const Result<> visited = co_await worker.call([&] { return visit_piece(disk, name, size, &at, &rest, visit); });
    if (!visited) co_return visited;
  }
  co_return Result<>();
}

void append_key(std::string& out, std::string_view key) {
  append_length(out, key.size());
  out.append(key);
}

bool take_key(std::string_view* bytes, std::string_view* key) {
  if (bytes->size() < 2) return false;
  const std::size_t length = length_at(*bytes);
  if (bytes->size() < 2 + length) return false;
  *key = bytes->substr(2, length);
  bytes->remove_prefix(2 + length);
  return true;
}

}  // namespace moveout::verify
