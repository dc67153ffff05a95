// credentials_probe: the chain of credentials over real files and sockets, for tests in another language.
// One JSON object a line on stdin, one on stdout: {"vars": {name: value}, "profile": "", "region": "us-east-1"} →
// {"id": access key id, "from": place} or {"error": sentence, "kind": name}
#include <optional>

#include "aws/credentials.h"
#include "base/json.h"
#include "net/http_client.h"
#include "net/runtime.h"
#include "net/system_clock.h"
#include "net/thread_worker.h"
#include "test/doubles/probe.h"

using namespace moveout;
namespace json = base::json;

namespace {

// Keeps where the keys came from.
class PlaceLog final : public base::Log {
 public:
  void write(base::LogLevel, std::string_view event, const std::vector<base::LogField>& fields) override {
    if (event == "aws.credentials") place = fields.at(0).value;
  }
  bool enabled(base::LogLevel) const override { return true; }
  std::string place;
};

base::Task<base::Result<>> ask(aws::CredentialsChain& chain, json::object& out) {
  const auto keys = co_await chain.get();
  if (keys) {
    out["id"] = keys->access_key_id;
  } else {
    out["error"] = keys.error().what;
    out["kind"] = base::name_of(keys.error().kind);
  }
  co_return base::Result<>();
}

struct Probe {
  net::Runtime runtime;
  net::SystemClock clock;
  net::ThreadWorker worker{"keys"};
  net::HttpClient client{runtime.executor(), {}};

  json::object answer(const json::object& from) {
    aws::Environment environment = aws::system_environment(worker, clock);
    environment.vars.clear();
    for (const auto& [name, value] : from.at("vars").as_object()) {
      environment.vars[std::string(name)] = std::string(value.as_string());
    }
    aws::ChainConfig config;
    config.profile = std::string(from.at("profile").as_string());
    config.region = std::string(from.at("region").as_string());
    PlaceLog log;
    aws::CredentialsChain chain(config, std::move(environment), client, client, clock, log);
    json::object out;
    MOVEOUT_ASSERT(runtime.run(ask(chain, out)));
    out["from"] = log.place;
    return out;
  }
};

}  // namespace

int main() {
  Probe probe;
  return test::answer_lines([&](const json::object& question) { return probe.answer(question); });
}
