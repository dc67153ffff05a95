#include "item/slice.h"

#include <charconv>
#include <limits>

#include "item/cursor.h"
#include "item/json.h"

namespace moveout::item {
namespace {

bool equals(const RawString& name, const std::string& wanted) {
  if (!name.escaped) return name.text == wanted;
  std::string plain;
  unescape(plain, name);
  return plain == wanted;
}

RawString without_quotes(std::string_view raw) {
  const std::string_view text = raw.substr(1, raw.size() - 2);
  return {text, text.find('\\') != std::string_view::npos};
}

// A whole number as DynamoDB writes it, which most number keys are: needs no parsing to be canonical.
bool is_plain_integer(std::string_view text) {
  if (text.empty() || text.size() > 38 || text[0] == '0') return false;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

const char* append_number(std::string& out, const RawString& raw) {
  std::string plain;
  std::string_view text = raw.text;
  if (raw.escaped) {
    unescape(plain, raw);
    text = plain;
  }
  if (is_plain_integer(text)) {
    out.append(text);
    return nullptr;
  }
  const auto number = Number::parse(text);
  if (!number) return "a number of DynamoDB in the key";
  number->append_to(out);
  return nullptr;
}

// One key part from the raw text of its value; what was expected instead, when it cannot be one.
const char* append_part(std::string& out, KeyType type, std::string_view raw, std::size_t bytes_max) {
  const RawString text = without_quotes(raw);
  const std::size_t start = out.size();
  append_key_part(out, type, {});
  const std::size_t value_at = out.size();
  switch (type) {
    case KeyType::S:
      unescape(out, text);
      break;
    case KeyType::N:
      if (const char* expected = append_number(out, text)) return expected;
      break;
    case KeyType::B: {
      const auto bytes = decode_base64(raw);
      if (!bytes) return "base64 in the key";
      out += *bytes;
      break;
    }
  }
  const std::size_t size = out.size() - value_at;
  if (size == 0) return "a key that is not empty";
  if (size > bytes_max) return "a key within its limit of bytes";
  out[start + 3] = static_cast<char>(size >> 8);  // at most 2048: the upper two bytes stay zero
  out[start + 4] = static_cast<char>(size);
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

  bool walk(Cursor& cursor, std::string& keys) const {
    std::string_view partition;
    std::string_view sort;
    const char* const start = cursor.at();
    const bool walked = cursor.object([&](const RawString& name) {
      Type type;
      std::string_view raw;
      if (!cursor.attribute_value(&type, &raw)) return false;
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
    if (const char* expected = append_part(keys, schema_->partition.type, partition, kPartitionKeyBytesMax)) {
      return cursor.fail_at(partition.data(), expected);
    }
    if (!schema_->sort) return true;
    if (const char* expected = append_part(keys, schema_->sort->type, sort, kSortKeyBytesMax)) {
      return cursor.fail_at(sort.data(), expected);
    }
    return true;
  }

 private:
  static bool take(Cursor& cursor, const KeyAttribute& wanted, Type type, std::string_view raw, std::string_view* out) {
    if (type != type_of(wanted.type)) return cursor.fail_at(raw.data(), "a key attribute of the table's type");
    if (!out->empty()) return cursor.fail_at(raw.data(), "each key attribute once");
    *out = raw;
    return true;
  }

  const KeySchema* schema_;
};

template <class T>
bool read_number(Cursor& cursor, T* out) {
  cursor.space();
  const char* const start = cursor.at();
  if (!cursor.any_value()) return false;
  const std::string_view text = cursor.since(start);
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
  keys_.clear();
  key_ends_.clear();
}

class PageSlicer {
 public:
  PageSlicer(std::string_view body, const KeySchema* schema, Page& page)
      : body_(body), cursor_(body), walk_(schema), keyed_(schema != nullptr), page_(page) {}

  base::Result<> page() {
    return run([this] {
      if (!cursor_.object([&](const RawString& name) { return member(name); })) return false;
      if (!has_items_) return cursor_.fail("a member Items");
      return !has_count_ || page_.count == static_cast<std::int64_t>(page_.items.size()) ||
             cursor_.fail_at(body_.data(), "as many items as Count says");
    });
  }
  base::Result<> array() {
    return run([this] { return items(); });
  }

 private:
  template <class Walk>
  base::Result<> run(Walk&& walk) {
    page_.clear();
    // Offsets into keys_ have 32 bits; the protocol's answers have 16 MB at most.
    if (body_.size() > std::numeric_limits<std::uint32_t>::max() / 2) {
      return base::fail(base::ErrorKind::TooLarge, "an answer of over 2 GiB");
    }
    bool good = true;
    if (const std::size_t at = find_invalid_utf8(body_); at != std::string_view::npos) {
      good = cursor_.fail_at(body_.data() + at, "UTF-8");
    }
    if (good && walk() && cursor_.finish()) return {};
    page_.clear();
    return base::fail(cursor_.error("a malformed page"));
  }

  bool items() {
    return cursor_.array([this] {
      cursor_.space();
      const char* const start = cursor_.at();
      if (!walk_.walk(cursor_, page_.keys_)) return false;
      page_.items.push_back(cursor_.since(start));
      if (keyed_) page_.key_ends_.push_back(static_cast<std::uint32_t>(page_.keys_.size()));
      return true;
    });
  }

  bool member(const RawString& name) {
    if (name.text == "Items") return once(&has_items_) && items();
    if (name.text == "Count") return once(&has_count_) && read_number(cursor_, &page_.count);
    if (name.text == "ScannedCount") return once(&has_scanned_) && read_number(cursor_, &page_.scanned_count);
    if (name.text == "LastEvaluatedKey") return once(&has_last_) && last_evaluated_key();
    if (name.text == "ConsumedCapacity") return once(&has_capacity_) && capacity();
    cursor_.space();
    const char* const start = cursor_.at();
    if (!cursor_.any_value()) return false;
    page_.others.push_back({name.text, cursor_.since(start)});
    return true;
  }

  bool last_evaluated_key() {
    cursor_.space();
    if (cursor_.literal("null")) return true;
    const char* const start = cursor_.at();
    bool empty = true;
    if (!cursor_.object([&](const RawString&) {
          empty = false;
          Type type;
          std::string_view raw;
          return cursor_.attribute_value(&type, &raw);
        })) {
      return false;
    }
    if (empty) return cursor_.fail_at(start, "a LastEvaluatedKey that is not empty");
    page_.last_evaluated_key = cursor_.since(start);
    return true;
  }

  bool capacity() {
    cursor_.space();
    if (cursor_.literal("null")) return true;
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
  Cursor cursor_;
  ItemWalk walk_;
  bool keyed_;
  Page& page_;
  bool has_items_ = false;
  bool has_count_ = false;
  bool has_scanned_ = false;
  bool has_last_ = false;
  bool has_capacity_ = false;
};

base::Result<> slice_page(std::string_view body, const KeySchema& schema, Page& page) {
  return PageSlicer(body, &schema, page).page();
}

base::Result<> slice_page(std::string_view body, Page& page) { return PageSlicer(body, nullptr, page).page(); }

base::Result<> slice_items(std::string_view array, const KeySchema& schema, Page& page) {
  return PageSlicer(array, &schema, page).array();
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

base::Result<Key> key_of_json(const KeySchema& schema, std::string_view item_json) {
  std::string encoded;
  if (auto appended = append_key_of_json(schema, item_json, encoded); !appended) {
    return base::fail(std::move(appended.error()));
  }
  return Key(std::move(encoded));
}

}  // namespace moveout::item
