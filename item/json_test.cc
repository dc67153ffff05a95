#include "item/json.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/rng.h"
#include "item/gen.h"

namespace moveout::item {
namespace {

const KeySchema kSchema{{"pk", KeyType::S}, KeyAttribute{"sk", KeyType::N}};

// The canonical text of what was read, or the error.
std::string reread(std::string_view json) {
  const auto item = parse_item(json);
  return item ? to_json(*item) : item.error().what;
}
bool refuses(std::string_view json) {
  const auto item = parse_item(json);
  return !item && item.error().kind == base::ErrorKind::Corrupt;
}
std::string in_item(std::string_view value) { return "{\"a\":" + std::string(value) + "}"; }

Value deep(int levels, bool maps) {
  Value value(std::string("leaf"));
  for (int i = 0; i < levels; ++i) value = maps ? Value(Map{{"m", value}}) : Value(List{value});
  return value;
}

TEST_CASE("every type is read and written canonically") {
  CHECK(reread(R"( { "z" : {"S":"x"}, "a" : { "N" : "1.50" } } )") == R"({"a":{"N":"1.5"},"z":{"S":"x"}})");
  CHECK(reread(R"({"a":{"B":"AP8="}})") == R"({"a":{"B":"AP8="}})");
  CHECK(reread(R"({"a":{"BOOL":true},"b":{"BOOL":false},"c":{"NULL":true}})") ==
        R"({"a":{"BOOL":true},"b":{"BOOL":false},"c":{"NULL":true}})");
  CHECK(reread(R"({"a":{"L":[{"S":"2"},{"L":[]},{"M":{}}]}})") == R"({"a":{"L":[{"S":"2"},{"L":[]},{"M":{}}]}})");
  CHECK(reread(R"({"a":{"M":{"y":{"N":"1"},"x":{"N":"2"}}}})") == R"({"a":{"M":{"x":{"N":"2"},"y":{"N":"1"}}}})");
  CHECK(reread(R"({"a":{"SS":["b","","a"]}})") == R"({"a":{"SS":["","a","b"]}})");
  CHECK(reread(R"({"a":{"NS":["10","9","-1e2"]}})") == R"({"a":{"NS":["-100","9","10"]}})");
  CHECK(reread(R"({"a":{"BS":["/w==","","AA=="]}})") == R"({"a":{"BS":["","AA==","/w=="]}})");
  CHECK(reread("{}") == "{}");
}

TEST_CASE("a bare empty object is an empty map") {
  CHECK(reread(R"({"a":{},"b":{"L":[{ }]}})") == R"({"a":{"M":{}},"b":{"L":[{"M":{}}]}})");
}

TEST_CASE("escapes are decoded and written as few as can be") {
  CHECK(reread(R"({"a":{"S":"\"\\\/\b\f\n\r\t\u0000\u001f\u007f\u00e9\u20AC\ud83d\ude00"}})") ==
        "{\"a\":{\"S\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7F\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"}}");
  CHECK(reread(R"({"\u0061":{"S":""}})") == R"({"a":{"S":""}})");
  CHECK(reread(R"({"a":{"N":"\u0031"}})") == R"({"a":{"N":"1"}})");
  CHECK(reread(R"({"a":{"B":"\/w=="}})") == R"({"a":{"B":"/w=="}})");
}

TEST_CASE("surrogates come in pairs or not at all") {
  for (const std::string escape :
       {R"(\ud800)", R"(\udc00)", R"(\ud800x)", R"(\ud800\n)", R"(\ud800\ud800)", R"(\ud83d\u0041)", R"(\ude00\ud83d)",
        R"(\udbff\udc0)", R"(\uDBFF\)", R"(\ud800\uDBFF)"}) {
    CAPTURE(escape);
    CHECK(refuses(in_item("{\"S\":\"" + std::string(escape) + "\"}")));
  }
  CHECK_FALSE(refuses(R"({"a":{"S":"\uD800\uDC00\uDBFF\uDFFF"}})"));
}

TEST_CASE("text that is not JSON is refused") {
  for (const std::string json : {"",
                                 " ",
                                 "{",
                                 "}",
                                 "[]",
                                 "null",
                                 "\"a\"",
                                 "{]",
                                 "{\"a\"}",
                                 "{\"a\":}",
                                 "{\"a\":{\"S\":\"x\"}",
                                 "{\"a\":{\"S\":\"x}}",
                                 "{\"a\":{\"S\":\"x\"},}",
                                 "{,\"a\":{\"S\":\"x\"}}",
                                 "{\"a\":{\"S\":\"x\"}}x",
                                 "{\"a\":{\"S\":\"x\"}}{}",
                                 "{\"a\":{\"S\":\"x\"} \"b\":{\"S\":\"x\"}}",
                                 "{a:{\"S\":\"x\"}}",
                                 "{'a':{'S':'x'}}",
                                 "{\"a\":{\"S\":\"x\",}}",
                                 "{\"a\":{\"L\":[,]}}",
                                 "{\"a\":{\"L\":[{\"S\":\"x\"},]}}",
                                 "{\"a\":{\"L\":[{\"S\":\"x\"}}}",
                                 "{\"a\":{\"S\":\"\\x\"}}",
                                 "{\"a\":{\"S\":\"\\u12G4\"}}",
                                 "{\"a\":{\"S\":\"\\u123\"}}",
                                 "{\"a\":{\"S\":\"\\",
                                 "{\"a\":{\"S\":\"a\nb\"}}",
                                 "{\"a\":{\"S\":\"a\tb\"}}",
                                 "\xEF\xBB\xBF{}",
                                 "{}\v"}) {
    CAPTURE(json);
    CHECK(refuses(json));
  }
  CHECK(refuses(std::string("{\"a\":{\"S\":\"x\0y\"}}", 17)));
  CHECK(refuses(std::string("{}\0", 3)));
}

TEST_CASE("JSON that is no attribute value is refused") {
  for (const std::string value : {"\"x\"",
                                  "1",
                                  "null",
                                  "[]",
                                  R"({"X":"x"})",
                                  R"({"s":"x"})",
                                  R"({"S":1})",
                                  R"({"S":null})",
                                  R"({"S":["x"]})",
                                  R"({"N":1})",
                                  R"({"N":"one"})",
                                  R"({"N":""})",
                                  R"({"N":" 1"})",
                                  R"({"BOOL":"true"})",
                                  R"({"BOOL":1})",
                                  R"({"BOOL":True})",
                                  R"({"NULL":false})",
                                  R"({"NULL":null})",
                                  R"({"L":{}})",
                                  R"({"M":[]})",
                                  R"({"SS":"x"})",
                                  R"({"S":"x","N":"1"})",
                                  R"({"S":"x","S":"x"})",
                                  R"({"L":["x"]})",
                                  R"({"M":{"a":"x"}})",
                                  R"({"SS":[1]})",
                                  R"({"":"x"})",
                                  R"({"S"})"}) {
    CAPTURE(value);
    CHECK(refuses(in_item(value)));
  }
}

TEST_CASE("empty sets and sets with a member twice are refused, by value") {
  for (const std::string value :
       {R"({"SS":[]})", R"({"NS":[]})", R"({"BS":[]})", R"({"SS":["a","b","a"]})", R"({"SS":["a","\u0061"]})",
        R"({"NS":["1","1.0"]})", R"({"NS":["0","-0"]})", R"({"NS":["10","1e1"]})", R"({"BS":["AA==","AA=="]})"}) {
    CAPTURE(value);
    CHECK(refuses(in_item(value)));
  }
}

TEST_CASE("a name twice is refused, at every level and in every spelling") {
  CHECK(refuses(R"({"a":{"S":"x"},"a":{"S":"x"}})"));
  CHECK(refuses(R"({"a":{"S":"x"},"\u0061":{"S":"y"}})"));
  CHECK(refuses(R"({"m":{"M":{"b":{"S":"x"},"a":{"S":"x"},"b":{"S":"x"}}}})"));
  CHECK(reread(R"({"a":{"S":"x"},"A":{"S":"x"}})") == R"({"A":{"S":"x"},"a":{"S":"x"}})");
}

TEST_CASE("bytes that are not UTF-8 are refused, in values and names") {
  for (const std::string bytes :
       {"\x80", "\xC0\xAF", "\xC1\xBF", "\xC2", "\xE0\x80\x80", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82"}) {
    CAPTURE(bytes);
    CHECK(refuses(in_item("{\"S\":\"" + std::string(bytes) + "\"}")));
    CHECK(refuses("{\"" + std::string(bytes) + "\":{\"S\":\"\"}}"));
  }
  CHECK(parse_item("{\"a\":{\"S\":\"abc\xFF\"}}").error().what == "not DynamoDB JSON: expected UTF-8 at byte 14");
}

TEST_CASE("32 levels are read, 33 are refused") {
  for (const bool maps : {true, false}) {
    const std::string good = to_json(deep(32, maps));
    const auto value = parse_value(good);
    REQUIRE(value.has_value());
    CHECK(to_json(*value) == good);
    CHECK_FALSE(parse_value(to_json(deep(33, maps))).has_value());
    // A hundred thousand open brackets must not reach the stack's end.
    std::string endless;
    for (int i = 0; i < 100'000; ++i) endless += maps ? "{\"M\":{\"m\":" : "{\"L\":[";
    CHECK_FALSE(parse_value(endless).has_value());
    int seen = 0;
    CHECK_FALSE(for_each_attribute(in_item(endless), [&](auto, Type, auto) { ++seen; }).has_value());
    CHECK(seen == 0);
  }
  CHECK_FALSE(parse_value(to_json(Value(List{deep(32, true)}))).has_value());
}

TEST_CASE("an error names the byte and shows nothing of the item") {
  const auto item = parse_item(R"({"secret":{"S":"hidden"},"x":{"Q":"hidden"}})");
  REQUIRE_FALSE(item.has_value());
  CHECK(item.error().what == "not DynamoDB JSON: expected a type tag of DynamoDB at byte 30");
}

TEST_CASE("base64 is strict") {
  CHECK(decode_base64("").value().empty());
  CHECK(decode_base64("\"\"").value().empty());
  CHECK(decode_base64("Zg==").value() == "f");
  CHECK(decode_base64("Zm8=").value() == "fo");
  CHECK(decode_base64("Zm9v").value() == "foo");
  CHECK(decode_base64("\"Zm9v\"").value() == "foo");
  CHECK(decode_base64("++//").value() == "\xFB\xEF\xFF");
  for (const std::string text :
       {"Z", "Zg", "Zg=", "Zg===", "Zm9vZg", "====", "Z===", "Zh==", "Zm9=", "Zm 9", "Zg==Zg==", "-_-_", "Zm9v\n",
        "=Zm9", "Z=g=", "\"Zm9v", "\"Zm9v\"x", "\xC3\xA9==", "Zg=a"}) {
    CAPTURE(text);
    CHECK_FALSE(decode_base64(text).has_value());
  }
  CHECK(rc::check([](const std::string& bytes) {
    const std::string text = encode_base64(bytes);
    RC_ASSERT(text.size() == (bytes.size() + 2) / 3 * 4);
    RC_ASSERT(decode_base64(text).value() == bytes);
  }));
}

TEST_CASE("items come back from their canonical text and from every spelling of it") {
  CHECK(rc::check([](std::uint64_t seed) {
    base::Rng rng(seed);
    GenOptions options;
    options.depth_max = static_cast<int>(rng.below(kDepthMax + 1));
    const Item item = random_item(rng, kSchema, options);
    const std::string text = to_json(item);
    const auto again = parse_item(text);
    RC_ASSERT(again.has_value());
    RC_ASSERT(*again == item);
    const std::string spelling = random_json(rng, item);
    const auto spelled = parse_item(spelling);
    RC_ASSERT(spelled.has_value());
    RC_ASSERT(*spelled == item);
    RC_ASSERT(to_json(*spelled) == text);
  }));
}

TEST_CASE("every hostile item comes back from its text") {
  base::Rng rng(1);
  for (const NamedItem& hostile : hostile_items(kSchema)) {
    CAPTURE(hostile.name);
    CHECK(item_size(hostile.item) <= kItemBytesMax);
    const auto again = parse_item(to_json(hostile.item));
    REQUIRE(again.has_value());
    CHECK(*again == hostile.item);
    const auto spelled = parse_item(random_json(rng, hostile.item));
    REQUIRE(spelled.has_value());
    CHECK(*spelled == hostile.item);
  }
}

TEST_CASE("the largest hostile item is 400 KB, to the byte") {
  for (const KeyType type : {KeyType::S, KeyType::N, KeyType::B}) {
    std::size_t largest = 0;
    for (const NamedItem& hostile : hostile_items({{"pk", type}, {}})) {
      largest = std::max(largest, item_size(hostile.item));
    }
    CHECK(largest == kItemBytesMax);
  }
}

TEST_CASE("a text cut or altered anywhere is refused or read as another valid item") {
  CHECK(rc::check([](std::uint64_t seed) {
    base::Rng rng(seed);
    const std::string text = random_json(rng, random_item(rng, kSchema));
    const std::string cut = text.substr(0, text.find_last_of('}'));
    RC_ASSERT(!parse_item(cut.substr(0, rng.below(cut.size() + 1))).has_value());
    std::string altered = text;
    altered[rng.below(altered.size())] = static_cast<char>(rng.below(256));
    if (const auto item = parse_item(altered)) RC_ASSERT(parse_item(to_json(*item)).value() == *item);
  }));
}

TEST_CASE("different values have different texts") {
  const std::vector<std::string> different = {
      R"({"S":"1"})",     R"({"N":"1"})",       R"({"B":"MQ=="})",      R"({"SS":["1"]})",
      R"({"NS":["1"]})",  R"({"BS":["MQ=="]})", R"({"L":[]})",          R"({"M":{}})",
      R"({"S":""})",      R"({"B":""})",        R"({"BOOL":true})",     R"({"BOOL":false})",
      R"({"NULL":true})", R"({"N":"0"})",       R"({"L":[{"N":"1"}]})", R"({"L":[{"L":[]}]})"};
  for (std::size_t i = 0; i < different.size(); ++i) {
    for (std::size_t j = 0; j < different.size(); ++j) {
      const Value a = parse_value(different[i]).value();
      const Value b = parse_value(different[j]).value();
      CHECK((a == b) == (i == j));
      CHECK((to_json(a) == to_json(b)) == (i == j));
    }
  }
}

TEST_CASE("the walk over an item shows each attribute, its type and its raw text") {
  std::vector<std::string> seen;
  const auto walked = for_each_attribute(
      R"( {"a\n":{"S":"x\"y"}, "n" : { "N" : "1e1" },"m":{"M":{"b":{"L":[]}}},"e":{},"s":{"SS":["q"]},"t":{"NULL":true}} )",
      [&](std::string_view name, Type type, std::string_view raw) {
        seen.push_back(std::string(name) + "|" + tag_of(type) + "|" + std::string(raw));
      });
  CHECK(walked.has_value());
  CHECK(seen == std::vector<std::string>{"a\n|S|\"x\\\"y\"", "n|N|\"1e1\"", "m|M|{\"b\":{\"L\":[]}}", "e|M|{}",
                                         "s|SS|[\"q\"]", "t|NULL|true"});
  const auto ignore = [](std::string_view, Type, std::string_view) {};
  CHECK_FALSE(for_each_attribute(R"({"a":{"S":"x"},"\u0061":{"S":"x"}})", ignore).has_value());
  CHECK_FALSE(for_each_attribute(R"({"a":{"SS":[]}})", ignore).has_value());
  CHECK_FALSE(for_each_attribute("{\"a\":{\"S\":\"\xFF\"}}", ignore).has_value());
  CHECK_FALSE(for_each_attribute(R"({"a":{"S":"x"}} x)", ignore).has_value());
}

TEST_CASE("the walk accepts what the parser accepts and shows the same values") {
  CHECK(rc::check([](std::uint64_t seed) {
    base::Rng rng(seed);
    GenOptions options;
    options.width_max = rng.chance(4) ? 80 : 4;  // more names than are compared one by one
    options.depth_max = 2;
    const Item item = random_item(rng, kSchema, options);
    Item walked;
    const auto done =
        for_each_attribute(random_json(rng, item), [&](std::string_view name, Type type, std::string_view raw) {
          const std::string tagged = "{\"" + std::string(tag_of(type)) + "\":" + std::string(raw) + "}";
          walked.emplace(name, parse_value(tagged).value());
        });
    RC_ASSERT(done.has_value());
    RC_ASSERT(walked == item);
  }));
}

TEST_CASE("more than 32 names are still held apart") {
  std::string json = "{";
  for (int i = 0; i < 100; ++i) json += "\"a" + std::to_string(i) + "\":{\"BOOL\":true},";
  const auto ignore = [](std::string_view, Type, std::string_view) {};
  CHECK(for_each_attribute(json + "\"b\":{\"BOOL\":true}}", ignore).has_value());
  for (const int twice : {0, 31, 32, 99}) {
    CAPTURE(twice);
    CHECK_FALSE(for_each_attribute(json + "\"a" + std::to_string(twice) + "\":{\"BOOL\":true}}", ignore).has_value());
  }
}

TEST_CASE("raw strings are decoded or refused") {
  std::string out = "before ";
  CHECK(append_unescaped(out, R"("a\u00e9\n")").has_value());
  CHECK(out == "before a\xC3\xA9\n");
  for (const std::string raw : {"", "\"", "x", "\"x", "\"x\"y", "\"\\ud800\"", "\"\xFF\""}) {
    CAPTURE(raw);
    CHECK_FALSE(append_unescaped(out, raw).has_value());
  }
  CHECK(out == "before a\xC3\xA9\n");
}

// Worked by hand from the rules that json.cc cites.
TEST_CASE("an item's size is DynamoDB's") {
  const auto size = [](std::string_view value) { return item_size(parse_item(in_item(value)).value()) - 1; };
  CHECK(size(R"({"S":""})") == 0);
  CHECK(size(R"({"S":"é"})") == 2);
  CHECK(size(R"({"B":"AP8="})") == 2);
  CHECK(size(R"({"N":"0"})") == 1);
  CHECK(size(R"({"N":"1"})") == 2);
  CHECK(size(R"({"N":"-1"})") == 3);
  CHECK(size(R"({"N":"12"})") == 2);
  CHECK(size(R"({"N":"1.2"})") == 3);
  CHECK(size(R"({"N":"1200"})") == 2);
  CHECK(size(R"({"BOOL":false})") == 1);
  CHECK(size(R"({"NULL":true})") == 1);
  CHECK(size(R"({"L":[]})") == 3);
  CHECK(size(R"({"L":[{"S":"ab"},{"BOOL":true}]})") == 3 + 1 + 2 + 1 + 1);
  CHECK(size(R"({"M":{"k":{"S":"ab"}}})") == 3 + 1 + 1 + 2);
  CHECK(size(R"({"SS":["a","bc"]})") == 3);
  CHECK(size(R"({"NS":["1","12"]})") == 4);
  CHECK(size(R"({"BS":["AP8=",""]})") == 2);
}

}  // namespace
}  // namespace moveout::item
