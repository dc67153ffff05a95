#include "schema/row_mapper.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/mutant.h"
#include "item/json.h"

namespace moveout::schema {
namespace {

using base::ErrorKind;
using item::Type;

// The longest plain decimal: 1E-130 has 132 characters and a sign, 38 digits below it 37 more.
constexpr std::size_t kNumberTextMax = 176;

// A whole number below 10^18 in canonical form, which nearly all are.
bool small_integer(std::string_view text, std::int64_t* out) {
  const bool negative = text.starts_with('-');
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.size() > 18 || (digits[0] == '0' && text.size() != 1)) return false;
  std::int64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  *out = negative ? -value : value;
  return true;
}

std::string_view unquoted(std::string_view raw) { return raw.substr(1, raw.size() - 2); }

bool has_escape(std::string_view text) { return text.find('\\') != std::string_view::npos; }

// A stream image of DynamoDB Local shows the empty map as {}: readers of the overflow need not know that.
bool may_hold_bare_map(std::string_view raw) {
  for (std::size_t at = raw.find("{}"); at != std::string_view::npos; at = raw.find("{}", at + 2)) {
    if (at < 4 || raw.substr(at - 4, 4) != "\"M\":") return true;
  }
  return false;
}

// Two mistakes of others, for the simulator's mutants: digits beyond a double's, and base64 of base64.
std::string through_double(std::string_view text) {
  char digits[40];
  std::snprintf(digits, sizeof digits, "%.15g", std::strtod(std::string(text).c_str(), nullptr));
  return digits;
}

std::string encoded_twice(std::string_view raw) {
  constexpr std::string_view kTag = "{\"B\":\"";
  std::string out;
  for (std::size_t at; (at = raw.find(kTag)) != std::string_view::npos;) {
    const std::size_t from = at + kTag.size();
    const std::size_t to = raw.find('"', from);
    out += raw.substr(0, from);
    out += item::encode_base64(raw.substr(from, to - from));
    raw.remove_prefix(to);
  }
  return out.append(raw);
}

}  // namespace

RowMapper::RowMapper(Columns columns) : columns_(std::move(columns)), cells_(columns_.columns.size()) {
  for (std::size_t i = 0; i < columns_.columns.size(); ++i) {
    by_name_.emplace(columns_.columns[i].attribute, static_cast<int>(i));
  }
}

int RowMapper::column_of(std::string_view name, std::size_t position) {
  if (position < guesses_.size() && guesses_[position].name == name) return guesses_[position].column;
  const auto found = by_name_.find(name);
  const int column = found == by_name_.end() ? -1 : found->second;
  if (position == guesses_.size() && position < 256) {
    guesses_.push_back({std::string(name), column});
  } else if (position < guesses_.size()) {
    guesses_[position].name = name;
    guesses_[position].column = column;
  }
  return column;
}

base::Result<> RowMapper::map(std::string_view item_json) {
  for (Cell& cell : cells_) cell = Cell();
  overflow_.clear();
  memory_.clear();
  // Decoding never lengthens a text, except for numbers with exponents.
  memory_.reserve(item_json.size() + kNumberTextMax * columns_.columns.size());
  position_ = 0;
  failed_ = {};
  auto walked = item::for_each_attribute(
      item_json, [this](std::string_view name, Type type, std::string_view raw) { take(name, type, raw); });
  if (!walked) return walked;
  if (!failed_) return failed_;
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    if (columns_.columns[i].key && cells_[i].kind == Cell::Kind::Null) {
      return base::fail(ErrorKind::Corrupt, "an item without its key attribute " + columns_.columns[i].attribute);
    }
  }
  if (!overflow_.empty()) overflow_ += '}';
  return {};
}

void RowMapper::take(std::string_view name, Type type, std::string_view raw) {
  const int column = column_of(name, position_++);
  if (column < 0 && base::mutant("attributes_beyond_sample_lost")) return;
  if (column < 0 || columns_.columns[static_cast<std::size_t>(column)].type != type) {
    return add_to_overflow(name, type, raw);
  }
  if (auto filled = fill(cells_[static_cast<std::size_t>(column)], type, raw); !filled && failed_) {
    failed_ = std::move(filled);
  }
}

base::Result<> RowMapper::fill(Cell& cell, Type type, std::string_view raw) {
  if (type == Type::Bool) {
    cell = {Cell::Kind::Integer, raw == "true" ? 1 : 0, {}};
    return {};
  }
  std::string_view text = unquoted(raw);
  const std::size_t from = memory_.size();
  if (type == Type::B) {
    auto bytes = item::decode_base64(raw);
    if (!bytes) return base::fail(std::move(bytes.error()));
    memory_ += *bytes;
    cell = {Cell::Kind::Blob, 0, kept(from)};
    return {};
  }
  if (has_escape(text)) {
    if (auto plain = item::append_unescaped(memory_, raw); !plain) return plain;
    text = kept(from);
  }
  if (type == Type::N) return number(cell, text);
  cell = {Cell::Kind::Text, 0, text};
  return {};
}

base::Result<> RowMapper::number(Cell& cell, std::string_view text) {
  std::int64_t integer = 0;
  std::string lossy;
  if (base::mutant("numbers_through_double")) {
    lossy = through_double(text);
    text = lossy;
  }
  if (!small_integer(text, &integer)) {
    auto number = item::Number::parse(text);
    if (!number) return base::fail(std::move(number.error()));
    if (!number->to_int64(&integer)) {
      const std::size_t from = memory_.size();
      number->append_to(memory_);
      cell = {Cell::Kind::Text, 0, kept(from)};
      return {};
    }
  }
  cell = {Cell::Kind::Integer, integer, {}};
  return {};
}

void RowMapper::add_to_overflow(std::string_view name, Type type, std::string_view raw) {
  overflow_ += overflow_.empty() ? '{' : ',';
  item::append_json_string(overflow_, name);
  overflow_ += ":{\"";
  overflow_ += item::tag_of(type);
  overflow_ += "\":";
  if ((type == Type::L || type == Type::M) && raw.size() > 2 && may_hold_bare_map(raw)) {
    std::string tagged = "{\"" + std::string(item::tag_of(type)) + "\":" + std::string(raw) + "}";
    auto value = item::parse_value(tagged);
    if (!value) {
      if (failed_) failed_ = base::fail(std::move(value.error()));
      return;
    }
    tagged = item::to_json(*value);
    overflow_.append(tagged, tagged.find(':') + 1);
    return;
  }
  if (type != Type::B && base::mutant("nested_binary_encoded_twice")) {
    overflow_ += encoded_twice(raw);
  } else {
    overflow_ += raw;
  }
  overflow_ += '}';
}

base::Result<> RowMapper::map_key(std::string_view encoded) {
  for (Cell& cell : cells_) cell = Cell();
  overflow_.clear();
  memory_.clear();
  memory_.reserve(encoded.size() + kNumberTextMax * 2);
  for (std::size_t i = 0; i < cells_.size() && columns_.columns[i].key; ++i) {
    if (encoded.size() < 5) return base::fail(ErrorKind::Corrupt, "a key that no encoder wrote");
    const auto byte = [&](std::size_t at) { return std::size_t{static_cast<unsigned char>(encoded[at])}; };
    const std::size_t size = byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
    const char letter = encoded[0];
    encoded.remove_prefix(5);
    if (item::tag_of(columns_.columns[i].type)[0] != letter || encoded.size() < size) {
      return base::fail(ErrorKind::Corrupt, "a key that is not of the table's types");
    }
    const std::string_view bytes = encoded.substr(0, size);
    encoded.remove_prefix(size);
    if (columns_.columns[i].type == Type::N) {
      if (auto done = number(cells_[i], bytes); !done) return done;
    } else {
      cells_[i] = {letter == 'B' ? Cell::Kind::Blob : Cell::Kind::Text, 0, bytes};
    }
  }
  if (!encoded.empty()) return base::fail(ErrorKind::Corrupt, "a key with more parts than the table's");
  return {};
}

base::Result<item::Item> item_of_row(const Columns& columns, const std::vector<Cell>& cells,
                                     std::string_view overflow) {
  item::Item item;
  if (!overflow.empty()) {
    auto rest = item::parse_item(overflow);
    if (!rest) return base::fail(std::move(rest.error()));
    item = std::move(*rest);
  }
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Cell& cell = cells[i];
    const Column& column = columns.columns[i];
    if (cell.kind == Cell::Kind::Null) continue;
    item::Value value;
    if (column.type == Type::S && cell.kind == Cell::Kind::Text) {
      value = item::Value(item::Value::Variant(std::string(cell.bytes)));
    } else if (column.type == Type::B && cell.kind == Cell::Kind::Blob) {
      value = item::Value(item::Value::Variant(item::Binary{std::string(cell.bytes)}));
    } else if (column.type == Type::Bool && cell.kind == Cell::Kind::Integer) {
      value = item::Value(item::Value::Variant(cell.integer != 0));
    } else if (column.type == Type::N && cell.kind == Cell::Kind::Integer) {
      value = item::Value(item::Value::Variant(item::Number::of(cell.integer)));
    } else if (column.type == Type::N && cell.kind == Cell::Kind::Text) {
      auto number = item::Number::parse(cell.bytes);
      if (!number) return base::fail(std::move(number.error()));
      value = item::Value(item::Value::Variant(*number));
    } else {
      return base::fail(ErrorKind::Corrupt, "column " + column.attribute + " holds a value of another type");
    }
    item.insert_or_assign(column.attribute, std::move(value));
  }
  return item;
}

}  // namespace moveout::schema
