#include "item/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "item/cursor.h"

namespace moveout::item {
namespace {

using base::ErrorKind;
using base::Result;
using Inside = DocumentPlace::Inside;

constexpr std::size_t kNameMax = 32;    // longer than any that matters
constexpr std::size_t kScalarMax = 64;  // longer than any count
constexpr std::size_t kTextBytes = std::size_t{1} << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view word(std::string_view* text) {
  const std::size_t end = std::min(text->find(' '), text->size());
  const std::string_view taken = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return taken;
}

bool number(std::string_view text, std::uint64_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::string DocumentPlace::to_text() const {
  return fmt::format("{} {} {} {} {} {}", offset, items, static_cast<char>(inside), document_items,
                     count ? std::to_string(*count) : "-", more ? 1 : 0);
}

Result<DocumentPlace> DocumentPlace::parse(std::string_view text) {
  DocumentPlace place;
  const bool first = number(word(&text), &place.offset) && number(word(&text), &place.items);
  const std::string_view inside = word(&text);
  const bool within = number(word(&text), &place.document_items);
  const std::string_view count = word(&text);
  if (count != "-") place.count.emplace();
  const bool counted = count == "-" || number(count, &*place.count);
  place.more = text == "1";
  if (!first || inside.size() != 1 || std::string_view("naib").find(inside) == std::string_view::npos || !within ||
      !counted || (text != "0" && text != "1")) {
    return base::fail(ErrorKind::Corrupt, "a place in a file of items cannot be read");
  }
  place.inside = static_cast<Inside>(inside[0]);
  return place;
}

std::uint64_t DocumentPage::offset_of(std::size_t at) const {
  const auto behind = std::ranges::upper_bound(runs_, at, {}, &Run::from);
  MOVEOUT_ASSERT(behind != runs_.begin());
  return std::prev(behind)->offset + (at - std::prev(behind)->from);
}

DocumentReader::DocumentReader(DocumentPlace from) : place_(from), piece_offset_(from.offset) {
  in_array_ = from.inside == Inside::Array || from.inside == Inside::ItemsInArray;
  in_document_ = in_items_ = items_seen_ = from.inside == Inside::Items || from.inside == Inside::ItemsInArray;
  if (in_array_) frames_[depth_++] = '[';
  if (in_document_) {
    frames_[depth_++] = '{';
    frames_[depth_++] = '[';
  }
  if (depth_ > 0) expect_ = Expect::CommaOrEnd;
  text_.reserve(kTextBytes + kTextBytes / 8);
}

Result<> DocumentReader::feed(std::string_view piece) {
  MOVEOUT_ASSERT(result_.has_value());
  piece_begin_ = run_ = piece.data();
  const char* at = piece.data();
  const char* const end = at + piece.size();
  if (capturing_) runs_.push_back({static_cast<std::uint32_t>(text_.size()), piece_offset_});
  bool good = true;
  while (good && at != end) {
    if (token_ == Token::String || token_ == Token::Escape) {
      at = string(at, end);
      good = at != nullptr;
      continue;
    }
    if (token_ == Token::Scalar) {
      at = scalar(at, end);
      if (at == end) break;
      token_ = Token::None;
      good = end_scalar(at) && end_value(at);
      continue;
    }
    switch (*at) {
      case ' ':
      case '\n':
      case '\r':
      case '\t':
        flush(at);
        do ++at;
        while (at != end && is_json_space(*at));
        run_ = at;
        if (capturing_) runs_.push_back({static_cast<std::uint32_t>(text_.size()), offset_of(at)});
        continue;
      case '"':
        good = begin_string(at);
        break;
      case ':':
      case ',':
        good = mark(at);
        break;
      case '{':
      case '[':
        good = open(at);
        break;
      case '}':
      case ']':
        good = close(at);
        break;
      default:
        good = other(at);
    }
    ++at;
  }
  if (good) {
    flush(end);
    if (capturing_ && text_.size() - item_from_ > kItemTextMax) {
      return result_ = base::fail(ErrorKind::Corrupt,
                                  fmt::format("item {}, which begins at byte {}: expected at most 16 MiB of text",
                                              place_.items + 1, item_offset_));
    }
  }
  piece_offset_ += piece.size();
  piece_begin_ = run_ = nullptr;
  return result_;
}

// What was seen of the captured object, up to here, goes into the text.
void DocumentReader::flush(const char* at) {
  if (capturing_) text_.append(run_, at);
  run_ = at;
}

// From within a string on; null when it is wrong.
const char* DocumentReader::string(const char* at, const char* end) {
  if (token_ == Token::Escape) {
    // What is escaped is for whoever decodes the item; it must not end the string.
    if (static_cast<unsigned char>(*at) < 0x20) return fail(at, "an escape of JSON"), nullptr;
    token_ = Token::String;
    ++at;
  }
  const char* const start = at;
  for (;;) {
    at = find_special(piece_begin_, at, end);
    if (at == end) break;
    if (*at == '"') break;
    if (*at != '\\') return fail(at, "no raw control character in a string"), nullptr;
    if (at + 1 == end) {
      token_ = Token::Escape;
      return end;
    }
    if (static_cast<unsigned char>(at[1]) < 0x20) return fail(at + 1, "an escape of JSON"), nullptr;
    at += 2;
  }
  if (token_is_name_ && in_document_ && !in_items_ && name_.size() < kNameMax) {
    name_.append(start, std::min<std::size_t>(static_cast<std::size_t>(at - start), kNameMax));
  }
  if (at == end) return end;
  token_ = Token::None;
  if (token_is_name_) {
    if (capturing_) name_to_ = position(at);
    expect_ = Expect::Colon;
    return at + 1;
  }
  return end_value(at) ? at + 1 : nullptr;
}

const char* DocumentReader::scalar(const char* at, const char* end) {
  const char* const start = at;
  while (at != end && !is_json_space(*at) && *at != ',' && *at != '}' && *at != ']' && *at != '{' && *at != '[' &&
         *at != '"' && *at != ':') {
    ++at;
  }
  if (!capturing_ && scalar_.size() < kScalarMax) {
    scalar_.append(start, std::min<std::size_t>(static_cast<std::size_t>(at - start), kScalarMax));
  }
  return at;
}

bool DocumentReader::begin_string(const char* at) {
  token_is_name_ = expect_ == Expect::Name || expect_ == Expect::NameOrEnd;
  if (token_is_name_) {
    if (capturing_) {
      name_from_ = position(at + 1);
    } else {
      name_.clear();
    }
  } else if (!wants_value()) {
    return fail(at, expected());
  } else if (!begin_value(at)) {
    return false;
  }
  token_ = Token::String;
  return true;
}

bool DocumentReader::mark(const char* at) {
  if (*at == ':') {
    if (expect_ != Expect::Colon) return fail(at, expected());
    expect_ = Expect::Value;
    return true;
  }
  if (expect_ != Expect::CommaOrEnd) return fail(at, expected());
  expect_ = top() == '{' ? Expect::Name : Expect::Value;
  return true;
}

bool DocumentReader::open(const char* at) {
  if (!wants_value()) return fail(at, expected());
  if (depth_ == kFramesMax) return fail(at, "at most 128 levels");
  if (!begin_value(at)) return false;
  frames_[depth_++] = *at;
  expect_ = *at == '{' ? Expect::NameOrEnd : Expect::ValueOrEnd;
  return true;
}

bool DocumentReader::close(const char* at) {
  const bool may = *at == '}' ? expect_ == Expect::NameOrEnd || (expect_ == Expect::CommaOrEnd && top() == '{')
                              : expect_ == Expect::ValueOrEnd || (expect_ == Expect::CommaOrEnd && top() == '[');
  if (!may) return fail(at, expected());
  --depth_;
  return end_value(at);
}

// The start of a literal or a number, or what cannot stand there.
bool DocumentReader::other(const char* at) {
  const std::uint64_t offset = offset_of(at);
  if (offset < kByteOrderMark.size() && place_.offset == 0 && *at == kByteOrderMark[offset]) return true;
  if (offset == 0 && (*at == '\xFF' || *at == '\xFE'))
    return fail(at, "UTF-8 (it may be UTF-16, as some shells write)");
  const bool starts = (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '-';
  if (!starts || !wants_value()) return fail(at, expected());
  if (!begin_value(at)) return false;
  token_ = Token::Scalar;
  scalar_.assign(capturing_ ? 0 : 1, *at);
  return true;
}

// A value begins with the byte at `at`.
bool DocumentReader::begin_value(const char* at) {
  if (capturing_) {
    if (depth_ == item_depth_) {
      ++members_;
      if (*at != '{' && !in_items_) return become_document(at);
    } else if (depth_ == item_depth_ + 1) {
      ++inner_members_;
      inner_plain_ = inner_plain_ || *at != '{';
    }
    return true;
  }
  if (in_document_ && !in_items_) return depth_ != document_depth() || document_value(at, name_);
  if (*at == '[' && depth_ == 0) {
    in_array_ = true;
    return true;
  }
  if (*at != '{') return fail(at, depth_ == 0 ? "an item, or a document with Items" : "an item");
  capturing_ = true;
  run_ = at;
  item_from_ = text_.size();
  item_offset_ = offset_of(at);
  item_depth_ = depth_ + 1;
  members_ = inner_members_ = 0;
  inner_plain_ = false;
  runs_.push_back({static_cast<std::uint32_t>(item_from_), item_offset_});
  return true;
}

// An item's members are objects: this one has another kind of value, so it is a document with items in it.
bool DocumentReader::become_document(const char* at) {
  flush(at);
  const std::string name = text_.substr(name_from_, name_to_ - name_from_);
  text_.resize(item_from_);
  while (!runs_.empty() && runs_.back().from >= item_from_) runs_.pop_back();
  capturing_ = false;
  in_document_ = true;
  items_seen_ = false;
  name_ = name.substr(0, kNameMax);
  place_.document_items = 0;
  place_.count.reset();
  place_.more = false;
  return document_value(at, name);
}

bool DocumentReader::document_value(const char* at, std::string_view name) {
  if (name == "Items") {
    if (items_seen_) return fail(at, "each member of the document once");
    if (*at != '[') return fail(at, "an array of items");
    items_seen_ = in_items_ = true;
  } else if (name == "NextToken" || name == "LastEvaluatedKey") {
    place_.more = *at != 'n';
  }
  return true;
}

bool DocumentReader::end_scalar(const char* at) {
  if (capturing_) return true;
  std::uint64_t count = 0;
  if (depth_ == document_depth() && name_ == "Count") {
    if (!number(scalar_, &count)) return fail(at, "a number as Count");
    place_.count = count;
  }
  return scalar_ == "null" || scalar_ == "true" || scalar_ == "false" || is_json_number(scalar_) || fail(at, "a value");
}

// A value ended with the byte at `at`, or (a scalar) before it.
bool DocumentReader::end_value(const char* at) {
  expect_ = depth_ == 0 ? Expect::Value : Expect::CommaOrEnd;
  if (capturing_) return depth_ >= item_depth_ || end_item(at + 1);
  if (in_items_) {
    if (depth_ == document_depth()) in_items_ = false;
  } else if (in_document_) {
    if (depth_ < document_depth()) return end_document(at + 1);
  } else if (in_array_ && depth_ == 0) {
    in_array_ = false;
    boundary(at + 1);
  }
  return true;
}

bool DocumentReader::is_wrapped() const {
  const std::string_view text = std::string_view(text_).substr(item_from_);
  return members_ == 1 && text.starts_with("{\"Item\":{") && !(inner_members_ == 1 && inner_plain_);
}

bool DocumentReader::end_item(const char* behind) {
  flush(behind);
  // Nothing in it, and not where only items stand: a document of nothing.
  if (members_ == 0 && !in_items_) return fail(behind - 1, "an item, or a document with Items");
  const std::size_t size = text_.size() - item_from_;
  if (size > kItemTextMax) return fail(behind - 1, "an item of at most 16 MiB of text");
  const std::size_t cut = is_wrapped() ? std::string_view("{\"Item\":").size() : 0;
  items_.push_back(
      {static_cast<std::uint32_t>(item_from_ + cut), static_cast<std::uint32_t>(size - cut - (cut == 0 ? 0 : 1))});
  capturing_ = false;
  ++place_.items;
  if (in_items_) ++place_.document_items;
  boundary(behind);
  places_.push_back(place_);
  return true;
}

bool DocumentReader::end_document(const char* behind) {
  in_document_ = false;
  if (!items_seen_) return fail(behind - 1, "an item of DynamoDB JSON, or a document with Items");
  // With --max-items the CLI cuts Items and leaves Count as it was.
  if (place_.count && *place_.count != place_.document_items && !place_.more) {
    return fail(behind - 1, "as many items as Count says");
  }
  place_.document_items = 0;
  place_.count.reset();
  boundary(behind);
  return true;
}

void DocumentReader::boundary(const char* behind) {
  place_.offset = offset_of(behind);
  place_.inside = in_items_   ? (in_array_ ? Inside::ItemsInArray : Inside::Items)
                  : in_array_ ? Inside::Array
                              : Inside::Nothing;
}

const char* DocumentReader::expected() const {
  switch (expect_) {
    case Expect::Value:
      if (!is_around()) return "a value";
      return depth_ == 0 ? "an item, or a document with Items" : "an item";
    case Expect::ValueOrEnd:
      return is_around() ? "an item or the end of an array" : "a value or the end of an array";
    case Expect::Name:
      return "a name";
    case Expect::NameOrEnd:
      return "a name or the end of an object";
    case Expect::Colon:
      return "a colon";
    case Expect::CommaOrEnd:
      return top() == '{' ? "a comma or the end of an object" : "a comma or the end of an array";
  }
  return "something else";
}

bool DocumentReader::fail(const char* at, const char* expected) {
  if (result_) {
    result_ = base::fail(ErrorKind::Corrupt,
                         fmt::format("item {}: expected {} at byte {}", place_.items + 1, expected, offset_of(at)));
  }
  return false;
}

Result<> DocumentReader::finish() {
  MOVEOUT_ASSERT(result_.has_value());
  const char* const what = token_ == Token::String || token_ == Token::Escape ? "the end of a string" : expected();
  if (depth_ == 0 && token_ == Token::None) {
    place_.offset = piece_offset_;
    return {};
  }
  return result_ = base::fail(ErrorKind::Corrupt, fmt::format("item {}: expected {} at byte {}, where the text ends",
                                                              place_.items + 1, what, piece_offset_));
}

DocumentPage DocumentReader::take() {
  MOVEOUT_ASSERT(run_ == nullptr);
  DocumentPage page;
  page.after = place_;
  page.items = std::move(items_);
  items_.clear();
  page.places = std::move(places_);
  places_.clear();
  const std::size_t whole = ready();
  const auto later = std::ranges::lower_bound(runs_, whole, {}, &DocumentPage::Run::from);
  const std::vector<DocumentPage::Run> rest(later, runs_.end());
  runs_.erase(later, runs_.end());
  page.runs_ = std::move(runs_);
  runs_.clear();
  std::string unfinished;
  unfinished.reserve(kTextBytes + kTextBytes / 8);
  if (capturing_) {
    unfinished.append(text_, whole);
    for (DocumentPage::Run run : rest) {
      run.from -= static_cast<std::uint32_t>(whole);
      runs_.push_back(run);
    }
    item_from_ = 0;
    name_from_ -= std::min(name_from_, whole);
    name_to_ -= std::min(name_to_, whole);
  }
  text_.resize(whole);
  page.text = std::make_shared<const std::string>(std::move(text_));
  text_ = std::move(unfinished);
  return page;
}

}  // namespace moveout::item
