// What listens beside a move: signals, the admin page, the control socket.
#pragma once

#include <string>

#include "app/context.h"
#include "base/json.h"
#include "move/work.h"

namespace moveout::app {

// Waits for SIGINT or SIGTERM; then fails as Stopped, which ends what runs beside it.
base::Task<base::Result<>> stop_by_signal(Context& context);
// /metrics, /status and /healthz on admin.listen (loopback unless told otherwise); says where. Usage for an address
// that cannot be used.
base::Task<base::Result<>> serve_admin(Context& context, const move::Work& work);
// status, pause and resume for other processes of this user. STATE/control names the socket.
base::Task<base::Result<>> serve_control(Context& context, move::Work& work);
// Asks the process that runs the move of this state: {"command":word} → its answer. NotFound when none does.
base::Task<base::Result<base::json::object>> ask_control(std::string state_dir, std::string word);

}  // namespace moveout::app
