// HTTP/1.1 on the wire, without I/O: heads and chunked bodies as strict, bounded parsers. Bytes in, values out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/http.h"

namespace moveout::net {

inline constexpr std::size_t head_bytes_max = std::size_t{64} << 10;
inline constexpr std::size_t body_bytes_max = std::size_t{64} << 20;
inline constexpr std::size_t fields_max = 256;

// How the end of a body is told.
enum class Framing { None, Length, Chunked, UntilClose };

struct ResponseHead {
  int status = 0;
  http::Headers headers;
  Framing framing = Framing::None;
  std::uint64_t length = 0;  // with Framing::Length
  bool keep_alive = false;
};

struct RequestHead {
  std::string method;
  std::string target;
  http::Headers headers;
  Framing framing = Framing::None;
  std::uint64_t length = 0;
  bool keep_alive = false;
  bool expects_continue = false;
};

// The size of the head, its final empty line included; nothing while it is incomplete. `from`: bytes already searched.
std::optional<std::size_t> find_head_end(std::string_view bytes, std::size_t from);

// `head` ends with its empty line. Corrupt for anything that RFC 9112 does not allow, and for what is read differently
// by different programs: bare line feeds, folded lines, both lengths at once, lengths that differ, unknown codings.
base::Result<ResponseHead> parse_response_head(std::string_view head, std::string_view request_method);
base::Result<RequestHead> parse_request_head(std::string_view head);

// Appends the request's head to `out`; Host and Content-Length are added where absent. Usage error when method, target
// or a header could not be sent unharmed (a line feed in a value would start another header).
// `absolute`: the target as a whole URL, for a plain proxy.
base::Result<> append_request_head(std::string& out, const http::Request& request, bool absolute);
// Appends a response's head; Content-Length is of `body_bytes`.
void append_response_head(std::string& out, const http::Response& response, std::size_t body_bytes, bool keep_alive);

// A chunked body, piece by piece.
class ChunkedDecoder {
 public:
  explicit ChunkedDecoder(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  // Takes what it can from `input`, appends data to `out`; returns the bytes taken. Corrupt or TooLarge on bad input.
  base::Result<std::size_t> feed(std::string_view input, std::string& out);
  bool done() const { return state_ == State::Done; }

 private:
  enum class State { Size, Data, DataEnd, Trailer, Done };
  base::Result<> take_line(std::string_view line);

  std::size_t bytes_max_;
  std::size_t total_ = 0;
  std::uint64_t left_ = 0;  // of the chunk being read
  std::size_t trailer_bytes_ = 0;
  State state_ = State::Size;
  std::string line_;
};

bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace moveout::net
