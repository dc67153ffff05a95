// DocumentReader: JSON text of any length, piece by piece, cut into the items in it, whatever stands around them.
//
// What it reads, mixed in any order, with any white space:
//   {"Item":{…}} or bare {"name":{"S":"…"},…}      JSON lines; a line end is white space like any
//   {"Items":[…],"Count":2,…}                       what `aws dynamodb scan` writes; members in any order
//   [ … ]                                           arrays of the above, as --query makes them
// {"Item":{"S":"…"}} is a bare item with an attribute called Item: a value of one member that is no object is a tag.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "item/batch.h"

namespace moveout::item {

// The most of one item's text, without white space. What DynamoDB stores (400 KB) is 3.2 MB of JSON at worst.
inline constexpr std::size_t kItemTextMax = std::size_t{16} << 20;

// A place between two items (or documents): where reading can go on.
struct DocumentPlace {
  enum class Inside : char { Nothing = 'n', Array = 'a', Items = 'i', ItemsInArray = 'b' };
  std::uint64_t offset = 0;  // bytes of text before it
  std::uint64_t items = 0;   // items before it
  Inside inside = Inside::Nothing;
  // Of the document it is inside of:
  std::uint64_t document_items = 0;
  std::optional<std::uint64_t> count;  // as Count said, if before the items
  bool more = false;                   // it, or the last one before, says that its scan went on (NextToken)
  friend bool operator==(const DocumentPlace&, const DocumentPlace&) = default;

  std::string to_text() const;  // one line
  static base::Result<DocumentPlace> parse(std::string_view text);
};

// Whole items: their text is well-formed JSON without white space between tokens, but for escapes, scalars and UTF-8,
// which nobody looked at yet.
struct DocumentPage {
  struct ItemText {
    std::uint32_t from, size;  // in `text`
  };
  Buffer text;
  std::vector<ItemText> items;
  std::vector<DocumentPlace> places;  // behind each
  DocumentPlace after;                // behind all

  std::string_view operator[](std::size_t index) const {
    return std::string_view(*text).substr(items[index].from, items[index].size);
  }
  // Where the byte `at` of `text` stood in what was read.
  std::uint64_t offset_of(std::size_t at) const;

 private:
  friend class DocumentReader;
  struct Run {
    std::uint32_t from;    // in `text`: from here on bytes were copied one after another …
    std::uint64_t offset;  // … from here
  };
  std::vector<Run> runs_;
};

// Sans I/O. Memory: the items that were not taken yet, at most one of them unfinished.
class DocumentReader {
 public:
  explicit DocumentReader(DocumentPlace from = {});

  // The next piece. Corrupt: the item's number, what was expected, and the byte; the items before it can be taken, and
  // nothing more is fed.
  base::Result<> feed(std::string_view piece);
  // No more pieces. Corrupt when something is unfinished.
  base::Result<> finish();
  // Text of whole items that wait to be taken.
  std::size_t ready() const { return capturing_ ? item_from_ : text_.size(); }
  DocumentPage take();
  const DocumentPlace& place() const { return place_; }

 private:
  enum class Expect : std::uint8_t { Value, ValueOrEnd, Name, NameOrEnd, Colon, CommaOrEnd };
  enum class Token : std::uint8_t { None, String, Escape, Scalar };
  // Any nesting of an item that item/grammar.h walks over, and what is around items.
  static constexpr std::size_t kFramesMax = 136;

  const char* string(const char* at, const char* end);
  const char* scalar(const char* at, const char* end);
  bool begin_string(const char* at);
  bool mark(const char* at);
  bool open(const char* at);
  bool close(const char* at);
  bool other(const char* at);
  bool begin_value(const char* at);
  bool document_value(const char* at, std::string_view name);
  bool become_document(const char* at);
  bool end_value(const char* at);
  bool end_scalar(const char* at);
  bool end_item(const char* behind);
  bool end_document(const char* behind);
  void boundary(const char* behind);
  void flush(const char* at);
  bool is_wrapped() const;
  char top() const { return frames_[depth_ - 1]; }
  bool wants_value() const { return expect_ == Expect::Value || expect_ == Expect::ValueOrEnd; }
  std::size_t document_depth() const { return in_array_ ? 2 : 1; }
  // Between tokens, not in an item.
  bool is_around() const { return !capturing_ && (in_items_ || !in_document_); }
  std::uint64_t offset_of(const char* at) const {
    return piece_offset_ + static_cast<std::uint64_t>(at - piece_begin_);
  }
  // Of the captured text, the byte at `at` included in what is not copied yet.
  std::size_t position(const char* at) const { return text_.size() + static_cast<std::size_t>(at - run_); }
  const char* expected() const;
  bool fail(const char* at, const char* expected);

  DocumentPlace place_;
  std::uint64_t piece_offset_ = 0;
  const char* piece_begin_ = nullptr;

  // The grammar.
  Expect expect_ = Expect::Value;
  Token token_ = Token::None;
  bool token_is_name_ = false;
  std::array<char, kFramesMax> frames_{};
  std::size_t depth_ = 0;

  // What stands around items.
  bool in_array_ = false;
  bool in_document_ = false;
  bool in_items_ = false;
  bool items_seen_ = false;
  std::string name_;    // of the document's member under way, as far as it matters
  std::string scalar_;  // likewise

  // The object under way, which may be an item.
  bool capturing_ = false;
  std::size_t item_from_ = 0;  // in text_
  std::uint64_t item_offset_ = 0;
  std::size_t item_depth_ = 0;
  std::size_t name_from_ = 0, name_to_ = 0;  // in text_: the member under way
  std::size_t members_ = 0;
  std::size_t inner_members_ = 0;  // of its members' values
  bool inner_plain_ = false;       // one of those is no object
  const char* run_ = nullptr;      // what of the piece is not copied yet begins here

  std::string text_;
  std::vector<DocumentPage::ItemText> items_;
  std::vector<DocumentPlace> places_;
  std::vector<DocumentPage::Run> runs_;
  base::Result<> result_;
};

}  // namespace moveout::item
