#include "sigv4/canonical.h"

#include <algorithm>
#include <array>
#include <utility>

namespace moveout::sigv4 {

namespace {

constexpr std::array<bool, 256> make_unreserved() {
  std::array<bool, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (const char c : std::string_view("-._~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> unreserved = make_unreserved();

void append_encoded(std::string& out, std::string_view text, bool keep_slash) {
  static constexpr char letters[] = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (unreserved[byte] || (keep_slash && c == '/')) {
      out += c;
    } else {
      out += '%';
      out += letters[byte >> 4];
      out += letters[byte & 15];
    }
  }
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// What is not a whole escape stays as it is.
std::string decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// Without "." and ".." segments and repeated slashes, then encoded (a second time).
void append_normal_path(std::string& out, std::string_view path) {
  std::vector<std::string_view> kept;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, end - at);
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
    at = end + 1;
  }
  if (kept.empty()) out += '/';
  for (const std::string_view segment : kept) {
    out += '/';
    append_encoded(out, segment, false);
  }
  if (!kept.empty() && path.ends_with('/')) out += '/';
}

void append_query(std::string& out, std::string_view query) {
  if (query.empty()) return;
  std::vector<std::pair<std::string, std::string>> parameters;
  for (std::size_t at = 0; at <= query.size();) {
    const std::size_t end = std::min(query.find('&', at), query.size());
    const std::string_view parameter = query.substr(at, end - at);
    at = end + 1;
    if (parameter.empty()) continue;
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    parameters.emplace_back(
        uri_encode(decode(parameter.substr(0, equals)), false),
        equals == parameter.size() ? std::string() : uri_encode(decode(parameter.substr(equals + 1)), false));
  }
  std::sort(parameters.begin(), parameters.end());
  bool first = true;
  for (const auto& [name, value] : parameters) {
    if (!std::exchange(first, false)) out += '&';
    out += name;
    out += '=';
    out += value;
  }
}

// Headers that a hop may change, or that are the signature itself.
bool is_hop_header(std::string_view name) {
  static constexpr std::array<std::string_view, 15> hop = {"authorization",
                                                           "baggage",
                                                           "connection",
                                                           "expect",
                                                           "keep-alive",
                                                           "proxy-authenticate",
                                                           "proxy-authorization",
                                                           "te",
                                                           "traceparent",
                                                           "tracestate",
                                                           "trailer",
                                                           "transfer-encoding",
                                                           "upgrade",
                                                           "user-agent",
                                                           "x-amzn-trace-id"};
  return std::find(hop.begin(), hop.end(), name) != hop.end();
}

// Trimmed, and runs of blanks as one space.
void append_value(std::string& out, std::string_view value) {
  // Nearly all values have nothing of the kind; a loop to the end is one that the compiler makes wide.
  bool blanks = false;
  for (const char c : value) blanks |= c == ' ' || (c >= '\t' && c <= '\r');
  if (!blanks) {
    out += value;
    return;
  }
  bool gap = false;
  bool begun = false;
  for (const char c : value) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      gap = begun;
      continue;
    }
    if (gap) out += ' ';
    gap = false;
    begun = true;
    out += c;
  }
}

}  // namespace

std::string uri_encode(std::string_view text, bool keep_slash) {
  std::string out;
  out.reserve(text.size());
  append_encoded(out, text, keep_slash);
  return out;
}

// All headers, by name and then as they stood; names in lower case.
void Canonical::collect(const http::Request& request) {
  const auto& all = request.headers.all();
  std::size_t bytes = 0;
  for (const auto& field : all) bytes += field.first.size();
  names_.clear();
  names_.reserve(bytes);  // the views below point into it
  fields_.clear();
  for (const auto& [name, value] : all) {
    const std::size_t at = names_.size();
    for (const char c : name) names_ += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    fields_.push_back({std::string_view(names_).substr(at), value, fields_.size()});
  }
  std::sort(fields_.begin(), fields_.end(),
            [](const Field& a, const Field& b) { return a.name != b.name ? a.name < b.name : a.order < b.order; });
}

std::string_view Canonical::finish(const http::Request& request, bool s3, std::string_view payload_hash) {
  const std::string_view target = request.target;
  const std::size_t mark = std::min(target.find('?'), target.size());
  out_ = request.method;
  out_ += '\n';
  const std::string_view path = target.substr(0, mark);
  if (path == "/") {
    out_ += path;
  } else if (s3) {
    out_ += path;
  } else {
    append_normal_path(out_, path);
  }
  out_ += '\n';
  if (mark < target.size()) append_query(out_, target.substr(mark + 1));
  out_ += '\n';
  signed_.clear();
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    const bool again = i > 0 && fields_[i].name == fields_[i - 1].name;
    if (again) {
      out_.back() = ',';  // instead of the line's end
    } else {
      out_ += fields_[i].name;
      out_ += ':';
      if (!signed_.empty()) signed_ += ';';
      signed_ += fields_[i].name;
    }
    append_value(out_, fields_[i].value);
    out_ += '\n';
  }
  out_ += '\n';
  out_ += signed_;
  out_ += '\n';
  out_ += payload_hash;
  return out_;
}

std::string_view Canonical::build(const http::Request& request, bool s3, std::string_view payload_hash) {
  collect(request);
  std::erase_if(fields_, [](const Field& field) { return is_hop_header(field.name); });
  return finish(request, s3, payload_hash);
}

std::string_view Canonical::build(const http::Request& request, bool s3, std::string_view payload_hash,
                                  std::string_view signed_headers) {
  collect(request);
  // Both are sorted: one pass keeps the listed and notices the absent.
  std::string_view rest = signed_headers;
  std::size_t kept = 0;
  std::size_t at = 0;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    const std::string_view name = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (at < fields_.size() && fields_[at].name < name) ++at;
    if (at == fields_.size() || fields_[at].name != name) return {};
    while (at < fields_.size() && fields_[at].name == name) fields_[kept++] = fields_[at++];
  }
  fields_.resize(kept);
  return finish(request, s3, payload_hash);
}

}  // namespace moveout::sigv4
