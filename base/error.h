// Errors: a closed list of kinds that call sites switch on, and a sentence for the person who reads it.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace moveout::base {

// Named for what the caller may do. docs/errors.md lists the names and exit codes for users.
enum class ErrorKind {
  Usage,               // the request is wrong: flag, file, URL; nothing was done
  NotFound,            // the named table, stream, shard or file does not exist
  Conflict,            // a condition or compare-and-set failed: certainly not applied
  Throttled,           // certainly not applied; wait, then the same again
  Unavailable,         // no definite answer (connection, time-out, 5xx): may have been applied; retry where harmless
  EndpointDown,        // Unavailable for longer than the policy bears
  Denied,              // the identity lacks a right; the text names the action
  CredentialsExpired,  // the credentials are no longer (or not yet) valid and could not be refreshed
  StreamGap,           // changes were lost to the trim horizon, or the stream is another one
  SchemaChanged,       // the source's key schema or identity changed under the run
  TargetChanged,       // the target is not the one this run wrote to
  RunLocked,           // another process owns this run, or has taken it over from this one
  Quarantine,          // items were set aside and nobody accepted that
  DiskFull,            // no space, or the disk refuses to keep what it is given
  Corrupt,             // bytes that cannot be what they claim to be: page, checksum, state file
  TooLarge,            // over a limit of the protocol or the target
  Expired,             // a shard iterator (or the like) is too old: ask for a new one
  Trimmed,             // the record asked for is before the trim horizon
  Differences,         // verify found some, or in sync was not reached
  Stopped,             // asked to stop: SIGINT, SIGTERM, pause
};

struct Error {
  ErrorKind kind;
  std::string what;  // one sentence or more: what, where, what to do; never item data, never a secret

  friend bool operator==(const Error&, const Error&) = default;
};

// The stable snake_case name for scripts: "stream_gap", "endpoint_down", ….
std::string_view name_of(ErrorKind kind);

// 1 differences · 2 the request is wrong · 3 a person must decide · 4 stopped by a signal · 5 circumstances.
int exit_code_of(ErrorKind kind);

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorKind kind, std::string what) {
  return std::unexpected<Error>(Error{kind, std::move(what)});
}
inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }

// A broken invariant: says where and stops the process, in every build. A mover that doubts its state must not write.
[[noreturn]] void broken(const char* expression, const char* file, int line);
#define MOVEOUT_ASSERT(expression) \
  (static_cast<bool>(expression) ? void(0) : ::moveout::base::broken(#expression, __FILE__, __LINE__))

}  // namespace moveout::base
