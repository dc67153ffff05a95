// Words: the small text of a checkpoint, one word after another.
#pragma once

#include <algorithm>
#include <charconv>
#include <string_view>

namespace moveout::backfill {

// One word up to the next space or line end, taken off `text`.
inline std::string_view word(std::string_view* text) {
  const std::size_t end = std::min(text->find_first_of(" \n"), text->size());
  const std::string_view taken = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return taken;
}

// All of `text` as a number.
template <class T>
bool number(std::string_view text, T* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace moveout::backfill
