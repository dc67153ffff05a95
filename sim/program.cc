#include "sim/program.h"

#include <fmt/format.h>

#include "aws/dynamodb.h"
#include "aws/streams.h"
#include "sim/ordered_target.h"
#include "state/sqlite_store.h"
#include "target/sqlite/sqlite_target.h"

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
      options_(options),
      rng_(rng),
      process_(outside.scheduler, fmt::format("p{}", options.number)),
      clock_(outside.scheduler, process_, outside.plan.wall_offset, Micros(rng_.below(1'000'000'000'000))),
      changed_(outside.scheduler.executor()),
      vfs_(std::make_unique<Vfs>(outside.machine, process_, outside.scheduler)),
      disk_(outside.machine, process_, "state/verify"),
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

Task<Result<>> Program::main() {
  const Plan& plan = outside_.plan;
  auto store = co_await state::SqliteStore::open(state_worker_, "state/state.db", vfs_->name());
  if (!store) co_return base::fail(store.error());
  aws::ClientConfig config;
  config.endpoint = http::Endpoint{true, "dynamodb." + plan.server.region + ".amazonaws.com", 443};
  config.region = plan.server.region;
  config.accept_gzip = false;
  aws::Client tables(config, transport_, *credentials_, clock_, rng_.fork(), *log_);
  config.endpoint.host = "streams." + config.endpoint.host;
  config.target_prefix = "DynamoDBStreams_20120810";
  aws::Client stream_calls(config, transport_, *credentials_, clock_, rng_.fork(), *log_);
  aws::DynamoDb dynamodb(tables);
  aws::Streams streams(stream_calls);
  std::shared_ptr<target::sqlite::Database> database;
  if (plan.target == TargetKind::Sqlite) {
    target::sqlite::DatabaseOptions options;
    options.path = "target.db";
    options.vfs = vfs_->name();
    options.cache_mb = 1;
    database = target::sqlite::Database::make(options, target_worker_, outside_.scheduler.executor(), *log_);
  }
  const auto make_target = [&](const move::TableSpec&) -> std::unique_ptr<target::Target> {
    if (database) return target::sqlite::make_target(database);
    if (plan.target == TargetKind::Ordered) {
      return std::make_unique<OrderedTarget>(outside_.memory, outside_.scheduler, process_, outside_.faults,
                                             rng_.fork(), outside_.trace, plan.network, clock_);
    }
    return std::make_unique<MemoryTarget>(outside_.memory, outside_.scheduler, process_, outside_.faults, rng_.fork(),
                                          outside_.trace, plan.network);
  };
  move::Options options;
  options.until_in_sync = options_.until_in_sync;
  options.new_backfill = options_.new_backfill;
  options.accept_quarantine = options_.accept_quarantine;
  options.tip_wait = plan.tip_wait;
  options.tip_pages = plan.tip_pages;
  options.workers = plan.workers;
  options.journal_segment_bytes = 64 << 10;
  const move::TableSpec spec{"orders", "orders", plan.infer_columns, 0, plan.segments};
  move::Seams seams{clock_, *log_, dynamodb, streams, **store, disk_, journal_disk_, disk_, disk_worker_, *events_};
  move::Move move("dynamodb://orders -> target", fmt::format("run-{:016x}", rng_.next()), {spec}, options, seams,
                  make_target, rng_.fork());
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
