#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace moveout::base {

std::string_view name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Usage:
      return "usage";
    case ErrorKind::NotFound:
      return "not_found";
    case ErrorKind::Conflict:
      return "conflict";
    case ErrorKind::Throttled:
      return "throttled";
    case ErrorKind::Unavailable:
      return "unavailable";
    case ErrorKind::EndpointDown:
      return "endpoint_down";
    case ErrorKind::Denied:
      return "access_denied";
    case ErrorKind::CredentialsExpired:
      return "credentials_expired";
    case ErrorKind::StreamGap:
      return "stream_gap";
    case ErrorKind::SchemaChanged:
      return "schema_changed";
    case ErrorKind::TargetChanged:
      return "target_changed";
    case ErrorKind::RunLocked:
      return "run_locked";
    case ErrorKind::Quarantine:
      return "quarantine";
    case ErrorKind::DiskFull:
      return "disk_full";
    case ErrorKind::Corrupt:
      return "corrupt";
    case ErrorKind::TooLarge:
      return "too_large";
    case ErrorKind::Expired:
      return "expired";
    case ErrorKind::Trimmed:
      return "trimmed";
    case ErrorKind::Differences:
      return "differences";
    case ErrorKind::Stopped:
      return "stopped";
  }
  return "unknown";
}

int exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Differences:
      return 1;
    case ErrorKind::Usage:
    case ErrorKind::NotFound:
    case ErrorKind::Conflict:
    case ErrorKind::TooLarge:
      return 2;
    case ErrorKind::Denied:
    case ErrorKind::StreamGap:
    case ErrorKind::Trimmed:
    case ErrorKind::SchemaChanged:
    case ErrorKind::TargetChanged:
    case ErrorKind::RunLocked:
    case ErrorKind::Corrupt:
    case ErrorKind::Quarantine:
      return 3;
    case ErrorKind::Stopped:
      return 4;
    case ErrorKind::Throttled:
    case ErrorKind::Unavailable:
    case ErrorKind::EndpointDown:
    case ErrorKind::CredentialsExpired:
    case ErrorKind::Expired:
    case ErrorKind::DiskFull:
      return 5;
  }
  return 2;
}

void broken(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "moveout: broken invariant: %s at %s:%d; stopped before writing anything it doubts\n",
               expression, file, line);
  std::abort();
}

}  // namespace moveout::base
