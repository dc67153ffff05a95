// Slicing: a page's items as their raw text with only the keys decoded. One pass, no trees, no allocation an item.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "item/index.h"
#include "item/key.h"

namespace moveout::item {

// The keys of a page's items, each as Key::encoded(), one after the other.
class PageKeys {
 public:
  bool empty() const { return ends_.empty(); }
  std::size_t size() const { return ends_.size(); }
  std::size_t bytes() const { return bytes_.size(); }
  std::string_view operator[](std::size_t index) const {
    const std::uint32_t from = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(bytes_).substr(from, ends_[index] - from);
  }

 private:
  friend class Page;
  template <class Cursor>
  friend class PageSlicer;
  std::string bytes_;
  std::vector<std::uint32_t> ends_;
};

// What one Scan or Query answer holds; views into its body. Reuse one Page for many bodies: its memory, about that of
// the largest body, is kept.
class Page {
 public:
  struct Member {
    std::string_view name;  // as it stands in the body, escapes and all
    std::string_view text;
  };

  std::vector<std::string_view> items;  // each item's JSON text
  std::string_view last_evaluated_key;  // its JSON text; empty on the last page
  double consumed_capacity = 0;         // CapacityUnits; 0 when the answer does not say
  std::int64_t count = 0;               // as the answer says; equals items.size() where it does
  std::int64_t scanned_count = 0;
  std::vector<Member> others;  // every other top-level member

  // Key::encoded() of items[index]; only after slicing with a schema. Valid until the next slice or clear.
  std::string_view key(std::size_t index) const { return keys_[index]; }
  // Takes all of them out of the page; the next page has room for as many.
  PageKeys take_keys();
  void clear();

 private:
  template <class Cursor>
  friend class PageSlicer;
  Index index_;
  PageKeys keys_;
};

// The whole body of a Scan or Query answer. Corrupt, naming the byte, unless all of it is JSON in UTF-8 to its end,
// every item is an object of well-formed attribute values no deeper than 32 levels, holds the key of `schema` (one of
// the right type and length), Items is there and Count, if there, is their number. Inside the items numbers and base64
// other than the key's, and names that occur twice, are for parse_item to refuse. After an error the page is empty.
base::Result<> slice_page(std::string_view body, const KeySchema& schema, Page& page);
// The same without keys.
base::Result<> slice_page(std::string_view body, Page& page);
// The same for a JSON array of items alone (one table of a BatchGetItem answer).
base::Result<> slice_items(std::string_view array, const KeySchema& schema, Page& page);

// For a page that the above refuse: the same, but an item may be any JSON object, also with lone surrogates in its
// texts. Which of them cannot be understood, and why, append_key_of_json says. Still Corrupt for what is no answer of
// items.
base::Result<> slice_page_loosely(std::string_view body, Page& page);
base::Result<> slice_items_loosely(std::string_view array, Page& page);

// Whether the text is one JSON object, with lone surrogates or without. UTF-8 is not looked at.
bool is_object_loosely(std::string_view text);

// Appends Key::encoded() of one item's JSON text; `out` is as before on an error.
base::Result<> append_key_of_json(const KeySchema& schema, std::string_view item_json, std::string& out);
// The key of an item that the above refuses: the key attributes must be sound, all others may be any JSON.
base::Result<> append_key_of_unreadable(const KeySchema& schema, std::string_view item_json, std::string& out);
// Why an item that append_key_of_json refuses cannot be understood; no text of the item in it.
std::string why_unreadable(std::string_view item_json);
base::Result<Key> key_of_unreadable(const KeySchema& schema, std::string_view item_json);

}  // namespace moveout::item
