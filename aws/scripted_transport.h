// ScriptedTransport: answers from a list, and remembers what was asked. For tests of aws/ and of the rooms above it.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "http/http.h"

namespace moveout::aws {

// Each send() takes the next answer; with none left, `otherwise` answers (Unavailable when there is none).
class ScriptedTransport final : public http::Transport {
 public:
  using Answer = base::Result<http::Response>;
  using Respond = std::function<Answer(const http::Request&)>;

  base::Task<Answer> send(http::Request request) override {
    requests.push_back(request);
    Respond respond = otherwise;
    if (!script.empty()) {
      respond = std::move(script.front());
      script.pop_front();
    }
    if (!respond) co_return base::fail(base::ErrorKind::Unavailable, "the script has ended");
    co_return respond(requests.back());
  }

  void then(Respond respond) { script.push_back(std::move(respond)); }
  void then(Answer answer) {
    script.push_back([answer = std::move(answer)](const http::Request&) { return answer; });
  }
  void then(base::ErrorKind kind, std::string what) { then(Answer(base::fail(kind, std::move(what)))); }
  void then(int status, std::string body, http::Headers headers = {}) {
    then(Answer(response(status, std::move(body), std::move(headers))));
  }
  void then_error(int status, const std::string& name, const std::string& message, http::Headers headers = {}) {
    then(status, error_body(name, message), std::move(headers));
  }

  static http::Response response(int status, std::string body, http::Headers headers = {}) {
    http::Response out;
    out.status = status;
    out.headers = std::move(headers);
    out.body = std::make_shared<std::string>(std::move(body));
    return out;
  }
  // `message` without characters that JSON escapes.
  static std::string error_body(const std::string& name, const std::string& message) {
    return "{\"__type\":\"com.amazonaws.dynamodb.v20120810#" + name + "\",\"message\":\"" + message + "\"}";
  }

  std::deque<Respond> script;
  Respond otherwise;
  std::vector<http::Request> requests;
};

}  // namespace moveout::aws
