// Batch: versioned writes on their way to a target. Owns the page buffers its items lie in; no allocation per item.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "item/key.h"
#include "item/version.h"

namespace moveout::item {

using Buffer = std::shared_ptr<const std::string>;

// One write as a target sees it; views into the batch.
struct Write {
  std::string_view key;    // Key::encoded()
  std::string_view image;  // DynamoDB JSON of the whole item; empty = delete (a tombstone)
  Version version;
  bool is_delete() const { return image.empty(); }
};

class Batch {
 public:
  // Keeps `buffer` alive; `image` must lie in it (or be empty for a delete).
  void add(std::string_view key, Version version, std::string_view image, const Buffer& buffer);
  // Room for so many more writes with so many bytes of keys.
  void reserve(std::size_t writes, std::size_t key_bytes);
  // Copies the image.
  void add_copy(std::string_view key, Version version, std::string_view image);
  // Of the write added last: its key is sound, its image cannot be understood. It goes to no target: whoever writes the
  // batch sets it aside with this reason.
  void mark_unreadable(std::string reason);
  // Nothing for a sound write.
  const std::string* unreadable(std::size_t index) const;
  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  Write operator[](std::size_t index) const {
    const Entry& entry = entries_[index];
    return Write{std::string_view(keys_).substr(entry.key_at, entry.key_size),
                 std::string_view(entry.image, entry.image_size), entry.version};
  }
  // Sum of the image and key bytes.
  std::size_t bytes() const { return bytes_; }
  // The writes at these indexes, sharing the buffers.
  Batch only(const std::vector<std::size_t>& indexes) const;

 private:
  struct Entry {
    std::uint32_t key_at, key_size;
    const char* image;
    std::uint32_t image_size;
    std::uint32_t buffer;
    Version version;
  };
  std::string keys_;
  std::vector<Buffer> buffers_;
  std::vector<Entry> entries_;
  std::map<std::size_t, std::string> unreadable_;
  std::size_t bytes_ = 0;
};

}  // namespace moveout::item
