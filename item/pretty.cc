#include "item/pretty.h"

#include "item/cursor.h"
#include "item/json.h"

namespace moveout::item {
namespace {

void append_line(std::string& out, int level) {
  out += '\n';
  out.append(static_cast<std::size_t>(level) * 4, ' ');
}

}  // namespace

void append_pretty(std::string& out, std::string_view json, int level) {
  Cursor cursor(json);
  const char* const end = json.data() + json.size();
  while (cursor.next() != end) {
    const char c = cursor.peek();
    RawString text;
    if (cursor.accept('{') || cursor.accept('[')) {
      out += c;
      const char closing = c == '{' ? '}' : ']';
      if (cursor.accept(closing)) {
        out += closing;
      } else {
        append_line(out, ++level);
      }
    } else if (cursor.accept('}') || cursor.accept(']')) {
      append_line(out, --level);
      out += c;
    } else if (cursor.accept(',')) {
      out += c;
      append_line(out, level);
    } else if (cursor.accept(':')) {
      out += ": ";
    } else if (c == '"') {
      MOVEOUT_ASSERT(cursor.string(&text));
      if (text.escaped) {
        std::string decoded;
        unescape(decoded, text);
        append_json_string(out, decoded);
      } else {
        out.append(text.text.data() - 1, text.text.size() + 2);
      }
    } else {
      std::string_view scalar;
      MOVEOUT_ASSERT(cursor.scalar(&scalar) && !scalar.empty());
      out += scalar;
    }
  }
}

}  // namespace moveout::item
