// The two cursors are one grammar over two ways to find tokens: they must agree on every text.
#include "item/cursor.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <simdjson.h>

#include <string>
#include <tuple>
#include <vector>

#include "base/rng.h"
#include "item/gen.h"
#include "item/index.h"

namespace moveout::item {
namespace {

const KeySchema kSchema{{"pk", KeyType::S}, KeyAttribute{"sk", KeyType::N}};

// What a walk showed; nothing when the text was refused.
struct Walked {
  bool good = false;
  std::vector<std::tuple<std::string, Type, std::string>> attributes;
  bool any = false;
  friend bool operator==(const Walked&, const Walked&) = default;
};

template <class AnyCursor>
Walked walk(const AnyCursor& start) {
  Walked walked;
  AnyCursor attributes = start;
  walked.good = attributes.attributes([&](const RawString& name, Type type, std::string_view raw) {
    walked.attributes.emplace_back(name.text, type, raw);
    return true;
  }) && attributes.finish();
  if (!walked.good) walked.attributes.clear();
  AnyCursor any = start;
  walked.any = any.any_value() && any.finish();
  return walked;
}

Walked walk_text(const std::string& text) {
  if (find_invalid_utf8(text) != std::string::npos) return {};
  return walk(Cursor(text));
}
Walked walk_index(const std::string& text) {
  static Index index;
  if (!index.build(text)) return {};
  return walk(IndexCursor(text, index));
}

bool is_json(const std::string& text) {
  static simdjson::dom::parser parser;
  simdjson::dom::element root;
  return parser.parse(text).get(root) == simdjson::SUCCESS;
}

void check(const std::string& text) {
  const Walked by_text = walk_text(text);
  const Walked by_index = walk_index(text);
  const bool agree = by_text == by_index && by_text.any == is_json(text) && (!by_text.good || by_text.any);
  if (agree) return;
  CAPTURE(text);
  CHECK(by_text.good == by_index.good);
  CHECK(by_text.any == by_index.any);
  CHECK(by_text.attributes == by_index.attributes);
  CHECK(by_text.any == is_json(text));
}

const std::vector<std::string>& tokens() {
  static const std::vector<std::string> all = {"\"S\"",
                                               "\"N\"",
                                               "\"B\"",
                                               "\"M\"",
                                               "\"L\"",
                                               "\"SS\"",
                                               "\"NS\"",
                                               "\"BS\"",
                                               "\"BOOL\"",
                                               "\"NULL\"",
                                               "\"X\"",
                                               "true",
                                               "false",
                                               "null",
                                               "truex",
                                               "1",
                                               "-0",
                                               "01",
                                               "1.",
                                               "1e40",
                                               "\"\"",
                                               "\"a\"",
                                               "{",
                                               "}",
                                               "[",
                                               "]",
                                               ",",
                                               ":",
                                               "{}",
                                               "[]",
                                               "\"",
                                               "\\",
                                               "\\\\",
                                               "\\\"",
                                               "\\u0031",
                                               "\\u00",
                                               "\\ud800",
                                               "\\udc00",
                                               "x",
                                               " ",
                                               "\n",
                                               "\t",
                                               "\v",
                                               "\f",
                                               "\x1A",
                                               "\x80",
                                               "\xC3\xA9",
                                               "'",
                                               "/",
                                               std::string(1, '\0'),
                                               "{\"S\":\"x\"}",
                                               "{\"M\":\"x\"}"};
  return all;
}

// Where a token may be put in: between all that JSON tells apart.
std::vector<std::size_t> borders(const std::string& text) {
  std::vector<std::size_t> found = {0};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (std::string_view("{}[],:\"\\ ").find(text[i]) == std::string_view::npos) continue;
    if (found.back() != i) found.push_back(i);
    found.push_back(i + 1);
  }
  if (found.back() != text.size()) found.push_back(text.size());
  return found;
}

TEST_CASE("both cursors agree on every text that is one token away from an item") {
  const std::vector<std::string> items = {
      R"({"a":{"S":"x"},"bc":{"N":"1"},"d":{"B":"AA=="}})",
      R"({"a" : {"S":"x"}, "b":{ "S":"x"},"c":{"S" :"x"},"d":{"S": "x"},"e":{"S":"x" } })",
      R"({"t":{"BOOL":true},"f":{"BOOL":false},"n":{"NULL":true},"e":{}})",
      R"({"l":{"L":[{"S":"x"},{"L":[]},{"M":{}},{"BOOL":true}]},"m":{"M":{"k":{"S":"v"},"k":{"M":{}}}}})",
      R"({"s":{"SS":["a","b"]},"n":{"NS":["1"]},"b":{"BS":["AA==",""]}})",
      R"({"q\"":{"S":"\\"},"\u00e9":{"S":"a\"b\ud83d\ude00"},"é":{"S":"{\"S\":\"x\"}"}})",
      R"({})"};
  for (const std::string& item : items) {
    check(item);
    CHECK(walk_text(item).good);
    const std::vector<std::size_t> places = borders(item);
    for (std::size_t i = 0; i < places.size(); ++i) {
      check(item.substr(0, places[i]));
      check(item.substr(places[i]));
      // Nothing, or a token, in place of up to four pieces.
      for (std::size_t j = i; j < std::min(i + 5, places.size()); ++j) {
        const std::string before = item.substr(0, places[i]);
        const std::string after = item.substr(places[j]);
        check(before + after);
        for (const std::string& token : tokens()) check(before + token + after);
      }
    }
  }
}

TEST_CASE("both cursors agree on random items, whole and altered") {
  CHECK(rc::check([](std::uint64_t seed) {
    base::Rng rng(seed);
    std::string text = random_json(rng, random_item(rng, kSchema));
    check(text);
    RC_ASSERT(walk_text(text).good);
    for (int i = 0; i < 3; ++i) {
      const std::size_t at = rng.below(text.size() + 1);
      text.replace(at, std::min<std::size_t>(rng.below(3), text.size() - at), tokens()[rng.below(tokens().size())]);
      check(text);
    }
  }));
}

TEST_CASE("both cursors agree at the depth where values end") {
  for (const int levels : {30, 31, 32, 33}) {
    for (const char* inner : {R"({"S":"x"})", "{}", R"({"L":[]})", R"({"M":{}})", R"({"SS":["x"]})"}) {
      std::string lists = inner;
      std::string maps = inner;
      for (int i = 0; i < levels; ++i) {
        lists = "{\"L\":[" + lists + "]}";
        maps = "{\"M\":{\"m\":" + maps + "}}";
      }
      check("{\"a\":" + lists + "}");
      check("{\"a\":" + maps + "}");
    }
  }
}

TEST_CASE("the first special byte is found wherever the text ends") {
  for (std::size_t size = 0; size <= 50; ++size) {
    for (std::size_t from = 0; from <= size; ++from) {
      // A buffer of its own, so that a sanitizer sees a read outside.
      std::vector<char> text(size, '~');
      const auto found = [&] {
        return find_special(text.data(), text.data() + from, text.data() + size) - text.data();
      };
      CHECK(found() == static_cast<std::ptrdiff_t>(size));
      for (std::size_t at = 0; at < size; ++at) {
        for (const char special : {'"', '\\', '\0', '\x1F'}) {
          text[at] = special;
          CHECK(found() == static_cast<std::ptrdiff_t>(at < from ? size : at));
        }
        text[at] = '\xFF';
      }
    }
  }
}

TEST_CASE("the place of the first byte that is not UTF-8 is found") {
  CHECK(find_invalid_utf8("") == std::string::npos);
  CHECK(find_invalid_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80") == std::string::npos);
  CHECK(find_invalid_utf8("ab\x80") == 2);
  CHECK(find_invalid_utf8("ab\xC3") == 2);
  CHECK(find_invalid_utf8("\xC3\xA9\xED\xA0\x80") == 2);
  CHECK(find_invalid_utf8("\xF4\x90\x80\x80") == 0);
  CHECK(find_invalid_utf8(std::string(100, 'x') + "\xE2\x82") == 100);
}

}  // namespace
}  // namespace moveout::item
