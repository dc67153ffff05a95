#include "verify/key_log.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "item/hash.h"

namespace moveout::verify {
namespace {

using base::ErrorKind;
using base::Result;

constexpr std::string_view kMagic = "MKF1";
constexpr std::size_t kHead = 4 + 4 + 8;
constexpr std::uint64_t kSeed = 0x6b657973;
constexpr std::size_t kPayloadMax = 256 << 10;  // written at once
constexpr std::size_t kPayloadSane = 1 << 20;   // more was never written
constexpr std::size_t kPiece = 1 << 20;

template <class T>
void put(std::string& out, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  out.append(raw, sizeof(T));
}
template <class T>
bool get(std::string_view* bytes, T* value) {
  if (bytes->size() < sizeof(T)) return false;
  std::memcpy(value, bytes->data(), sizeof(T));
  bytes->remove_prefix(sizeof(T));
  return true;
}

std::string frame(std::string_view payload) {
  std::string out(kMagic);
  put(out, static_cast<std::uint32_t>(payload.size()));
  put(out, item::hash_of(payload, kSeed).low);
  out.append(payload);
  return out;
}

// One whole frame at the front of `bytes`: its payload.
std::optional<std::string_view> take_frame(std::string_view* bytes) {
  std::string_view rest = *bytes;
  std::uint32_t size = 0;
  std::uint64_t checksum = 0;
  if (!rest.starts_with(kMagic)) return std::nullopt;
  rest.remove_prefix(kMagic.size());
  if (!get(&rest, &size) || !get(&rest, &checksum) || size > kPayloadSane || rest.size() < size) return std::nullopt;
  const std::string_view payload = rest.substr(0, size);
  if (item::hash_of(payload, kSeed).low != checksum) return std::nullopt;
  *bytes = rest.substr(size);
  return payload;
}

struct Op {
  char kind = 0;
  std::uint64_t number = 0;
  std::string_view key;
};
bool take_op(std::string_view* payload, Op* op) {
  if (!get(payload, &op->kind)) return false;
  std::uint16_t length = 0;
  switch (op->kind) {
    case 'G':
    case 'D':
      return get(payload, &op->number);
    case 'C':
      return true;
    case 'A':
      if (!get(payload, &length) || payload->size() < length) return false;
      op->key = payload->substr(0, length);
      payload->remove_prefix(length);
      return true;
    default:
      return false;
  }
}

void put_key(std::string& payload, const item::Key& key) {
  payload += 'A';
  put(payload, static_cast<std::uint16_t>(key.encoded().size()));
  payload += key.encoded();
}
void put_number(std::string& payload, char kind, std::uint64_t number) {
  payload += kind;
  put(payload, number);
}

std::vector<std::string> payloads_of(const std::vector<item::Key>& keys) {
  std::vector<std::string> payloads(1);
  for (const item::Key& key : keys) {
    if (payloads.back().size() >= kPayloadMax) payloads.emplace_back();
    put_key(payloads.back(), key);
  }
  return payloads;
}

base::Error damaged(const std::string& file) {
  return {ErrorKind::Corrupt,
          file + ": the list of changed keys is damaged in its middle; every key has to be compared again"};
}

}  // namespace

struct KeyLog::Found {
  std::uint64_t generation = 0;
  bool complete = false;
  std::uint64_t keys = 0;
  std::uint64_t dropped = 0;
  std::uint64_t size = 0;  // of whole frames
};

// Visits payloads until one says enough (false); answers the offset behind the last one visited.
Result<std::uint64_t> KeyLog::walk(const std::string& file, std::uint64_t from, std::uint64_t to, const Visit& visit) {
  std::string held;
  std::uint64_t read_to = from, at = from;
  for (;;) {
    std::string_view rest = held;
    while (const std::optional<std::string_view> payload = take_frame(&rest)) {
      const Result<bool> more = visit(*payload);
      if (!more) return base::fail(more.error());
      const std::uint64_t behind = read_to - rest.size();
      at = behind;
      if (!*more) return at;
    }
    held.erase(0, held.size() - rest.size());
    // A frame that is all here and still not whole ends the walk.
    if (read_to == to || held.size() > kHead + kPayloadSane) return at;
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, to - read_to));
    const Result<std::string> bytes = disk_.read(file, read_to, wanted);
    if (!bytes) return base::fail(bytes.error());
    if (bytes->empty()) return at;
    held += *bytes;
    read_to += bytes->size();
  }
}

// Behind the first frame that is not whole there may be the rest of a torn write, never a whole frame: that would be
// damage in the middle, and keys lost.
Result<> KeyLog::look_for_frames(const std::string& file, std::uint64_t from, std::uint64_t to) {
  std::string held;
  for (std::uint64_t at = from; at < to;) {
    const Result<std::string> bytes =
        disk_.read(file, at, static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, to - at)));
    if (!bytes) return base::fail(bytes.error());
    if (bytes->empty()) break;
    held += *bytes;
    at += bytes->size();
    std::size_t found = held.find(kMagic);
    for (; found != std::string::npos; found = held.find(kMagic, found + 1)) {
      std::string_view rest = std::string_view(held).substr(found);
      if (take_frame(&rest)) return base::fail(damaged(file));
      // It may go on in the next piece.
      if (at < to && rest.size() < kHead + kPayloadSane) break;
    }
    held.erase(0, found != std::string::npos ? found : held.size() - std::min(held.size(), kMagic.size() - 1));
  }
  return {};
}

Result<KeyLog::Found> KeyLog::look(const std::string& file) {
  Found found;
  const Result<std::uint64_t> size = disk_.size(file);
  if (!size) return base::fail(size.error());
  if (*size == 0) return found;
  const Result<std::uint64_t> whole = walk(file, 0, *size, [&](std::string_view payload) -> Result<bool> {
    Op op;
    while (!payload.empty()) {
      if (!take_op(&payload, &op)) return base::fail(damaged(file));
      if (op.kind == 'G') found.generation = op.number;
      if (op.kind == 'C') found.complete = true;
      if (op.kind == 'A') ++found.keys;
      if (op.kind == 'D') found.dropped += op.number;
    }
    return true;
  });
  if (!whole) return base::fail(whole.error());
  found.size = *whole;
  if (const Result<> torn = look_for_frames(file, *whole, *size); !torn) return base::fail(torn.error());
  return found;
}

Result<std::uint64_t> KeyLog::load(std::size_t limit, std::vector<item::Key>* front) {
  front->clear();
  if (failed_) {
    // Of a write that failed nobody knows what is durable: away with it, so that nothing is written behind a hole.
    const Result<std::uint64_t> size = disk_.size(file(generation_));
    if (!size) return base::fail(size.error());
    if (*size > size_) {
      if (const Result<> cut = disk_.truncate(file(generation_), size_); !cut) return base::fail(cut.error());
      if (const Result<> synced = disk_.sync(file(generation_)); !synced) return base::fail(synced.error());
    }
    failed_ = false;
  }
  Found best;
  for (std::uint64_t i = 0; i < 2; ++i) {
    const Result<Found> found = look(file(i));
    if (!found) return base::fail(found.error());
    if (found->complete && found->generation % 2 == i && found->generation > best.generation) best = *found;
  }
  for (std::uint64_t i = 0; i < 2; ++i) {
    if (best.generation != 0 && best.generation % 2 == i) continue;
    if (const Result<> removed = disk_.remove(file(i)); !removed) return base::fail(removed.error());
  }
  generation_ = best.generation;
  size_ = read_to_ = best.size;
  if (generation_ == 0) return 0;
  const Result<std::uint64_t> size = disk_.size(file(generation_));
  if (!size) return base::fail(size.error());
  if (*size > size_) {
    if (const Result<> cut = disk_.truncate(file(generation_), size_); !cut) return base::fail(cut.error());
  }
  std::uint64_t seen = 0;
  read_to_ = 0;
  const Result<std::uint64_t> read = walk(file(generation_), 0, size_, [&](std::string_view payload) -> Result<bool> {
    Op op;
    while (take_op(&payload, &op)) {
      if (op.kind != 'A' || seen++ < best.dropped) continue;
      Result<item::Key> key = item::Key::from_encoded(std::string(op.key));
      if (!key) return base::fail(key.error());
      front->push_back(std::move(*key));
    }
    return front->size() < limit;
  });
  if (!read) return base::fail(read.error());
  read_to_ = *read;
  return best.keys - std::min(best.keys, std::max(seen, best.dropped));
}

Result<> KeyLog::append(const std::string& file, const std::vector<std::string>& payloads) {
  for (const std::string& payload : payloads) {
    const std::string bytes = frame(payload);
    if (const Result<> written = disk_.append(file, bytes); !written) return written;
  }
  return {};
}

Result<> KeyLog::write(const std::vector<item::Key>& keys, std::uint64_t dropped) {
  std::vector<std::string> payloads = payloads_of(keys);
  if (generation_ == 0) {
    generation_ = 1;
    size_ = read_to_ = 0;
    std::string head;
    put_number(head, 'G', generation_);
    head += 'C';
    payloads.insert(payloads.begin(), head);
  }
  // Behind the keys that go back to the end: torn between, they are there twice and not lost.
  if (dropped > 0) put_number(payloads.back(), 'D', dropped);
  failed_ = true;
  const std::string name = file(generation_);
  if (const Result<> written = append(name, payloads); !written) return written;
  if (const Result<> synced = disk_.sync(name); !synced) return synced;
  const Result<std::uint64_t> size = disk_.size(name);
  if (!size) return base::fail(size.error());
  size_ = *size;
  failed_ = false;
  return {};
}

Result<std::vector<item::Key>> KeyLog::read_on(std::size_t limit) {
  std::vector<item::Key> keys;
  if (generation_ == 0) return keys;
  const Result<std::uint64_t> read =
      walk(file(generation_), read_to_, size_, [&](std::string_view payload) -> Result<bool> {
        Op op;
        while (take_op(&payload, &op)) {
          if (op.kind != 'A') continue;
          Result<item::Key> key = item::Key::from_encoded(std::string(op.key));
          if (!key) return base::fail(key.error());
          keys.push_back(std::move(*key));
        }
        return keys.size() < limit;
      });
  if (!read) return base::fail(read.error());
  read_to_ = *read;
  return keys;
}

Result<> KeyLog::compact(const std::vector<item::Key>& front) {
  const std::string from = file(generation_), to = file(generation_ + 1);
  if (const Result<> removed = disk_.remove(to); !removed) return removed;
  std::string head;
  put_number(head, 'G', generation_ + 1);
  std::vector<std::string> payloads = payloads_of(front);
  payloads.insert(payloads.begin(), head);
  if (const Result<> written = append(to, payloads); !written) return written;
  const Result<std::uint64_t> front_end = disk_.size(to);
  if (!front_end) return base::fail(front_end.error());
  // Frames behind the front hold no drop that counts: all were counted when the front was made.
  const Result<std::uint64_t> copied = walk(from, read_to_, size_, [&](std::string_view payload) -> Result<bool> {
    std::string keys;
    Op op;
    while (take_op(&payload, &op)) {
      if (op.kind != 'A') continue;
      keys += 'A';
      put(keys, static_cast<std::uint16_t>(op.key.size()));
      keys += op.key;
    }
    if (const Result<> written = append(to, {keys}); !written) return base::fail(written.error());
    return true;
  });
  if (!copied) return base::fail(copied.error());
  if (const Result<> written = append(to, {"C"}); !written) return written;
  if (const Result<> synced = disk_.sync(to); !synced) return synced;
  const Result<std::uint64_t> size = disk_.size(to);
  if (!size) return base::fail(size.error());
  ++generation_;
  size_ = *size;
  read_to_ = *front_end;
  return disk_.remove(from);
}

Result<> KeyLog::clear() {
  for (std::uint64_t i = 0; i < 2; ++i) {
    const Result<std::uint64_t> size = disk_.size(file(i));
    if (!size) return base::fail(size.error());
    if (*size > 0) {
      // A removal that is not durable brings back an empty file.
      if (const Result<> cut = disk_.truncate(file(i), 0); !cut) return cut;
      if (const Result<> synced = disk_.sync(file(i)); !synced) return synced;
    }
    if (const Result<> removed = disk_.remove(file(i)); !removed) return removed;
  }
  generation_ = size_ = read_to_ = 0;
  failed_ = false;
  return {};
}

}  // namespace moveout::verify
