#include "item/key.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "item/cursor.h"

namespace moveout::item {
namespace {

constexpr std::size_t kHeaderBytes = 5;

struct Part {
  KeyType type;
  std::string_view bytes;
};

// The part at the start of `rest`, which is moved behind it. False for what append_key_part does not write.
bool take_part(std::string_view* rest, Part* part) {
  if (rest->size() < kHeaderBytes) return false;
  const char letter = rest->front();
  if (letter != 'S' && letter != 'N' && letter != 'B') return false;
  std::size_t size = 0;
  for (std::size_t i = 1; i < kHeaderBytes; ++i) size = size << 8 | static_cast<unsigned char>((*rest)[i]);
  if (rest->size() - kHeaderBytes < size) return false;
  *part = Part{static_cast<KeyType>(letter), rest->substr(kHeaderBytes, size)};
  rest->remove_prefix(kHeaderBytes + size);
  return true;
}

bool is_valid(const Part& part, std::size_t bytes_max) {
  if (part.bytes.empty() || part.bytes.size() > bytes_max) return false;
  switch (part.type) {
    case KeyType::S:
      return find_invalid_utf8(part.bytes) == std::string_view::npos;
    case KeyType::N: {
      const auto number = Number::parse(part.bytes);
      return number && number->to_string() == part.bytes;
    }
    case KeyType::B:
      return true;
  }
  return false;
}

Value value_of(const Part& part) {
  switch (part.type) {
    case KeyType::S:
      return Value(std::string(part.bytes));
    case KeyType::N: {
      const auto number = Number::parse(part.bytes);
      MOVEOUT_ASSERT(number.has_value());
      return Value(*number);
    }
    case KeyType::B:
      return Value(Binary{std::string(part.bytes)});
  }
  return {};
}

base::Result<> append_attribute(std::string& out, const KeyAttribute& attribute, const Item& item,
                                std::size_t bytes_max) {
  const auto fail = [&](const char* why) {
    return base::fail(base::ErrorKind::Corrupt, fmt::format("no key in the item: {} {}", attribute.name, why));
  };
  const auto at = item.find(attribute.name);
  if (at == item.end()) return fail("is missing");
  const Value& value = at->second;
  std::string number;
  std::string_view bytes;
  switch (attribute.type) {
    case KeyType::S:
      if (value.type() != Type::S) return fail("is not of type S");
      bytes = value.as<std::string>();
      break;
    case KeyType::N:
      if (value.type() != Type::N) return fail("is not of type N");
      number = value.as<Number>().to_string();
      bytes = number;
      break;
    case KeyType::B:
      if (value.type() != Type::B) return fail("is not of type B");
      bytes = value.as<Binary>().bytes;
      break;
  }
  if (bytes.empty()) return fail("is empty");
  if (bytes.size() > bytes_max) return fail("is over its limit of bytes");
  append_key_part(out, attribute.type, bytes);
  return {};
}

}  // namespace

void append_key_part(std::string& out, KeyType type, std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  const char header[kHeaderBytes] = {static_cast<char>(type), static_cast<char>(size >> 24),
                                     static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                                     static_cast<char>(size)};
  const std::size_t before = out.size();
  const std::size_t after = before + kHeaderBytes + bytes.size();
  if (after > out.capacity())
    out.reserve(std::max(after, 2 * before));  // resize_and_overwrite grows by no more than asked
  out.resize_and_overwrite(after, [&](char* data, std::size_t) {
    std::memcpy(data + before, header, kHeaderBytes);
    std::memcpy(data + before + kHeaderBytes, bytes.data(), bytes.size());
    return after;
  });
}

base::Result<Key> key_of(const KeySchema& schema, const Item& item) {
  std::string encoded;
  auto part = append_attribute(encoded, schema.partition, item, kPartitionKeyBytesMax);
  if (part && schema.sort) part = append_attribute(encoded, *schema.sort, item, kSortKeyBytesMax);
  if (!part) return base::fail(std::move(part.error()));
  return Key(std::move(encoded));
}

Key Key::of(const KeySchema& schema, const Item& item) {
  auto key = key_of(schema, item);
  MOVEOUT_ASSERT(key.has_value());
  return *std::move(key);
}

base::Result<Key> Key::from_encoded(std::string bytes) {
  std::string_view rest = bytes;
  Part part;
  bool good = take_part(&rest, &part) && is_valid(part, kPartitionKeyBytesMax);
  if (good && !rest.empty()) good = take_part(&rest, &part) && is_valid(part, kSortKeyBytesMax) && rest.empty();
  if (!good) return base::fail(base::ErrorKind::Corrupt, "bytes that are no encoded key");
  return Key(std::move(bytes));
}

Item Key::attributes(const KeySchema& schema) const {
  std::string_view rest = encoded_;
  Item item;
  Part part;
  MOVEOUT_ASSERT(take_part(&rest, &part) && part.type == schema.partition.type);
  item.emplace(schema.partition.name, value_of(part));
  if (schema.sort) {
    MOVEOUT_ASSERT(take_part(&rest, &part) && part.type == schema.sort->type);
    item.emplace(schema.sort->name, value_of(part));
  }
  MOVEOUT_ASSERT(rest.empty());
  return item;
}

std::uint64_t Key::hash() const { return XXH3_64bits(encoded_.data(), encoded_.size()); }

}  // namespace moveout::item
