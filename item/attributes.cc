// An item's top level, walked over without building it.
#include <array>
#include <deque>
#include <set>

#include "item/cursor.h"
#include "item/json.h"

namespace moveout::item {
namespace {

// The names seen so far in one item. Most items have a few: those are compared one by one, without allocation.
class Names {
 public:
  // False when the name was there. The view must live as long as this.
  bool add(std::string_view name) {
    if (count_ < few_.size()) {
      for (std::size_t i = 0; i < count_; ++i) {
        if (few_[i] == name) return false;
      }
      few_[count_++] = name;
      return true;
    }
    if (many_.empty()) many_.insert(few_.begin(), few_.end());
    return many_.insert(name).second;
  }

 private:
  std::array<std::string_view, 32> few_;
  std::size_t count_ = 0;
  std::set<std::string_view> many_;
};

}  // namespace

base::Result<> for_each_attribute(
    std::string_view item_json,
    const std::function<void(std::string_view name, Type type, std::string_view raw_value)>& visit) {
  Cursor cursor(item_json);
  Names names;
  std::deque<std::string> decoded;
  bool good = true;
  if (const std::size_t at = find_invalid_utf8(item_json); at != std::string_view::npos) {
    good = cursor.fail_at(item_json.data() + at, "UTF-8");
  }
  good = good && cursor.attributes([&](const RawString& raw, Type type, std::string_view value) {
    std::string_view name = raw.text;
    if (raw.escaped) {
      unescape(decoded.emplace_back(), raw);
      name = decoded.back();
    }
    if (!names.add(name)) return cursor.fail_at(raw.text.data(), "each name once");
    visit(name, type, value);
    return true;
  });
  if (good && cursor.finish()) return {};
  return base::fail(cursor.error("not DynamoDB JSON"));
}

base::Result<> append_unescaped(std::string& out, std::string_view raw_string) {
  Cursor cursor(raw_string);
  RawString raw;
  bool good = true;
  if (const std::size_t at = find_invalid_utf8(raw_string); at != std::string_view::npos) {
    good = cursor.fail_at(raw_string.data() + at, "UTF-8");
  }
  if (!good || !cursor.string(&raw) || !cursor.finish()) return base::fail(cursor.error("not a JSON string"));
  unescape(out, raw);
  return {};
}

}  // namespace moveout::item
