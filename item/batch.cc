#include "item/batch.h"

#include <algorithm>

#include "base/error.h"

namespace moveout::item {

void Batch::add(std::string_view key, Version version, std::string_view image, const Buffer& buffer) {
  if (buffers_.empty() || buffers_.back() != buffer) buffers_.push_back(buffer);
  entries_.push_back({static_cast<std::uint32_t>(keys_.size()), static_cast<std::uint32_t>(key.size()), image.data(),
                      static_cast<std::uint32_t>(image.size()), static_cast<std::uint32_t>(buffers_.size() - 1),
                      version});
  keys_.append(key);
  bytes_ += key.size() + image.size();
}

void Batch::reserve(std::size_t writes, std::size_t key_bytes) {
  // Page after page into one batch: grows by doubling all the same.
  if (const std::size_t wanted = entries_.size() + writes; wanted > entries_.capacity()) {
    entries_.reserve(std::max(wanted, 2 * entries_.capacity()));
  }
  if (const std::size_t wanted = keys_.size() + key_bytes; wanted > keys_.capacity()) {
    keys_.reserve(std::max(wanted, 2 * keys_.capacity()));
  }
}

void Batch::add_copy(std::string_view key, Version version, std::string_view image) {
  auto buffer = std::make_shared<const std::string>(image);
  add(key, version, *buffer, buffer);
}

void Batch::mark_unreadable(std::string reason) {
  MOVEOUT_ASSERT(!entries_.empty());
  unreadable_[entries_.size() - 1] = std::move(reason);
}

const std::string* Batch::unreadable(std::size_t index) const {
  const auto found = unreadable_.find(index);
  return found == unreadable_.end() ? nullptr : &found->second;
}

Batch Batch::only(const std::vector<std::size_t>& indexes) const {
  Batch part;
  for (std::size_t index : indexes) {
    const Write write = (*this)[index];
    part.add(write.key, write.version, write.image, buffers_[entries_[index].buffer]);
    if (const std::string* reason = unreadable(index)) part.mark_unreadable(*reason);
  }
  return part;
}

}  // namespace moveout::item
