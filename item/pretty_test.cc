#include "item/pretty.h"

#include <doctest/doctest.h>

#include "base/rng.h"
#include "item/gen.h"
#include "item/json.h"

using namespace moveout;
using namespace moveout::item;

namespace {

std::string pretty(std::string_view json, int level = 0) {
  std::string out;
  append_pretty(out, json, level);
  return out;
}

}  // namespace

TEST_CASE("an item is laid out as Python does it") {
  CHECK(pretty(R"({"a":{"S":"x"},"e":{"M":{}},"l":{"L":[{"N":"1"},{"BOOL":true}]},"s":{"SS":["a","b"]},"z":{"L":[ ]}})",
               1) ==
        R"({
        "a": {
            "S": "x"
        },
        "e": {
            "M": {}
        },
        "l": {
            "L": [
                {
                    "N": "1"
                },
                {
                    "BOOL": true
                }
            ]
        },
        "s": {
            "SS": [
                "a",
                "b"
            ]
        },
        "z": {
            "L": []
        }
    })");
}

TEST_CASE("a text has the escapes that Python gives it, and no others") {
  CHECK(pretty(R"("\u003c\/\u00e9\ud83c\udf4b\n\b\f\u0000\u001F\\\"\u007f")") ==
        "\"</\xC3\xA9\xF0\x9F\x8D\x8B\\n\\b\\f\\u0000\\u001f\\\\\\\"\x7F\"");
}

TEST_CASE("what is laid out reads back as the same item") {
  const KeySchema schema{{"pk", KeyType::S}, {}};
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    base::Rng rng(seed);
    const Item item = random_item(rng, schema);
    CHECK(parse_item(pretty(random_json(rng, item), 2)).value() == item);
  }
}
