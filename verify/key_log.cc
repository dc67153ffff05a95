#include "verify/key_log.h"

#include <algorithm>
#include <utility>

namespace moveout::verify {
namespace {

using base::ErrorKind;
using base::Result;

constexpr std::size_t kPayloadMax = 256 << 10;  // written at once
constexpr base::FrameKind kFrames{"MKF1", 0x6b657973, 1 << 20};

struct Op {
  char kind = 0;
  std::uint64_t number = 0;
  std::string_view key;
};
bool take_op(std::string_view* payload, Op* op) {
  if (!base::get(payload, &op->kind)) return false;
  std::uint16_t length = 0;
  switch (op->kind) {
    case 'G':
    case 'D':
      return base::get(payload, &op->number);
    case 'C':
      return true;
    case 'A':
      if (!base::get(payload, &length) || payload->size() < length) return false;
      op->key = payload->substr(0, length);
      payload->remove_prefix(length);
      return true;
    default:
      return false;
  }
}

void put_key(std::string& payload, const item::Key& key) {
  payload += 'A';
  base::put(payload, static_cast<std::uint16_t>(key.encoded().size()));
  payload += key.encoded();
}
void put_number(std::string& payload, char kind, std::uint64_t number) {
  payload += kind;
  base::put(payload, number);
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

KeyLog::KeyLog(base::Disk& disk, std::string name) : disk_(disk), frames_(disk, kFrames), name_(std::move(name)) {}

struct KeyLog::Found {
  std::uint64_t generation = 0;
  bool complete = false;
  std::uint64_t keys = 0;
  std::uint64_t dropped = 0;
  std::uint64_t size = 0;  // of whole frames
};

Result<KeyLog::Found> KeyLog::look(const std::string& file) {
  Found found;
  const Result<std::uint64_t> size = disk_.size(file);
  if (!size) return base::fail(size.error());
  if (*size == 0) return found;
  const Result<std::uint64_t> whole =
      frames_.walk(file, 0, *size, [&](std::string_view payload, std::uint64_t) -> Result<bool> {
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
  const Result<bool> more = frames_.whole_frame_in(file, *whole, *size);
  if (!more) return base::fail(more.error());
  if (*more) return base::fail(damaged(file));
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
  const Result<std::uint64_t> read =
      frames_.walk(file(generation_), 0, size_, [&](std::string_view payload, std::uint64_t) -> Result<bool> {
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
    if (const Result<> written = frames_.append(file, payload); !written) return written;
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
      frames_.walk(file(generation_), read_to_, size_, [&](std::string_view payload, std::uint64_t) -> Result<bool> {
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
  const Result<std::uint64_t> copied =
      frames_.walk(from, read_to_, size_, [&](std::string_view payload, std::uint64_t) -> Result<bool> {
        std::string keys;
        Op op;
        while (take_op(&payload, &op)) {
          if (op.kind != 'A') continue;
          keys += 'A';
          base::put(keys, static_cast<std::uint16_t>(op.key.size()));
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
