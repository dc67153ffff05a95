// Expressions: ConditionExpression and UpdateExpression of the simulated DynamoDB: as much of their grammar as a mover
// and its tests use, with the placeholders checked as the real one checks them.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "sim/dynamodb/server.h"

namespace moveout::sim {

// The expressions of one request, with its ExpressionAttributeNames and ExpressionAttributeValues.
class Expressions {
 public:
  explicit Expressions(const Server::Object& args) : args_(args) {}

  // Whether ConditionExpression holds for what stands; true without one. Of its grammar: attribute_exists(#a),
  // attribute_not_exists(#a), #a OP :v with = <> < <= > >=, AND and OR (AND binds closer), no parentheses around them.
  Api<bool> holds(const item::Item* standing);
  // Applies UpdateExpression: `SET #a = :v, …`, `REMOVE #a, …`, or both. Key attributes are refused.
  Api<std::string> update(item::Item& item, const item::KeySchema& schema);
  // After the others: a placeholder that no expression used is refused.
  Api<std::string> all_used();

 private:
  struct Words;
  Api<std::string> name_of(std::string_view placeholder);
  Api<item::Value> value_of(std::string_view placeholder);
  Api<bool> term(Words& words, const item::Item* standing);

  const Server::Object& args_;
  std::set<std::string> used_;
};

}  // namespace moveout::sim
