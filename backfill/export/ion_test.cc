#include "backfill/export/ion.h"

#include <doctest/doctest.h>

#include "backfill/export/ion_text.h"
#include "item/json.h"

using namespace moveout;
using namespace moveout::backfill;
using base::ErrorKind;

TEST_CASE("every Ion value of an export becomes what DynamoDB has for it") {
  // As written by the service, and by the amazon.ion library.
  const auto map = parse_ion_struct(
      "$ion_1_0 {s:\"a\\n\\\"\\x41\\u20ac\\U0001F600\\ud83d\\ude00\", 'odd name':'''lo''' '''ng''', n:103., m:6d2, "
      "p:-0.5D-3, i:42,"
      "b:{{ AP8= }},t:true,f:false,z:null,y:null.null,l:[1d0,\"x\",[],],d:{k:\"v\"},ss:$dynamodb_SS::[\"b\",\"a\"],"
      "ns:$dynamodb_NS:: [2d0,1.5],bs:$dynamodb_BS::[{{AA==}}],$x:\"\\0\",\"quoted\":\"\"}");
  REQUIRE_MESSAGE(map.has_value(), (map ? "" : map.error().what));
  CHECK(
      item::to_json(*map) ==
      item::to_json(*item::parse_item(
          "{\"s\":{\"S\":\"a\\n\\\"A€😀😀\"},\"odd name\":{\"S\":\"long\"},\"n\":{\"N\":\"103\"},\"m\":{\"N\":\"600\"},"
          "\"p\":{\"N\":\"-0.0005\"},\"i\":{\"N\":\"42\"},\"b\":{\"B\":\"AP8=\"},\"t\":{\"BOOL\":true},\"f\":{\"BOOL\":"
          "false},"
          "\"z\":{\"NULL\":true},\"y\":{\"NULL\":true},\"l\":{\"L\":[{\"N\":\"1\"},{\"S\":\"x\"},{\"L\":[]}]},"
          "\"d\":{\"M\":{\"k\":{\"S\":\"v\"}}},\"ss\":{\"SS\":[\"a\",\"b\"]},\"ns\":{\"NS\":[\"1.5\",\"2\"]},"
          "\"bs\":{\"BS\":[\"AA==\"]},\"$x\":{\"S\":\"\\u0000\"},\"quoted\":{\"S\":\"\"}}")));
}

TEST_CASE("what DynamoDB has no value for, and what is no Ion, is refused with its place and without its text") {
  for (const char* text : {"",
                           "{",
                           "{a}",
                           "{a:}",
                           "{a:secret}",
                           "{a:\"secret}",
                           "{a:1e5}",
                           "{a:0x10}",
                           "{a:1_000}",
                           "{a:2020-01-01T}",
                           "{a:nan}",
                           "{a:(b c)}",
                           "{a:{{\"clob\"}}}",
                           "{a:{{AP8}}}",
                           "{a:null.string}",
                           "{a:$dynamodb_SS::[]}",
                           "{a:$dynamodb_SS::[1.]}",
                           "{a:$dynamodb_SS::[\"a\",\"a\"]}",
                           "{a:$other::[\"a\"]}",
                           "{a:[1.}",
                           "{a:1.,a:2.}",
                           "{a:\"\\q\"}",
                           "{a:\"\\ud800\"}",
                           "{a:\"\\U00110000\"}",
                           "{a:1.} {b:2.}",
                           "{a:1. b:2.}",
                           "{a:1d}",
                           "{a:1.2.3}",
                           "{a:123456789012345678901234567890123456789.}",
                           "{1:2.}",
                           "{a:true1}",
                           "$ion_1_1 {}"}) {
    CAPTURE(std::string(text));
    const auto map = parse_ion_struct(text);
    REQUIRE(!map.has_value());
    CHECK(map.error().kind == ErrorKind::Corrupt);
    CHECK(map.error().what.find("secret") == std::string::npos);
  }
  std::string deep = "{a:";
  for (int i = 0; i < 100000; ++i) deep += "[";
  CHECK(!parse_ion_struct(deep).has_value());
}

TEST_CASE("records are read with their times, keys and deletes") {
  RecordRules rules{{{"id", item::KeyType::S}, std::nullopt}, {3, item::Band::Backfill, 7}, false, false};
  item::Batch batch;
  auto read = read_ion_lines("$ion_1_0 {Item:{id:\"a\",n:1.}}\n$ion_1_0 {Item:{id:\"b\"}}\n", rules, 1, batch);
  REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().what));
  CHECK(read->items == 2);
  CHECK(batch[0].image == "{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"1\"}}");
  CHECK(batch[0].version == rules.version);

  rules.incremental = true;
  const std::string line = "$ion_1_0 {Metadata:{WriteTimestampMicros:1693685934212000.},Keys:{id:\"a\"}";
  item::Batch changes;
  read = read_ion_lines(line + ",OldImage:{id:\"a\"},NewImage:{id:\"a\",n:2.}}\n" + line + ",OldImage:{id:\"a\"}}\n",
                        rules, 1, changes);
  REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().what));
  CHECK(changes[0].version == item::Version{3, item::Band::Incremental, 1693685934212000});
  CHECK(!changes[0].is_delete());
  CHECK(changes[1].is_delete());
  const auto key = key_of_ion_record(line + "}");
  REQUIRE(key.has_value());
  CHECK(*key == rules.key);

  for (const std::string& bad : {line + ",NewImage:{id:\"b\"}}", std::string("{Item:{id:\"a\"}}"), line + ",Other:{}}",
                                 std::string("{Metadata:{WriteTimestampMicros:\"5\"},Keys:{id:\"a\"}}")}) {
    CAPTURE(bad);
    item::Batch none;
    const auto refused = read_ion_lines(bad + "\n", rules, 9, none);
    REQUIRE(!refused.has_value());
    CHECK(refused.error().what.starts_with("item 9: "));
  }
}
