// Lines between processes of one user on one machine: a request line, a reply line, over a Unix socket.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/task.h"

namespace moveout::net {

inline constexpr std::size_t line_bytes_max = std::size_t{1} << 20;

// <folder>/<name>.sock, short enough for any kernel (under 100 bytes). The folder is $XDG_RUNTIME_DIR/moveout, or
// /tmp/moveout-<uid> where that is absent, not ours or too long; it is made with mode 0700.
// Usage error when the folder exists and is another user's, or a link.
base::Result<std::string> control_socket_path(std::string name);

class UnixServer {
 public:
  // A request without its line feed → a reply, which holds none.
  using Handler = std::function<base::Task<std::string>(std::string line)>;

  // Listens from the return on, for this user and root only. A socket that nobody listens on any more is replaced;
  // Conflict when somebody does. The file goes with the server.
  static base::Result<std::unique_ptr<UnixServer>> listen(base::Executor executor, std::string path, Handler handler);
  ~UnixServer();
  UnixServer(const UnixServer&) = delete;
  UnixServer& operator=(const UnixServer&) = delete;

  // Serves until cancelled. Other users' connections are closed without a word; idle ones after a minute.
  base::Task<base::Result<>> run();

 private:
  struct State;
  explicit UnixServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// One request and its reply. NotFound when nobody listens there; Denied when it is another user; Unavailable when the
// reply did not come whole in time.
base::Task<base::Result<std::string>> ask_unix(std::string path, std::string line, base::Millis timeout);

}  // namespace moveout::net
