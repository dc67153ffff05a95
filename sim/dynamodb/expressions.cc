#include "sim/dynamodb/expressions.h"

#include <fmt/format.h>

#include <cctype>
#include <compare>
#include <vector>

namespace moveout::sim {

namespace json = base::json;

// An expression in words: names, placeholders, operators and punctuation.
struct Expressions::Words {
  explicit Words(std::string_view text) {
    const auto in_word = [text](std::size_t i) {
      return i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == '_');
    };
    for (std::size_t begin = 0; begin < text.size();) {
      if (text[begin] == ' ') {
        ++begin;
        continue;
      }
      const char c = text[begin];
      std::size_t end = begin + 1;
      if (c == '#' || c == ':' || in_word(begin)) {
        while (in_word(end)) ++end;
      } else if ((c == '<' || c == '>') && end < text.size() && (text[end] == '=' || text[end] == '>')) {
        ++end;
      }
      all.emplace_back(text.substr(begin, end - begin));
      begin = end;
    }
  }
  std::string next() { return at < all.size() ? all[at++] : ""; }
  bool take(std::string_view word) {
    if (at == all.size() || all[at] != word) return false;
    ++at;
    return true;
  }
  bool done() const { return at == all.size(); }

  std::vector<std::string> all;
  std::size_t at = 0;
};

namespace {

std::unexpected<ApiError> cannot_parse(const char* member, std::string_view text) {
  return refuse("ValidationException", fmt::format("Invalid {}: Syntax error: {}", member, text));
}

// Only values of one type, and of one that has an order, compare.
std::optional<std::strong_ordering> order_of(const item::Value& a, const item::Value& b) {
  if (a.type() != b.type()) return std::nullopt;
  switch (a.type()) {
    case item::Type::N:
      return a.as<item::Number>() <=> b.as<item::Number>();
    case item::Type::S:
      return a.as<std::string>() <=> b.as<std::string>();
    case item::Type::B:
      return a.as<item::Binary>().bytes <=> b.as<item::Binary>().bytes;
    default:
      return std::nullopt;
  }
}

Api<bool> compared(const item::Value* left, const std::string& op, const item::Value& right) {
  if (op == "=") return left != nullptr && *left == right;
  if (op == "<>") return left == nullptr || !(*left == right);
  const auto order = left == nullptr ? std::nullopt : order_of(*left, right);
  if (op == "<") return order && *order < 0;
  if (op == "<=") return order && *order <= 0;
  if (op == ">") return order && *order > 0;
  if (op == ">=") return order && *order >= 0;
  return cannot_parse("ConditionExpression", op);
}

const json::object* placeholders(const Server::Object& args, const char* member) {
  const json::value* told = args.if_contains(member);
  return told != nullptr && told->is_object() ? &told->as_object() : nullptr;
}

}  // namespace

Api<std::string> Expressions::name_of(std::string_view placeholder) {
  if (!placeholder.starts_with('#')) return std::string(placeholder);
  const json::object* names = placeholders(args_, "ExpressionAttributeNames");
  if (names == nullptr || !names->contains(json::string_view(placeholder.data(), placeholder.size()))) {
    return refuse("ValidationException", fmt::format("An expression attribute name used in the document path is not "
                                                     "defined; attribute name: {}",
                                                     placeholder));
  }
  used_.emplace(placeholder);
  return string_arg(*names, placeholder, "");
}

Api<item::Value> Expressions::value_of(std::string_view placeholder) {
  const json::object* values = placeholders(args_, "ExpressionAttributeValues");
  const json::value* raw = values == nullptr || !placeholder.starts_with(':')
                               ? nullptr
                               : values->if_contains(json::string_view(placeholder.data(), placeholder.size()));
  if (raw == nullptr) {
    return refuse("ValidationException",
                  fmt::format("An expression attribute value used in expression is not defined; attribute value: {}",
                              placeholder));
  }
  used_.emplace(placeholder);
  auto value = item::parse_value(json::serialize(*raw));
  if (!value) return refuse("ValidationException", value.error().what);
  return std::move(*value);
}

Api<bool> Expressions::term(Words& words, const item::Item* standing) {
  const std::string first = words.next();
  const bool exists = first == "attribute_exists", absent = first == "attribute_not_exists";
  if ((exists || absent) && !words.take("(")) return cannot_parse("ConditionExpression", first);
  auto name = name_of(exists || absent ? words.next() : first);
  if (!name) return std::unexpected(name.error());
  const auto at = standing == nullptr ? item::Item::const_iterator() : standing->find(*name);
  const item::Value* left = standing == nullptr || at == standing->end() ? nullptr : &at->second;
  if (exists || absent) {
    if (!words.take(")")) return cannot_parse("ConditionExpression", first);
    return exists == (left != nullptr);
  }
  const std::string op = words.next();
  auto right = value_of(words.next());
  if (!right) return std::unexpected(right.error());
  return compared(left, op, *right);
}

Api<bool> Expressions::holds(const item::Item* standing) {
  auto text = string_arg(args_, "ConditionExpression", "");
  if (!text) return std::unexpected(text.error());
  if (!args_.contains("ConditionExpression")) return true;
  Words words(*text);
  bool any = false;
  do {
    bool all = true;
    do {
      auto one = term(words, standing);
      if (!one) return one;
      all = all && *one;
    } while (words.take("AND"));
    any = any || all;
  } while (words.take("OR"));
  if (!words.done()) return cannot_parse("ConditionExpression", words.next());
  return any;
}

Api<std::string> Expressions::update(item::Item& item, const item::KeySchema& schema) {
  auto text = string_arg(args_, "UpdateExpression", "");
  if (!text) return text;
  Words words(*text);
  while (!words.done()) {
    const std::string clause = words.next();
    if (clause != "SET" && clause != "REMOVE") return cannot_parse("UpdateExpression", clause);
    do {
      auto name = name_of(words.next());
      if (!name) return name;
      if (*name == schema.partition.name || (schema.sort && *name == schema.sort->name)) {
        return refuse("ValidationException",
                      fmt::format("Cannot update attribute {}. This attribute is part of the key", *name));
      }
      if (clause == "REMOVE") {
        item.erase(*name);
        continue;
      }
      if (!words.take("=")) return cannot_parse("UpdateExpression", *name);
      auto value = value_of(words.next());
      if (!value) return std::unexpected(value.error());
      item[*name] = std::move(*value);
    } while (words.take(","));
  }
  return std::string();
}

Api<std::string> Expressions::all_used() {
  for (const char* member : {"ExpressionAttributeNames", "ExpressionAttributeValues"}) {
    const json::object* told = placeholders(args_, member);
    if (told == nullptr) continue;
    for (const auto& each : *told) {
      const std::string name(each.key().data(), each.key().size());
      if (used_.contains(name)) continue;
      return refuse("ValidationException",
                    fmt::format("Value provided in {} unused in expressions: keys: {{{}}}", member, name));
    }
  }
  return std::string();
}

}  // namespace moveout::sim
