// A control socket: one line in, one line out, between processes of one user on one machine.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/task.h"

namespace moveout::net {

// A socket's path holds about 100 bytes: a short folder of this user's own, whatever the length of the state's path.
// $XDG_RUNTIME_DIR/moveout or /tmp/moveout-<uid>, made 0700; Usage when somebody else owns it.
base::Result<std::string> control_socket_path(const std::string& name);

// contract: one executor. Lines of at most 64 KB; peers of another user are turned away.
class UnixServer {
 public:
  using Handler = std::function<base::Task<std::string>(std::string line)>;
  // Replaces a socket file left by a dead process.
  static base::Result<std::unique_ptr<UnixServer>> listen(base::Executor executor, std::string path, Handler handler);
  ~UnixServer();
  // Serves until cancelled.
  base::Task<base::Result<>> run();

 private:
  struct State;
  explicit UnixServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// Sends one line and returns the answer. NotFound when nobody listens; Unavailable without an answer in time.
base::Task<base::Result<std::string>> ask_unix(std::string path, std::string line, base::Millis timeout);

}  // namespace moveout::net
