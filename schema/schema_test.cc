#include <doctest/doctest.h>

#include "item/json.h"
#include "item/key.h"
#include "schema/columns.h"
#include "schema/row_mapper.h"
#include "schema/sqlite_ddl.h"

using namespace moveout;
using namespace moveout::schema;
using base::ErrorKind;
using item::Type;

namespace {

const item::KeySchema kId{{"id", item::KeyType::S}, std::nullopt};
const item::KeySchema kIdAt{{"id", item::KeyType::S}, item::KeyAttribute{"at", item::KeyType::N}};

Columns wide() { return {{{"id", Type::S, true}, {"n", Type::N}, {"b", Type::B}, {"ok", Type::Bool}, {"s", Type::S}}}; }

// What stands in the row is the item: whatever its shape, it comes back equal.
void check_round_trip(const Columns& columns, const std::string& json) {
  CAPTURE(json);
  RowMapper mapper(columns);
  const auto mapped = mapper.map(json);
  REQUIRE(mapped);
  auto back = item_of_row(columns, mapper.cells(), mapper.overflow());
  REQUIRE(back);
  CHECK(item::to_json(*back) == item::to_json(*item::parse_item(json)));
}

Cell text(std::string_view t) { return {Cell::Kind::Text, 0, t}; }
Cell integer(std::int64_t n) { return {Cell::Kind::Integer, n, {}}; }

}  // namespace

TEST_CASE("columns are the keys and the scalars seen in a tenth of the items") {
  Sampler sampler(kIdAt);
  for (int i = 0; i < 100; ++i) {
    std::string item = R"({"id":{"S":"a"},"at":{"N":"1"},"often":{"S":"x"})";
    if (i < 10) item += R"(,"tenth":{"BOOL":true})";
    if (i < 9) item += R"(,"rare":{"S":"x"})";
    item += i < 60 ? R"(,"mixed":{"N":"1"})" : R"(,"mixed":{"S":"1"})";
    item += i < 60 ? R"(,"mostly_list":{"L":[]})" : R"(,"mostly_list":{"S":"1"})";
    item += R"(,"Often":{"S":"case twin"},"attributes":{"S":"ours"},"_MOVEOUT_x":{"S":"ours"},"rowid":{"N":"1"}})";
    REQUIRE(sampler.see(item));
  }
  CHECK(sampler.seen() == 100);
  const Columns columns = sampler.columns(Dialect::Sqlite);
  CHECK(columns == Columns{{{"id", Type::S, true},
                            {"at", Type::N, true},
                            {"Often", Type::S},
                            {"mixed", Type::N},
                            {"tenth", Type::Bool}}});
  CHECK(*from_text(to_text(columns)) == columns);
  CHECK(!from_text("[{}]"));
  CHECK(!sampler.see("{"));
}

TEST_CASE("no more than 64 columns beside the keys, whatever the names") {
  Sampler sampler(kId);
  for (int i = 0; i < 30; ++i) {
    std::string item = R"({"id":{"S":"a"})";
    for (int a = 0; a < 1000; ++a) item += ",\"" + std::to_string(i * 1000 + a) + R"(":{"S":"x"})";
    for (int a = 0; a < 100; ++a) item += ",\"c" + std::to_string(a) + R"(":{"S":"x"})";
    REQUIRE(sampler.see(item + "}"));
  }
  CHECK(sampler.columns(Dialect::Sqlite).columns.size() == 65);
  CHECK(sampler.columns(Dialect::Sqlite).columns[1].attribute == "c0");
}

TEST_CASE("keys and tables that SQLite cannot hold are refused by name") {
  CHECK(check_keys(kIdAt, Dialect::Sqlite));
  const auto refused = check_keys({{"Attributes", item::KeyType::S}, std::nullopt}, Dialect::Sqlite);
  REQUIRE(!refused);
  CHECK(refused.error().kind == ErrorKind::Usage);
  CHECK(refused.error().what.find("\"Attributes\"") != std::string::npos);
  CHECK(!check_keys({{"_moveout_k", item::KeyType::S}, std::nullopt}, Dialect::Sqlite));
  CHECK(!check_keys({{"Id", item::KeyType::S}, item::KeyAttribute{"id", item::KeyType::S}}, Dialect::Sqlite));
  CHECK(check_table_name("orders", Dialect::Sqlite));
  CHECK(check_table_name("or\"d-e.r", Dialect::Sqlite));
  CHECK(check_table_name("SQLite_x", Dialect::Sqlite).error().kind == ErrorKind::Usage);
  CHECK(!check_table_name("_moveout_guard_t", Dialect::Sqlite));
  CHECK(!check_table_name("", Dialect::Sqlite));
}

TEST_CASE("values find their columns and everything else the overflow") {
  RowMapper mapper(wide());
  REQUIRE(mapper.map(
      R"({"s":{"S":"a\nü"},"id":{"S":"k"},"n":{"N":"-42"},"b":{"B":"AP8="},"ok":{"BOOL":false},"x":{"S":"y"}})"));
  CHECK(mapper.cells()[0] == text("k"));
  CHECK(mapper.cells()[1] == integer(-42));
  CHECK(mapper.cells()[2] == Cell{Cell::Kind::Blob, 0, std::string_view("\0\xff", 2)});
  CHECK(mapper.cells()[3] == integer(0));
  CHECK(mapper.cells()[4] == text("a\nü"));
  CHECK(mapper.overflow() == R"({"x":{"S":"y"}})");
  REQUIRE(mapper.map(R"({"id":{"S":"k"},"n":{"S":"not a number"},"ok":{"NULL":true}})"));
  CHECK(mapper.cells()[1] == Cell());
  CHECK(mapper.overflow() == R"({"n":{"S":"not a number"},"ok":{"NULL":true}})");
  REQUIRE(mapper.map(R"({"id":{"S":"k"}})"));
  CHECK(mapper.overflow().empty());
}

TEST_CASE("numbers are integers where they fit and exact text where not") {
  RowMapper mapper(wide());
  const auto number = [&](const char* n) {
    REQUIRE(mapper.map(std::string(R"({"id":{"S":"k"},"n":{"N":")") + n + "\"}}"));
    return mapper.cells()[1];
  };
  CHECK(number("0") == integer(0));
  CHECK(number("-0") == integer(0));
  CHECK(number("007") == integer(7));
  CHECK(number("1.0") == integer(1));
  CHECK(number("1e3") == integer(1000));
  CHECK(number("9223372036854775807") == integer(INT64_MAX));
  CHECK(number("-9223372036854775808") == integer(INT64_MIN));
  CHECK(number("9223372036854775808") == text("9223372036854775808"));
  CHECK(number("12345678901234567890123456789012345678") == text("12345678901234567890123456789012345678"));
  CHECK(number("0.10") == text("0.1"));
  CHECK(number("1E-130").bytes.size() == 132);
  CHECK(number("9.9999999999999999999999999999999999999E+125").bytes.size() == 126);
}

TEST_CASE("every item comes back from its row as it was") {
  for (const Columns& columns : {wide(), keys_only(kId)}) {
    check_round_trip(columns, R"({"id":{"S":"k"}})");
    check_round_trip(columns, R"({"id":{"S":"nul\u0000 quote\" \ud83d\ude00"},"s":{"S":""},"b":{"B":""}})");
    check_round_trip(columns, R"({"id":{"S":"k"},"n":{"N":"0.00000000000000000000000000000000000000000000000001"}})");
    check_round_trip(columns, R"({"id":{"S":"k"},"ok":{"BOOL":true},"n":{"NULL":true},"s":{"N":"5"},"b":{"S":"b"}})");
    check_round_trip(columns, R"({"id":{"S":"k"},"l":{"L":[{"M":{}},{"M":{"x":{"NS":["1","2.50"]}}}]},"m":{"M":{}}})");
    check_round_trip(columns, R"({"id":{"S":"k"},"we\"ird\\\n":{"SS":["a","b\u0001"]},"bs":{"BS":["AA==","/w=="]}})");
    check_round_trip(columns, R"({"id":{"S":"k"},"bare":{},"in":{"L":[{},{"S":"{}"}]},"m":{"M":{"a":{}}}})");
  }
}

TEST_CASE("an empty map that came bare stands in the overflow as one") {
  RowMapper mapper(keys_only(kId));
  REQUIRE(mapper.map(R"({"id":{"S":"k"},"a":{},"m":{"M":{"a":{}}}})"));
  CHECK(mapper.overflow() == R"({"a":{"M":{}},"m":{"M":{"a":{"M":{}}}}})");
}

TEST_CASE("malformed items are refused, not guessed") {
  RowMapper mapper(wide());
  for (const char* json :
       {R"({"n":{"N":"1"}})", R"({"id":{"N":"1"}})", R"({"id":{"S":"k"},"n":{"N":"x"}})",
        R"({"id":{"S":"k"},"b":{"B":"!"}})", R"({"id":{"S":"k"})", R"({"id":{"S":"k"},"id":{"S":"k"}})"}) {
    CAPTURE(json);
    const auto mapped = mapper.map(json);
    REQUIRE(!mapped);
    CHECK(mapped.error().kind == ErrorKind::Corrupt);
  }
  CHECK(mapper.map(R"({"id":{"S":"k"}})"));
}

TEST_CASE("an encoded key gives the key's cells alone") {
  RowMapper mapper({{{"id", Type::S, true}, {"at", Type::N, true}, {"x", Type::S}}});
  const auto key = item::key_of_json(kIdAt, R"({"id":{"S":"k"},"at":{"N":"12.50"}})");
  REQUIRE(key);
  REQUIRE(mapper.map_key(key->encoded()));
  CHECK(mapper.cells() == std::vector<Cell>{text("k"), text("12.5"), Cell()});
  CHECK(!mapper.map_key("S"));
  CHECK(!mapper.map_key(key->encoded() + "S"));
}

TEST_CASE("the DDL names every column by its declared type and quotes what needs it") {
  const Columns columns{{{"i\"d", Type::S, true}, {"select", Type::N, true}, {"b", Type::B}, {"ok", Type::Bool}}};
  CHECK(sqlite_create_table("or-d\"", columns, SqliteKey::Primary) ==
        "CREATE TABLE \"or-d\"\"\"(\n  \"i\"\"d\" TEXT NOT NULL,\n  \"select\" ANY NOT NULL,\n  \"b\" BLOB,\n"
        "  \"ok\" INTEGER,\n  \"attributes\" TEXT,\n  PRIMARY KEY(\"i\"\"d\",\"select\")\n) STRICT");
  CHECK(sqlite_create_table("t", keys_only(kId), SqliteKey::Deferred) ==
        "CREATE TABLE \"t\"(\n  \"id\" TEXT NOT NULL,\n  \"attributes\" TEXT\n) STRICT");
  CHECK(sqlite_key_index("t", keys_only(kId)) ==
        "CREATE UNIQUE INDEX IF NOT EXISTS \"_moveout_key_t\" ON \"t\"(\"id\")");
}
