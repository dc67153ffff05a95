#include "item/index.h"

#include <simdjson.h>

#include <algorithm>
#include <limits>

#include "item/cursor.h"

namespace moveout::item {

// simdjson's first stage by itself is reached by its internal names; version 3.0 to 3.12 have them alike.
struct Index::Parser {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> stages;
};

Index::Index() = default;
Index::~Index() = default;
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;

bool Index::build(std::string_view text) {
  // A page of 1 MB can be several in JSON; far larger texts are not worth four times their memory.
  constexpr std::size_t kBytesMax = std::size_t{32} << 20;
  constexpr std::size_t kBytesMin = std::size_t{64} << 10;
  if (text.empty() || text.size() > kBytesMax) return false;
  if (!parser_) parser_ = std::make_unique<Parser>();
  auto& stages = parser_->stages;
  if (!stages || stages->capacity() < text.size()) {
    const std::size_t capacity = std::max(text.size() + text.size() / 4, kBytesMin);
    stages.reset();
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, 1, stages) !=
        simdjson::SUCCESS) {
      return false;
    }
  }
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  if (stages->stage1(bytes, text.size(), simdjson::stage1_mode::regular) != simdjson::SUCCESS) return false;
  begin_ = stages->structural_indexes.get();
  end_ = begin_ + stages->n_structural_indexes;
  MOVEOUT_ASSERT(*end_ == text.size());
  escaped_ = text.find('\\') != std::string_view::npos;
  // Escapes never cross a string's end, and outside strings no backslash passes: their order in the text is enough.
  return !escaped_ || Cursor(text).escapes();
}

}  // namespace moveout::item
