#include "net/wire.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace moveout::net {

using base::ErrorKind;
using base::fail;
using base::Result;

namespace {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// tchar of RFC 9110.
constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> token_table = make_token_table();

bool is_token(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return token_table[static_cast<unsigned char>(c)]; });
}

// Visible characters, space, tab and bytes above 127: nothing that ends a line.
bool is_field_value(std::string_view text) {
  // To the end, whatever comes: such a loop the compiler makes wide.
  bool good = true;
  for (const char c : text) good &= c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  return good;
}

// A request target: visible ASCII, no spaces.
bool is_target(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::unexpected<base::Error> corrupt(std::string_view why) {
  return fail(ErrorKind::Corrupt, "malformed HTTP: " + std::string(why));
}

// One line without its CRLF, taken off the front of `rest`. Every line of a complete head has one.
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find("\r\n");
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
  return line;
}

// What the fields say about the body and the connection.
struct Fields {
  http::Headers headers;
  std::optional<std::uint64_t> length;
  bool chunked = false;
  bool coded = false;
  bool close = false;
  bool keep_alive = false;
  bool expects_continue = false;
};

Result<> note_length(Fields& fields, std::string_view value) {
  std::uint64_t length = 0;
  const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (value.empty() || ec != std::errc() || end != value.data() + value.size()) return corrupt("bad Content-Length");
  if (fields.length && *fields.length != length) return corrupt("two Content-Lengths that differ");
  fields.length = length;
  return {};
}

void note_connection(Fields& fields, std::string_view value) {
  while (!value.empty()) {
    const std::size_t comma = value.find(',');
    const std::string_view option = trim(value.substr(0, comma));
    if (equals_ignoring_case(option, "close")) fields.close = true;
    if (equals_ignoring_case(option, "keep-alive")) fields.keep_alive = true;
    value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
  }
}

Result<Fields> parse_fields(std::string_view rest) {
  Fields fields;
  fields.headers.reserve(8);
  std::size_t count = 0;
  for (;;) {
    const std::string_view line = take_line(rest);
    if (line.empty()) break;
    if (++count > fields_max) return corrupt("too many header fields");
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return corrupt("a header line without a colon");
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim(line.substr(colon + 1));
    if (!is_token(name)) return corrupt("a header name that is none");
    if (!is_field_value(value)) return corrupt("a control character in a header value");
    // Only names of these lengths are looked at more closely.
    switch (name.size()) {
      case 6:
        if (equals_ignoring_case(name, "expect") && equals_ignoring_case(value, "100-continue")) {
          fields.expects_continue = true;
        }
        break;
      case 10:
        if (equals_ignoring_case(name, "connection")) note_connection(fields, value);
        break;
      case 14:
        if (equals_ignoring_case(name, "content-length")) {
          if (auto noted = note_length(fields, value); !noted) return fail(noted.error());
        }
        break;
      case 17:
        if (equals_ignoring_case(name, "transfer-encoding")) {
          if (fields.coded || !equals_ignoring_case(value, "chunked")) return corrupt("unknown Transfer-Encoding");
          fields.coded = fields.chunked = true;
        }
        break;
      default:
        break;
    }
    fields.headers.add(std::string(name), std::string(value));
  }
  if (!rest.empty()) return corrupt("text after the head");
  if (fields.chunked && fields.length) return corrupt("both Transfer-Encoding and Content-Length");
  return fields;
}

// HTTP/1.0 or HTTP/1.1, by the digit.
std::optional<int> minor_version(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  return std::nullopt;
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::size_t> find_head_end(std::string_view bytes, std::size_t from) {
  const std::size_t at = bytes.find("\r\n\r\n", from < 3 ? 0 : from - 3);
  if (at == std::string_view::npos) return std::nullopt;
  return at + 4;
}

Result<ResponseHead> parse_response_head(std::string_view head, std::string_view request_method) {
  std::string_view rest = head;
  const std::string_view line = take_line(rest);
  const std::optional<int> minor = minor_version(line.substr(0, 8));
  if (!minor || line.size() < 12 || line[8] != ' ') return corrupt("no HTTP/1.x status line");
  ResponseHead out;
  const auto [end, ec] = std::from_chars(line.data() + 9, line.data() + 12, out.status);
  if (ec != std::errc() || end != line.data() + 12 || out.status < 100) return corrupt("bad status");
  if (line.size() > 12 && (line[12] != ' ' || !is_field_value(line))) return corrupt("bad status line");

  Result<Fields> fields = parse_fields(rest);
  if (!fields) return fail(fields.error());
  out.headers = std::move(fields->headers);
  out.keep_alive = !fields->close && (*minor == 1 || fields->keep_alive);
  const bool bodiless = request_method == "HEAD" || out.status < 200 || out.status == 204 || out.status == 304;
  if (bodiless) {
    out.framing = Framing::None;
  } else if (fields->chunked) {
    if (*minor == 0) return corrupt("chunked in HTTP/1.0");
    out.framing = Framing::Chunked;
  } else if (fields->length) {
    out.framing = Framing::Length;
    out.length = *fields->length;
  } else {
    out.framing = Framing::UntilClose;
    out.keep_alive = false;
  }
  return out;
}

Result<RequestHead> parse_request_head(std::string_view head) {
  std::string_view rest = head;
  const std::string_view line = take_line(rest);
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return corrupt("no request line");
  const std::optional<int> minor = minor_version(line.substr(last + 1));
  if (!minor) return corrupt("not HTTP/1.x");
  RequestHead out;
  out.method = line.substr(0, first);
  out.target = line.substr(first + 1, last - first - 1);
  if (!is_token(out.method) || !is_target(out.target)) return corrupt("bad request line");

  Result<Fields> fields = parse_fields(rest);
  if (!fields) return fail(fields.error());
  if (fields->chunked && *minor == 0) return corrupt("chunked in HTTP/1.0");
  out.headers = std::move(fields->headers);
  out.keep_alive = !fields->close && (*minor == 1 || fields->keep_alive);
  out.expects_continue = fields->expects_continue && *minor == 1;
  if (fields->chunked) {
    out.framing = Framing::Chunked;
  } else if (fields->length) {
    out.framing = Framing::Length;
    out.length = *fields->length;
  }
  return out;
}

Result<> append_request_head(std::string& out, const http::Request& request, bool absolute) {
  if (!is_token(request.method)) return fail(ErrorKind::Usage, "HTTP request: the method is not a token");
  if (!is_target(request.target) || request.target.front() != '/') {
    return fail(ErrorKind::Usage, "HTTP request: the target is not an encoded path");
  }
  out += request.method;
  out += ' ';
  if (absolute) out += request.endpoint.to_string();
  out += request.target;
  out += " HTTP/1.1\r\n";
  bool has_host = false;
  bool has_length = false;
  for (const auto& [name, value] : request.headers.all()) {
    if (!is_token(name) || !is_field_value(value)) {
      return fail(ErrorKind::Usage, "HTTP request: a header holds a character that cannot be sent");
    }
    has_host = has_host || equals_ignoring_case(name, "host");
    if (equals_ignoring_case(name, "transfer-encoding")) {
      return fail(ErrorKind::Usage, "HTTP request: Transfer-Encoding is not for callers to set");
    }
    if (equals_ignoring_case(name, "content-length")) {
      if (value != std::to_string(request.body.size())) {
        return fail(ErrorKind::Usage, "HTTP request: Content-Length is not the body's");
      }
      has_length = true;
    }
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  }
  if (!has_host) {
    out += "Host: ";
    out += request.endpoint.authority();
    out += "\r\n";
  }
  const bool bodiless = request.method == "GET" || request.method == "HEAD";
  if (!has_length && !(bodiless && request.body.empty())) {
    out += "Content-Length: ";
    out += std::to_string(request.body.size());
    out += "\r\n";
  }
  out += "\r\n";
  return {};
}

namespace {
std::string_view reason_of(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}
}  // namespace

void append_response_head(std::string& out, const http::Response& response, std::size_t body_bytes, bool keep_alive) {
  MOVEOUT_ASSERT(response.status >= 200 && response.status <= 999);
  out += "HTTP/1.1 ";
  out += std::to_string(response.status);
  out += ' ';
  out += reason_of(response.status);
  out += "\r\n";
  for (const auto& [name, value] : response.headers.all()) {
    // A handler's header that could not be sent unharmed is a defect of this program, not of its peer.
    MOVEOUT_ASSERT(is_token(name) && is_field_value(value));
    if (equals_ignoring_case(name, "content-length") || equals_ignoring_case(name, "connection")) continue;
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  }
  if (response.status != 204) {
    out += "Content-Length: ";
    out += std::to_string(body_bytes);
    out += "\r\n";
  }
  if (!keep_alive) out += "Connection: close\r\n";
  out += "\r\n";
}

Result<> ChunkedDecoder::take_line(std::string_view line) {
  if (state_ == State::DataEnd) {
    if (!line.empty()) return corrupt("no line end after a chunk");
    state_ = State::Size;
    return {};
  }
  if (state_ == State::Trailer) {
    if (line.empty()) state_ = State::Done;
    return {};
  }
  const std::string_view size = trim(line.substr(0, line.find(';')));
  const auto [end, ec] = std::from_chars(size.data(), size.data() + size.size(), left_, 16);
  if (size.empty() || ec != std::errc() || end != size.data() + size.size()) return corrupt("bad chunk size");
  if (left_ > bytes_max_ - total_) return fail(ErrorKind::TooLarge, "HTTP body over its bound");
  state_ = left_ == 0 ? State::Trailer : State::Data;
  return {};
}

Result<std::size_t> ChunkedDecoder::feed(std::string_view input, std::string& out) {
  std::size_t taken = 0;
  while (!done() && taken < input.size()) {
    const std::string_view rest = input.substr(taken);
    if (state_ == State::Data) {
      const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest.size()));
      out.append(rest.data(), n);
      taken += n;
      total_ += n;
      left_ -= n;
      if (left_ == 0) state_ = State::DataEnd;
      continue;
    }
    const std::size_t feed_at = rest.find('\n');
    const std::size_t n = feed_at == std::string_view::npos ? rest.size() : feed_at + 1;
    line_.append(rest.data(), n);
    taken += n;
    if (state_ == State::Trailer) trailer_bytes_ += n;
    if (line_.size() > 4096 || trailer_bytes_ > head_bytes_max) return corrupt("a chunk line without end");
    if (feed_at == std::string_view::npos) continue;
    if (line_.size() < 2 || line_[line_.size() - 2] != '\r')
      return corrupt("a chunk line that ends with a bare line feed");
    const auto accepted = take_line(std::string_view(line_).substr(0, line_.size() - 2));
    if (!accepted) return fail(accepted.error());
    line_.clear();
  }
  return taken;
}

}  // namespace moveout::net
