#include "item/slice.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <utility>

#include "item/cursor.h"
#include "item/json.h"

namespace moveout::item {
namespace {

bool equals_escaped(const RawString& name, const std::string& wanted) {
  std::string plain;
  unescape(plain, name);
  return plain == wanted;
}

[[gnu::always_inline]] inline bool equals(const RawString& name, const std::string& wanted) {
  if (name.text.size() == wanted.size()) {
    return !wanted.empty() && name.text[0] == wanted[0] &&
           std::memcmp(name.text.data(), wanted.data(), wanted.size()) == 0 &&
           (!name.escaped || name.text.find('\\') == std::string_view::npos);
  }
  // Every escape is longer than what it stands for.
  return name.escaped && name.text.size() > wanted.size() && equals_escaped(name, wanted);
}

// A whole number as DynamoDB writes it, which most number keys are: needs no parsing to be canonical.
bool is_plain_integer(std::string_view text) {
  if (text.empty() || text.size() > 38 || text[0] == '0') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// One key part from the raw text of its value; what was expected instead, when it cannot be one.
const char* append_part(std::string& out, KeyType type, std::string_view raw, bool may_escape, std::size_t bytes_max) {
  std::string_view bytes = raw.substr(1, raw.size() - 2);
  std::string decoded;
  if (type == KeyType::B) {
    auto binary = decode_base64(raw);
    if (!binary) return "base64 in the key";
    decoded = *std::move(binary);
    bytes = decoded;
  } else if (may_escape && std::memchr(bytes.data(), '\\', bytes.size()) != nullptr) {
    unescape(decoded, {bytes, true});
    bytes = decoded;
  }
  if (type == KeyType::N && !is_plain_integer(bytes)) {
    const auto number = Number::parse(bytes);
    if (!number) return "a number of DynamoDB in the key";
    decoded.clear();
    number->append_to(decoded);
    bytes = decoded;
  }
  if (bytes.empty()) return "a key that is not empty";
  if (bytes.size() > bytes_max) return "a key within its limit of bytes";
  append_key_part(out, type, bytes);
  return nullptr;
}

Type type_of(KeyType type) {
  switch (type) {
    case KeyType::S:
      return Type::S;
    case KeyType::N:
      return Type::N;
    case KeyType::B:
      return Type::B;
  }
  return Type::S;
}

// Walks over one item and appends its key.
class ItemWalk {
 public:
  explicit ItemWalk(const KeySchema* schema) : schema_(schema) {}

  template <class AnyCursor>
  bool walk(AnyCursor& cursor, std::string& keys) const {
    std::string_view partition;
    std::string_view sort;
    const char* const start = cursor.next();
    const bool walked = cursor.attributes([&](const RawString& name, Type type, std::string_view raw) {
      if (schema_ == nullptr) return true;
      if (equals(name, schema_->partition.name)) return take(cursor, schema_->partition, type, raw, &partition);
      if (schema_->sort && equals(name, schema_->sort->name)) return take(cursor, *schema_->sort, type, raw, &sort);
      return true;
    });
    if (!walked) return false;
    if (schema_ == nullptr) return true;
    if (partition.empty() || (schema_->sort && sort.empty())) {
      return cursor.fail_at(start, "an item with the key attributes of the table");
    }
    if (const char* expected =
            append_part(keys, schema_->partition.type, partition, cursor.may_escape(), kPartitionKeyBytesMax)) {
      return cursor.fail_at(partition.data(), expected);
    }
    if (!schema_->sort) return true;
    if (const char* expected = append_part(keys, schema_->sort->type, sort, cursor.may_escape(), kSortKeyBytesMax)) {
      return cursor.fail_at(sort.data(), expected);
    }
    return true;
  }

 private:
  template <class AnyCursor>
  static bool take(AnyCursor& cursor, const KeyAttribute& wanted, Type type, std::string_view raw,
                   std::string_view* out) {
    if (type != type_of(wanted.type)) return cursor.fail_at(raw.data(), "a key attribute of the table's type");
    if (!out->empty()) return cursor.fail_at(raw.data(), "each key attribute once");
    *out = raw;
    return true;
  }

  const KeySchema* schema_;
};

template <class AnyCursor, class T>
bool read_number(AnyCursor& cursor, T* out) {
  const char* const start = cursor.next();
  std::string_view text;
  if (!cursor.scalar(&text) || !is_json_number(text)) return cursor.fail_at(start, "a number");
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return (error == std::errc() && end == text.data() + text.size()) || cursor.fail_at(start, "a number");
}

}  // namespace

void Page::clear() {
  items.clear();
  last_evaluated_key = {};
  consumed_capacity = 0;
  count = 0;
  scanned_count = 0;
  others.clear();
  keys_.bytes_.clear();
  keys_.ends_.clear();
}

PageKeys Page::take_keys() {
  PageKeys room;
  room.bytes_.reserve(keys_.bytes_.size());
  room.ends_.reserve(keys_.ends_.size());
  return std::exchange(keys_, std::move(room));
}

enum class Items { Sound, Loose };

// By which the walk goes: an Index where it can be built, else, and to say what is wrong, the text itself.
template <class AnyCursor>
class PageSlicer {
 public:
  PageSlicer(std::string_view body, AnyCursor cursor, const KeySchema* schema, Page& page, Items how = Items::Sound)
      : body_(body), cursor_(cursor), walk_(schema), keyed_(schema != nullptr), how_(how), page_(page) {}

  static Index& index_of(Page& page) { return page.index_; }
  const AnyCursor& cursor() const { return cursor_; }

  bool page() {
    if (!cursor_.object([&](const RawString& name) { return member(name); })) return false;
    if (!has_items_) return cursor_.fail("a member Items");
    if (has_count_ && page_.count != static_cast<std::int64_t>(page_.items.size())) {
      return cursor_.fail_at(body_.data(), "as many items as Count says");
    }
    return cursor_.finish();
  }
  bool array() { return items() && cursor_.finish(); }

 private:
  bool items() {
    return cursor_.array([this] {
      const char* const start = cursor_.next();
      if (how_ == Items::Sound ? !walk_.walk(cursor_, page_.keys_.bytes_) : !loose_object()) return false;
      page_.items.push_back(cursor_.since(start));
      if (keyed_) page_.keys_.ends_.push_back(static_cast<std::uint32_t>(page_.keys_.bytes_.size()));
      return true;
    });
  }

  bool loose_object() { return cursor_.peek() == '{' ? cursor_.any_value() : cursor_.fail("an object"); }

  bool member(const RawString& name) {
    if (name.text == "Items") return once(&has_items_) && items();
    if (name.text == "Count") return once(&has_count_) && read_number(cursor_, &page_.count);
    if (name.text == "ScannedCount") return once(&has_scanned_) && read_number(cursor_, &page_.scanned_count);
    if (name.text == "LastEvaluatedKey") return once(&has_last_) && last_evaluated_key();
    if (name.text == "ConsumedCapacity") return once(&has_capacity_) && capacity();
    const char* const start = cursor_.next();
    if (!cursor_.any_value()) return false;
    page_.others.push_back({name.text, cursor_.since(start)});
    return true;
  }

  bool last_evaluated_key() {
    if (cursor_.peek() == 'n') return cursor_.word("null", "null");
    const char* const start = cursor_.next();
    bool empty = how_ == Items::Sound;
    const auto attribute = [&](const RawString&, Type, std::string_view) {
      empty = false;
      return true;
    };
    if (how_ == Items::Sound ? !cursor_.attributes(attribute) : !loose_object()) return false;
    if (empty) return cursor_.fail_at(start, "a LastEvaluatedKey that is not empty");
    page_.last_evaluated_key = cursor_.since(start);
    return true;
  }

  bool capacity() {
    if (cursor_.peek() == 'n') return cursor_.word("null", "null");
    return cursor_.object([&](const RawString& name) {
      if (name.text == "CapacityUnits") return read_number(cursor_, &page_.consumed_capacity);
      return cursor_.any_value();
    });
  }

  bool once(bool* seen) {
    if (*seen) return cursor_.fail("each member of the answer once");
    *seen = true;
    return true;
  }

  std::string_view body_;
  AnyCursor cursor_;
  ItemWalk walk_;
  bool keyed_;
  Items how_;
  Page& page_;
  bool has_items_ = false;
  bool has_count_ = false;
  bool has_scanned_ = false;
  bool has_last_ = false;
  bool has_capacity_ = false;
};

namespace {

// `whole(slicer)` runs the slicer over a page or an array.
template <class Whole>
base::Result<> slice(std::string_view body, const KeySchema* schema, Page& page, Whole&& whole) {
  page.clear();
  // Offsets of keys have 32 bits; the protocol's answers have 16 MB at most.
  if (body.size() > std::numeric_limits<std::uint32_t>::max() / 2) {
    return base::fail(base::ErrorKind::TooLarge, "an answer of over 2 GiB");
  }
  Index& index = PageSlicer<IndexCursor>::index_of(page);
  if (index.build(body)) {
    PageSlicer<IndexCursor> fast(body, IndexCursor(body, index), schema, page);
    if (whole(fast)) return {};
    page.clear();
  }
  PageSlicer<Cursor> slow(body, Cursor(body), schema, page);
  Cursor invalid(body);
  const std::size_t at = find_invalid_utf8(body);
  if (at == std::string_view::npos ? whole(slow) : invalid.fail_at(body.data() + at, "UTF-8")) return {};
  page.clear();
  return base::fail((at == std::string_view::npos ? slow.cursor() : invalid).error("a malformed page"));
}

}  // namespace

base::Result<> slice_page(std::string_view body, const KeySchema& schema, Page& page) {
  return slice(body, &schema, page, [](auto& slicer) { return slicer.page(); });
}

base::Result<> slice_page(std::string_view body, Page& page) {
  return slice(body, nullptr, page, [](auto& slicer) { return slicer.page(); });
}

base::Result<> slice_items(std::string_view array, const KeySchema& schema, Page& page) {
  return slice(array, &schema, page, [](auto& slicer) { return slicer.array(); });
}

namespace {
template <class Whole>
base::Result<> slice_loosely(std::string_view body, Page& page, Whole&& whole) {
  page.clear();
  PageSlicer<Cursor> slicer(body, Cursor(body, Cursor::Escapes::Loose), nullptr, page, Items::Loose);
  Cursor invalid(body);
  const std::size_t at = find_invalid_utf8(body);
  if (at == std::string_view::npos ? whole(slicer) : invalid.fail_at(body.data() + at, "UTF-8")) return {};
  page.clear();
  return base::fail((at == std::string_view::npos ? slicer.cursor() : invalid).error("a malformed page"));
}
}  // namespace

base::Result<> slice_page_loosely(std::string_view body, Page& page) {
  return slice_loosely(body, page, [](auto& slicer) { return slicer.page(); });
}

base::Result<> slice_items_loosely(std::string_view array, Page& page) {
  return slice_loosely(array, page, [](auto& slicer) { return slicer.array(); });
}

bool is_object_loosely(std::string_view text) {
  Cursor cursor(text, Cursor::Escapes::Loose);
  return cursor.peek() == '{' && cursor.any_value() && cursor.finish();
}

namespace {

// The raw value of a key attribute, once only; empty when it is not sound.
struct LooseKey {
  std::string_view raw;
  int times = 0;

  bool take(Cursor& cursor, const KeyAttribute& wanted) {
    const char* const start = cursor.next();
    if (!cursor.any_value()) return false;
    Cursor value(cursor.since(start));
    Type type;
    if (!value.attribute_value(&type, &raw) || !value.finish() || type != type_of(wanted.type)) raw = {};
    return ++times == 1;
  }
};

}  // namespace

base::Result<> append_key_of_unreadable(const KeySchema& schema, std::string_view item_json, std::string& out) {
  const std::size_t before = out.size();
  const auto unknown = [&] {
    out.resize(before);
    return base::fail(base::ErrorKind::Corrupt, "an item whose key cannot be understood either");
  };
  Cursor cursor(item_json, Cursor::Escapes::Loose);
  LooseKey partition, sort;
  const bool walked = cursor.object([&](const RawString& name) {
    const bool sound = !name.escaped || Cursor(name.text).escapes();
    if (sound && equals(name, schema.partition.name)) return partition.take(cursor, schema.partition);
    if (sound && schema.sort && equals(name, schema.sort->name)) return sort.take(cursor, *schema.sort);
    return cursor.any_value();
  });
  if (!walked || !cursor.finish() || partition.raw.empty() || (schema.sort && sort.raw.empty())) return unknown();
  const char* wrong = append_part(out, schema.partition.type, partition.raw, true, kPartitionKeyBytesMax);
  if (wrong == nullptr && schema.sort) wrong = append_part(out, schema.sort->type, sort.raw, true, kSortKeyBytesMax);
  return wrong == nullptr ? base::Result<>() : unknown();
}

base::Result<> append_key_of_json(const KeySchema& schema, std::string_view item_json, std::string& out) {
  const std::size_t before = out.size();
  Cursor cursor(item_json);
  bool good = true;
  if (const std::size_t at = find_invalid_utf8(item_json); at != std::string_view::npos) {
    good = cursor.fail_at(item_json.data() + at, "UTF-8");
  }
  if (good && ItemWalk(&schema).walk(cursor, out) && cursor.finish()) return {};
  out.resize(before);
  return base::fail(cursor.error("no key in the item"));
}

std::string why_unreadable(std::string_view item_json) {
  const base::Result<Item> item = parse_item(item_json);
  return item ? "its key attributes are not those of the table" : item.error().what;
}

base::Result<Key> key_of_unreadable(const KeySchema& schema, std::string_view item_json) {
  std::string encoded;
  if (auto appended = append_key_of_unreadable(schema, item_json, encoded); !appended) {
    return base::fail(std::move(appended.error()));
  }
  return Key(std::move(encoded));
}

base::Result<Key> key_of_json(const KeySchema& schema, std::string_view item_json) {
  std::string encoded;
  if (auto appended = append_key_of_json(schema, item_json, encoded); !appended) {
    return base::fail(std::move(appended.error()));
  }
  return Key(std::move(encoded));
}

}  // namespace moveout::item
