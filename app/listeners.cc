#include "app/listeners.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "app/pages.h"
#include "item/hash.h"
#include "net/http_server.h"
#include "net/signals.h"
#include "net/unix_socket.h"

namespace moveout::app {

namespace json = base::json;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

Task<http::Response> admin_page(Context& context, const move::Work& work, http::Request request) {
  http::Response response;
  response.status = request.method == "GET" ? 200 : 405;
  if (request.method != "GET") {
    *response.body = "only GET\n";
  } else if (request.target == "/metrics") {
    response.headers.set("Content-Type", "text/plain; version=0.0.4");
    *response.body = metrics_page(work);
  } else if (request.target == "/status") {
    response.headers.set("Content-Type", "application/json");
    *response.body = json::serialize(status_of(work)) + "\n";
  } else if (request.target == "/healthz") {
    *response.body = "ok " + rfc3339(context.clock.now()) + "\n";
  } else {
    response.status = 404;
    *response.body = "/metrics, /status, /healthz\n";
  }
  co_return response;
}

// Small requests, and few of them: whoever sends slowly or much takes nothing from the move.
Result<net::HttpServerOptions> listen_options(const std::string& listen) {
  const auto at = listen_address(listen);
  if (!at) return fail(ErrorKind::Usage, "admin.listen \"" + listen + "\": expected ADDRESS:PORT");
  net::HttpServerOptions options;
  options.address = at->first;
  options.port = at->second;
  options.connections_max = 32;
  options.body_bytes_max = 4096;
  options.idle_timeout = base::Millis(15000);
  options.read_timeout = base::Millis(5000);
  return options;
}

Task<std::string> answer_control(move::Work& work, std::string line) {
  Result<json::value> request = base::parse_json(line);
  const json::value* word = request && request->is_object() ? request->get_object().if_contains("command") : nullptr;
  const std::string command = word != nullptr && word->is_string() ? std::string(word->get_string()) : std::string();
  if (command == "pause" || command == "resume") {
    work.pause(command == "pause");
  } else if (command != "status") {
    co_return json::serialize(json::object{{"error", "unknown command"}});
  }
  co_return json::serialize(status_of(work));
}

std::string control_file(const std::string& state_dir) { return state_dir + "/control"; }

}  // namespace

Task<Result<>> stop_by_signal(Context& context) {
  const int number = co_await net::wait_for_stop_signal();
  context.log.info("signal", {{"number", number}});
  co_return fail(ErrorKind::Stopped, fmt::format("stopped by signal {}", number));
}

Task<Result<>> serve_admin(Context& context, const move::Work& work) {
  Result<net::HttpServerOptions> options = listen_options(context.config.admin_listen);
  if (!options) co_return fail(options.error());
  Result<std::unique_ptr<net::HttpServer>> server = net::HttpServer::listen(
      context.executor, *options,
      [&context, &work](http::Request request) { return admin_page(context, work, std::move(request)); });
  if (!server) co_return fail(server.error());
  const std::string url = (*server)->endpoint().to_string();
  context.log.info("admin.listening", {{"url", url}});
  context.reporter.emit({{"event", "listening"}, {"url", url}});
  std::exception_ptr cancelled;
  try {
    for (;;) co_await context.clock.sleep_for(std::chrono::hours(1));
  } catch (const boost::system::system_error&) {
    cancelled = std::current_exception();
  }
  // The server's connections end before the server does.
  co_await boost::asio::this_coro::reset_cancellation_state(boost::asio::disable_cancellation());
  co_await (*server)->stop(base::Millis(200));
  std::rethrow_exception(cancelled);
}

Task<Result<>> serve_control(Context& context, move::Work& work) {
  // The state's own path may be longer than a socket's may be: a short name made of it, told in STATE/control.
  const std::string whole = std::filesystem::absolute(context.state_dir).lexically_normal().string();
  const std::string name = fmt::format("{:016x}", item::hash_of(whole, 1).high);
  const Result<std::string> path = net::control_socket_path(name);
  Result<std::unique_ptr<net::UnixServer>> server = fail(ErrorKind::Usage, "");
  if (path) {
    server = net::UnixServer::listen(context.executor, *path,
                                     [&work](std::string line) { return answer_control(work, std::move(line)); });
  }
  if (!server) {
    // Nobody can ask or pause this process; that is no reason not to move.
    context.log.warn("control.not_listening", {{"why", path ? server.error().what : path.error().what}});
    co_return Result<>();
  }
  std::ofstream(control_file(context.state_dir), std::ios::trunc) << *path << "\n";
  std::error_code ignored;  // the folder is closed to others anyway
  std::filesystem::permissions(control_file(context.state_dir), std::filesystem::perms(0600), ignored);
  co_return co_await (*server)->run();
}

Task<Result<json::object>> ask_control(std::string state_dir, std::string word) {
  std::string path;
  std::ifstream file(control_file(state_dir));
  if (!std::getline(file, path) || path.empty()) co_return fail(ErrorKind::NotFound, "no process is running this move");
  Result<std::string> answer =
      co_await net::ask_unix(path, json::serialize(json::object{{"command", word}}), base::Millis(10000));
  if (!answer) co_return fail(answer.error());
  Result<json::value> value = base::parse_json(*answer);
  if (!value) co_return fail(value.error());
  if (!value->is_object() || value->get_object().contains("error")) {
    co_return fail(ErrorKind::Usage, "the running process does not know \"" + word + "\"");
  }
  co_return value->get_object();
}

}  // namespace moveout::app
