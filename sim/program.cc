#include "sim/program.h"

#include <fmt/format.h>

#include "aws/dynamodb.h"
#include "aws/streams.h"
#include "item/json.h"
#include "move/verification.h"
#include "sim/ordered_target.h"
#include "state/sqlite_store.h"

namespace moveout::sim {

using base::Result;

class Program::Log final : public base::Log {
 public:
  Log(Program& program) : program_(program) {}
  void write(base::LogLevel level, std::string_view event, const std::vector<base::LogField>& fields) override {
    if (program_.process_.dead()) return;
    std::string line(event);
    for (const base::LogField& field : fields) line += fmt::format(" {}={}", field.key, field.value);
    constexpr const char* kLevels[] = {"debug", "info", "warn", "ERROR"};
    program_.outside_.trace.note("{} log {} {}", program_.process_.name(), kLevels[static_cast<int>(level)], line);
    if (level == base::LogLevel::Error) program_.outside_.observer.on_error_log(program_.options_.number, line);
  }
  bool enabled(base::LogLevel) const override { return true; }

 private:
  Program& program_;
};

class Program::Credentials final : public aws::CredentialsProvider {
 public:
  Credentials(Program& program) : program_(program) {}
  Task<Result<sigv4::Credentials>> get() override {
    if (!key_) key_ = program_.outside_.observer.issue_key();
    if (!key_) co_return base::fail(base::ErrorKind::CredentialsExpired, "no keys to be had");
    co_return sigv4::Credentials{*key_, "secret", "token", std::nullopt};
  }
  void invalidate() override { key_.reset(); }

 private:
  Program& program_;
  std::optional<std::string> key_;
};

class Program::Events final : public move::Events {
 public:
  Events(Program& program) : program_(program) {}
  void phase(const std::string&, move::Phase phase) override {
    if (program_.process_.dead()) return;
    program_.phase_ = phase;
    program_.outside_.trace.note("{} phase {}", program_.process_.name(), move::name_of(phase));
    program_.outside_.observer.on_phase(program_.options_.number, phase);
  }
  void in_sync(const move::TableResult& result) override {
    if (program_.process_.dead()) return;
    program_.outside_.trace.note("{} IN SYNC items={} hot={}", program_.process_.name(), result.items, result.hot);
    program_.outside_.observer.on_in_sync(program_.options_.number, result);
  }
  void table_result(const move::TableResult&) override {}
  void notice(const std::string&, const std::string& text) override {
    if (!program_.process_.dead()) program_.outside_.trace.note("{} says: {}", program_.process_.name(), text);
  }

 private:
  Program& program_;
};

Program::Program(Outside outside, ProgramOptions options, base::Rng rng)
    : outside_(outside),
      options_(std::move(options)),
      rng_(rng),
      process_(outside.scheduler, fmt::format("{}{}", options_.verify ? "v" : "p", options_.number)),
      clock_(outside.scheduler, process_, options_.wall_offset, Micros(rng_.below(1'000'000'000'000))),
      changed_(outside.scheduler.executor()),
      vfs_(std::make_unique<Vfs>(outside.machine, process_, outside.scheduler)),
      disk_(outside.machine, process_, options_.verify ? "state/verify-command" : "state/verify"),
      journal_disk_(outside.machine, process_, "state/journal"),
      state_worker_(outside.scheduler, process_, rng_.fork()),
      target_worker_(outside.scheduler, process_, rng_.fork()),
      disk_worker_(outside.scheduler, process_, rng_.fork()),
      transport_(outside.scheduler, process_, outside.server, outside.faults, rng_.fork(), outside.trace,
                 outside.plan.network),
      log_(std::make_unique<Log>(*this)),
      credentials_(std::make_unique<Credentials>(*this)),
      events_(std::make_unique<Events>(*this)) {
  process_.on_kill = [this] {
    outside_.trace.note("{} KILLED at boundary {}", process_.name(), process_.boundaries());
    vfs_->release();
    changed_.notify_all();
  };
}

Program::~Program() = default;

// Hands on, and remembers when which keys were read.
class Program::WatchedTransport final : public http::Transport {
 public:
  explicit WatchedTransport(Program& program) : program_(program) {}
  Task<Result<http::Response>> send(http::Request request) override {
    if (request.headers.get("X-Amz-Target").ends_with(".BatchGetItem")) {
      program_.reads_.emplace_back(program_.outside_.scheduler.now(), request.body);
    }
    return program_.transport_.send(std::move(request));
  }

 private:
  Program& program_;
};

aws::ClientConfig Program::client_config() const {
  const Plan& plan = outside_.plan;
  aws::ClientConfig config;
  config.endpoint = http::Endpoint{true, "dynamodb." + plan.server.region + ".amazonaws.com", 443};
  config.region = plan.server.region;
  config.accept_gzip = false;
  return config;
}

std::shared_ptr<target::sqlite::Database> Program::open_database() {
  if (outside_.plan.target != TargetKind::Sqlite) return nullptr;
  target::sqlite::DatabaseOptions options;
  options.path = "target.db";
  options.vfs = vfs_->name();
  options.cache_mb = 1;
  return target::sqlite::Database::make(options, target_worker_, outside_.scheduler.executor(), *log_);
}

std::unique_ptr<target::Target> Program::make_target(const std::shared_ptr<target::sqlite::Database>& database) {
  const Plan& plan = outside_.plan;
  if (database) return target::sqlite::make_target(database);
  if (plan.target == TargetKind::Ordered) {
    return std::make_unique<OrderedTarget>(outside_.memory, outside_.scheduler, process_, outside_.faults, rng_.fork(),
                                           outside_.trace, plan.network, clock_);
  }
  return std::make_unique<MemoryTarget>(outside_.memory, outside_.scheduler, process_, outside_.faults, rng_.fork(),
                                        outside_.trace, plan.network);
}

// What app/verify_command.cc builds.
Task<Result<>> Program::verify() {
  WatchedTransport transport(*this);
  aws::Client client(client_config(), transport, *credentials_, clock_, rng_.fork(), *log_);
  aws::DynamoDb dynamodb(client);
  move::VerifySpec spec{
      {"orders", "orders"}, "here", options_.target_place, outside_.plan.verify_saves, outside_.plan.difference_wait};
  move::VerifySeams seams{clock_, *log_, dynamodb, disk_, disk_worker_};
  move::Verification verification(std::move(spec), seams, make_target(open_database()), rng_.fork());
  if (Result<> opened = co_await verification.open(); !opened) co_return opened;
  Result<verify::Report> found = co_await verification.run();
  if (!found) co_return base::fail(found.error());
  report_ = std::move(*found);
  told_by_ = verification.told_by();
  co_return Result<>();
}

Micros Program::last_read(const item::Key& key) const {
  std::string text;
  item::append_json(text, key.attributes(outside_.plan.key));
  for (auto read = reads_.rbegin(); read != reads_.rend(); ++read) {
    if (read->second.find(text) != std::string::npos) return read->first;
  }
  return Micros(-1);
}

Task<Result<>> Program::main() {
  if (options_.verify) co_return co_await verify();
  const Plan& plan = outside_.plan;
  aws::ClientConfig config = client_config();
  auto store = co_await state::SqliteStore::open(state_worker_, "state/state.db", vfs_->name());
  if (!store) co_return base::fail(store.error());
  aws::Client tables(config, transport_, *credentials_, clock_, rng_.fork(), *log_);
  config.endpoint.host = "streams." + config.endpoint.host;
  config.target_prefix = "DynamoDBStreams_20120810";
  aws::Client stream_calls(config, transport_, *credentials_, clock_, rng_.fork(), *log_);
  aws::DynamoDb dynamodb(tables);
  aws::Streams streams(stream_calls);
  const std::shared_ptr<target::sqlite::Database> database = open_database();
  move::Options options;
  options.until_in_sync = options_.until_in_sync;
  options.new_backfill = options_.new_backfill;
  options.accept_quarantine = options_.accept_quarantine;
  options.tip_wait = plan.tip_wait;
  options.tip_pages = plan.tip_pages;
  options.workers = plan.workers;
  options.journal_segment_bytes = 64 << 10;
  if (plan.verifications > 0) options.note_applied_every = base::Millis(1000);
  const move::TableSpec spec{"orders", "orders", plan.infer_columns, 0, plan.segments};
  move::Seams seams{clock_, *log_, dynamodb, streams, **store, disk_, journal_disk_, disk_, disk_worker_, *events_};
  move::Move move(
      "dynamodb://orders -> target", fmt::format("run-{:016x}", rng_.next()), {spec}, options, seams,
      [&](const move::TableSpec&) { return make_target(database); }, rng_.fork());
  co_return co_await move.run(options_.job);
}

Task<Result<>> Program::main_and_tell() {
  Result<> result = co_await main();
  if (!process_.dead()) outcome_ = result;
  changed_.notify_all();
  co_return Result<>();
}

void Program::stop() {
  stopping_ = true;
  changed_.notify_all();
}

Task<Result<>> Program::live() {
  base::TaskGroup group(co_await base::this_executor);
  group.start(main_and_tell());
  while (!outcome_ && !process_.dead() && !stopping_) co_await changed_.wait();
  // A killed process is unwound too: its frames are memory, and everything they touch on the way is dead.
  co_await group.stop();
  if (!outcome_ && !process_.dead()) outcome_ = base::fail(base::ErrorKind::Stopped, "asked to stop");
  over_ = true;
  co_return Result<>();
}

}  // namespace moveout::sim
