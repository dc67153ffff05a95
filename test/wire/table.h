// A place with one table: partition key pk (S), sort key sk (N).
#pragma once

#include <fmt/format.h>

#include <string>

#include "test/wire/places.h"

namespace moveout::test {

template <class Place>
struct WithTable {
  Place place;
  std::string table = Place::fresh_name();

  explicit WithTable(std::string stream = "") {
    if (!stream.empty()) {
      stream = fmt::format(R"(,"StreamSpecification":{{"StreamEnabled":true,"StreamViewType":"{}"}})", stream);
    }
    const Reply made = place.call(
        "CreateTable",
        fmt::format(R"({{"TableName":"{}","BillingMode":"PAY_PER_REQUEST","KeySchema":[{{"AttributeName":"pk",)"
                    R"("KeyType":"HASH"}},{{"AttributeName":"sk","KeyType":"RANGE"}}],"AttributeDefinitions":[)"
                    R"({{"AttributeName":"pk","AttributeType":"S"}},{{"AttributeName":"sk","AttributeType":"N"}}]{}}})",
                    table, stream));
    REQUIRE_MESSAGE(made.status == 200, made.raw);
  }
  Reply call(const std::string& operation, const std::string& members) {
    return place.call(operation,
                      fmt::format(R"({{"TableName":"{}"{}{}}})", table, members.empty() ? "" : ",", members));
  }
  Reply put(const std::string& item) { return call("PutItem", R"("Item":)" + item); }
  Reply get(const std::string& key) { return call("GetItem", R"("ConsistentRead":true,"Key":)" + key); }
  Reply batch(const std::string& operation, const std::string& rest) {
    return place.call(operation, fmt::format(R"({{"RequestItems":{{"{}":{}}}}})", table, rest));
  }
};

inline std::string key(int n) { return fmt::format(R"({{"pk":{{"S":"p{}"}},"sk":{{"N":"{}"}}}})", n % 7, n); }

}  // namespace moveout::test
