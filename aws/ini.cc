#include "aws/ini.h"

#include <algorithm>
#include <cctype>

namespace moveout::aws {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// "profile   \"my team\"" → "profile my team".
std::string section_name(std::string_view text) {
  std::string out;
  for (const char c : trimmed(text)) {
    if (c == '"' || c == '\'') continue;
    const bool blank = kBlanks.find(c) != std::string_view::npos;
    if (blank && (out.empty() || out.back() == ' ')) continue;
    out += blank ? ' ' : c;
  }
  return out;
}

// Up to a comment: a blank, then '#' or ';'. Commands keep theirs, they may mean something in it.
std::string_view without_comment(std::string_view value, std::string_view name) {
  if (name == "credential_process") return value;
  for (std::size_t i = 1; i < value.size(); ++i) {
    if ((value[i] == '#' || value[i] == ';') && kBlanks.find(value[i - 1]) != std::string_view::npos) {
      return trimmed(value.substr(0, i));
    }
  }
  return value;
}

class Parser {
 public:
  explicit Parser(const std::string& path) : path_(path) {}

  base::Result<> line(std::string_view raw) {
    ++number_;
    const std::string_view text = trimmed(raw);
    if (text.empty() || text.front() == '#' || text.front() == ';') return {};
    const std::size_t indent = raw.find_first_not_of(kBlanks);
    if (text.front() == '[') return open_section(text);
    if (section_ == nullptr) return wrong("a setting before the first [section]");
    if (last_ != nullptr && indent > indent_) return continuation(text);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) return wrong("expected [section] or name = value");
    const std::string name = lower(trimmed(text.substr(0, equals)));
    if (name.empty()) return wrong("no name before the =");
    last_name_ = name;
    last_ = &(*section_)[name];
    *last_ = without_comment(trimmed(text.substr(equals + 1)), name);
    indent_ = indent;
    return {};
  }

  Ini take() { return std::move(ini_); }

 private:
  base::Result<> open_section(std::string_view text) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return wrong("no ] at the end of a section");
    const std::string_view rest = trimmed(text.substr(close + 1));
    if (!rest.empty() && rest.front() != '#' && rest.front() != ';') return wrong("text after the ] of a section");
    const std::string name = section_name(text.substr(1, close - 1));
    if (name.empty()) return wrong("a section without a name");
    section_ = &ini_[name];
    last_ = nullptr;
    return {};
  }

  // Deeper than the setting above it: nested settings where that one has no value, else more of its value.
  base::Result<> continuation(std::string_view text) {
    const std::size_t equals = text.find('=');
    if (!last_->empty()) {
      *last_ += '\n';
      *last_ += text;
      return {};
    }
    if (equals == std::string_view::npos) return wrong("expected a nested name = value");
    const std::string name = lower(trimmed(text.substr(0, equals)));
    if (name.empty()) return wrong("no name before the =");
    (*section_)[last_name_ + "." + name] = without_comment(trimmed(text.substr(equals + 1)), name);
    return {};
  }

  base::Result<> wrong(const std::string& why) const {
    return base::fail(base::ErrorKind::Usage, path_ + ":" + std::to_string(number_) + ": " + why);
  }

  const std::string& path_;
  Ini ini_;
  int number_ = 0;
  Section* section_ = nullptr;
  std::string* last_ = nullptr;
  std::string last_name_;
  std::size_t indent_ = 0;
};

}  // namespace

base::Result<Ini> parse_ini(std::string_view text, const std::string& path) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  Parser parser(path);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const base::Result<> read = parser.line(text.substr(0, end));
    if (!read) return base::fail(read.error());
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parser.take();
}

}  // namespace moveout::aws
