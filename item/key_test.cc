#include "item/key.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/rng.h"
#include "item/gen.h"
#include "item/json.h"

namespace moveout::item {
namespace {

const KeySchema kPair{{"pk", KeyType::S}, KeyAttribute{"sk", KeyType::N}};

std::string part(char type, std::string_view bytes) {
  std::string out;
  append_key_part(out, static_cast<KeyType>(type), bytes);
  return out;
}

Key key(const KeySchema& schema, std::string_view json) {
  auto key = key_of_json(schema, json);
  REQUIRE(key.has_value());
  return *key;
}

KeySchema random_schema(base::Rng& rng) {
  const auto type = [&] { return static_cast<KeyType>("SNB"[rng.below(3)]); };
  KeySchema schema{{"pk", type()}, {}};
  if (rng.chance(2)) schema.sort = KeyAttribute{"sk", type()};
  return schema;
}

TEST_CASE("a key is its parts, each with its type and length") {
  CHECK(part('S', "ab") == std::string("S\0\0\0\2ab", 7));
  CHECK(key(kPair, R"({"sk":{"N":"1.0e1"},"x":{"BOOL":true},"pk":{"S":"a"}})").encoded() ==
        part('S', "a") + part('N', "10"));
}

TEST_CASE("one, 1.0 and 1e0 are one key, and text that looks like them is another") {
  const KeySchema number{{"k", KeyType::N}, {}};
  const KeySchema text{{"k", KeyType::S}, {}};
  const Key one = key(number, R"({"k":{"N":"1"}})");
  for (const std::string same : {"1.0", "1e0", "01", "+1", "0.1e1", "\\u0031"}) {
    CAPTURE(same);
    CHECK(key(number, R"({"k":{"N":")" + std::string(same) + R"("}})") == one);
  }
  CHECK(key(text, R"({"k":{"S":"1"}})") != one);
}

TEST_CASE("the border between the parts cannot move") {
  const KeySchema texts{{"p", KeyType::S}, KeyAttribute{"s", KeyType::S}};
  CHECK(key(texts, R"({"p":{"S":"ab"},"s":{"S":"c"}})") != key(texts, R"({"p":{"S":"a"},"s":{"S":"bc"}})"));
}

TEST_CASE("an item without its key is refused, by the tree and by the text alike") {
  for (const std::string json : {R"({"sk":{"N":"1"}})", R"({"pk":{"S":"a"}})", R"({"pk":{"N":"1"},"sk":{"N":"1"}})",
                                 R"({"pk":{"S":""},"sk":{"N":"1"}})", R"({"pk":{"S":"a"},"sk":{"S":"1"}})",
                                 R"({"pk":{"M":{"pk":{"S":"a"}}},"sk":{"N":"1"}})", R"({"pk":{},"sk":{"N":"1"}})", "{}",
                                 R"({"m":{"M":{"pk":{"S":"a"},"sk":{"N":"1"}}}})"}) {
    CAPTURE(json);
    CHECK_FALSE(key_of(kPair, parse_item(json).value()).has_value());
    CHECK(key_of_json(kPair, json).error().kind == base::ErrorKind::Corrupt);
  }
  for (const std::string json :
       {R"({"pk":{"S":"a"},"sk":{"N":"x"}})", R"({"pk":{"S":"a"},"sk":{"N":"1"},"pk":{"S":"b"}})",
        R"({"pk":{"S":"a"},"sk":{"N":"1"})", R"({"pk":{"S":"a"},"sk":{"N":"1"},"z":{"S":"\ud800"}})",
        "{\"pk\":{\"S\":\"\xFF\"},\"sk\":{\"N\":\"1\"}}"}) {
    CAPTURE(json);
    CHECK_FALSE(key_of_json(kPair, json).has_value());
  }
  CHECK_FALSE(key_of_json(KeySchema{{"k", KeyType::B}, {}}, R"({"k":{"B":""}})").has_value());
  CHECK_FALSE(key_of_json(KeySchema{{"k", KeyType::B}, {}}, R"({"k":{"B":"A"}})").has_value());
}

TEST_CASE("2048 bytes of partition key and 1024 of sort key are the most") {
  const KeySchema schema{{"p", KeyType::S}, KeyAttribute{"s", KeyType::B}};
  for (const std::size_t p : {1, 255, 256, 2048, 2049}) {
    for (const std::size_t s : {1, 1024, 1025}) {
      const Item item{{"p", Value(std::string(p, 'x'))}, {"s", Value(Binary{std::string(s, 'y')})}};
      const bool fits = p <= 2048 && s <= 1024;
      CAPTURE(p);
      CAPTURE(s);
      CHECK(key_of(schema, item).has_value() == fits);
      const auto by_text = key_of_json(schema, to_json(item));
      REQUIRE(by_text.has_value() == fits);
      if (fits) CHECK(*by_text == Key::of(schema, item));
    }
  }
}

TEST_CASE("keys made from trees, from any spelling of the text, and from their bytes are the same") {
  CHECK(rc::check([](std::uint64_t seed) {
    base::Rng rng(seed);
    const KeySchema schema = random_schema(rng);
    const Item item = random_item(rng, schema);
    const Key key = Key::of(schema, item);
    const auto by_text = key_of_json(schema, random_json(rng, item));
    RC_ASSERT(by_text.has_value());
    RC_ASSERT(*by_text == key);
    RC_ASSERT(by_text->hash() == key.hash());
    const auto by_bytes = Key::from_encoded(key.encoded());
    RC_ASSERT(by_bytes.has_value());
    RC_ASSERT(*by_bytes == key);
    const Item attributes = key.attributes(schema);
    RC_ASSERT(attributes.size() == (schema.sort ? 2U : 1U));
    for (const auto& [name, value] : attributes) RC_ASSERT(value == item.at(name));
  }));
}

TEST_CASE("different keys have different encodings") {
  CHECK(rc::check([](std::uint64_t seed) {
    base::Rng rng(seed);
    const KeySchema schema = random_schema(rng);
    GenOptions small;
    small.bytes_max = 2;
    const Item a = random_item(rng, schema, small);
    const Item b = random_item(rng, schema, small);
    const bool same = a.at("pk") == b.at("pk") && (!schema.sort || a.at("sk") == b.at("sk"));
    RC_ASSERT((Key::of(schema, a) == Key::of(schema, b)) == same);
  }));
}

TEST_CASE("bytes that no encoder wrote are refused") {
  const std::string good = part('S', "a");
  for (const std::string& bytes :
       {std::string(), good.substr(0, 3), good.substr(0, 5), good + "x", part('X', "a"), part('S', ""),
        part('N', "1.0"), part('N', "+1"), part('N', "-0"), part('N', "x"), part('S', "\xFF"), part('B', ""),
        good + good + good, part('S', std::string(2049, 'x')), good + part('S', std::string(1025, 'x')),
        std::string("S\xFF\xFF\xFF\xFF"
                    "a",
                    6)}) {
    CAPTURE(bytes);
    CHECK_FALSE(Key::from_encoded(bytes).has_value());
  }
  CHECK(Key::from_encoded(good + part('N', "-0.5")).has_value());
  CHECK(Key::from_encoded(part('B', "\xFF")).has_value());
}

TEST_CASE("a key's hash is the same in every version of moveout") {
  CHECK(key(kPair, R"({"pk":{"S":"a"},"sk":{"N":"1"}})").hash() == 1747141322951648013ULL);
}

}  // namespace
}  // namespace moveout::item
