#include "app/session.h"

#include <fmt/format.h>

#include <cctype>
#include <map>
#include <random>

#include "schema/columns.h"
#include "target/file/file_target.h"

namespace moveout::app {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

// Names of tables as DynamoDB has them.
Result<> check_dynamodb_name(const std::string& name) {
  const bool sound =
      name.size() >= 3 && name.size() <= 255 &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == std::string::npos;
  if (sound) return {};
  return fail(ErrorKind::Usage, "target table \"" + name +
                                    "\": a DynamoDB table's name has 3 to 255 letters, digits, _ . and -; give "
                                    "another one with `to`");
}

std::string folded(const std::string& name) {
  std::string out = name;
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

Result<std::unique_ptr<Source>> Source::connect(const Url& url, base::Executor executor, base::Clock& clock,
                                                base::Rng rng, base::Log& log) {
  Result<std::unique_ptr<Access>> access = Access::make(url, std::move(executor), clock, log);
  if (!access) return fail(access.error());
  auto source = std::make_unique<Source>();
  source->access_ = std::move(*access);
  Access& own = *source->access_;
  source->dynamodb_client_ = std::make_unique<aws::Client>(own.client_config(aws::Api::DynamoDb), own.transport(),
                                                           own.credentials(), clock, rng.fork(), log);
  source->streams_client_ = std::make_unique<aws::Client>(own.client_config(aws::Api::DynamoDbStreams), own.transport(),
                                                          own.credentials(), clock, rng.fork(), log);
  source->dynamodb_ = std::make_unique<aws::DynamoDb>(*source->dynamodb_client_);
  source->streams_ = std::make_unique<aws::Streams>(*source->streams_client_);
  return source;
}

Result<std::unique_ptr<TargetApi>> TargetApi::connect(const Url& url, DynamoDbTarget wish, double max_writes,
                                                      base::Executor executor, base::Clock& clock, base::Rng rng,
                                                      base::Log& log) {
  Result<std::unique_ptr<Access>> access = Access::make(url, std::move(executor), clock, log);
  if (!access) return fail(access.error());
  auto api = std::make_unique<TargetApi>();
  api->access_ = std::move(*access);
  Access& own = *api->access_;
  const http::Endpoint& endpoint = own.endpoints().dynamodb;
  api->options_.way = wish.guarded ? target::dynamodb::Way::Guarded : target::dynamodb::Way::Unguarded;
  api->options_.late_max = wish.late ? wish.late : target::dynamodb::late_max_of(endpoint);
  api->options_.max_writes = max_writes;
  api->options_.defer_indexes = wish.defer_indexes;
  if (!wish.guarded && !api->options_.late_max) {
    return fail(ErrorKind::Usage, "target " + endpoint.to_string() +
                                      ": how long may a request land there after it was signed? Where signatures are "
                                      "checked 11m, else the server's own request time-out: say it with --set "
                                      "target.late=11m; or use --set target.mode=m3, which needs no such time");
  }
  aws::ClientConfig config = own.client_config(aws::Api::DynamoDb);
  api->calls_ = std::make_unique<aws::Client>(config, own.transport(), own.credentials(), clock, rng.fork(), log);
  config.retry.retry = wish.guarded;
  api->writes_ = std::make_unique<aws::Client>(config, own.transport(), own.credentials(), clock, rng.fork(), log);
  return api;
}

std::unique_ptr<target::Target> TargetApi::make(base::Clock& clock, base::Log& log) {
  return target::dynamodb::make_target(*calls_, *writes_, clock, log, options_);
}

Result<std::unique_ptr<Targets>> Targets::connect(const MoveConfig& config, base::Worker& target_worker,
                                                  base::Executor executor, base::Clock& clock, base::Rng rng,
                                                  base::Log& log) {
  std::unique_ptr<TargetApi> api;
  if (config.target.scheme == Scheme::DynamoDb) {
    Result<std::unique_ptr<TargetApi>> connected =
        TargetApi::connect(config.target, config.dynamodb_target, config.max_writes, executor, clock, rng, log);
    if (!connected) return fail(connected.error());
    api = std::move(*connected);
  }
  return std::make_unique<Targets>(config.target, std::move(api), target_worker, executor, clock, log);
}

Targets::Targets(Url url, std::unique_ptr<TargetApi> api, base::Worker& worker, base::Executor executor,
                 base::Clock& clock, base::Log& log)
    : url_(std::move(url)),
      api_(std::move(api)),
      worker_(worker),
      executor_(std::move(executor)),
      clock_(clock),
      log_(log) {}

std::unique_ptr<target::Target> Targets::make(const move::TableSpec&) {
  if (url_.scheme == Scheme::File) {
    const bool aws = url_.option("format") == "aws";
    const auto shape = aws ? target::file::Shape::Aws : target::file::Shape::Lines;
    return target::file::make_target(target::file::Options{.path = url_.path, .shape = shape, .clock = &clock_},
                                     worker_, executor_, log_);
  }
  if (url_.scheme == Scheme::DynamoDb) return api_->make(clock_, log_);
  MOVEOUT_ASSERT(url_.scheme == Scheme::Sqlite);
  if (!database_) {
    target::sqlite::DatabaseOptions options;
    options.path = url_.path;
    database_ = target::sqlite::Database::make(std::move(options), worker_, executor_, log_);
  }
  return target::sqlite::make_target(database_);
}

Result<> check_target_name(Scheme target, const std::string& name) {
  if (target == Scheme::DynamoDb) return check_dynamodb_name(name);
  return schema::check_table_name(name, schema::Dialect::Sqlite);
}

Task<Result<std::vector<move::TableSpec>>> expand_tables(aws::DynamoDb& source, std::vector<move::TableSpec> tables,
                                                         Scheme target) {
  std::vector<move::TableSpec> all;
  std::vector<std::string> names;
  for (move::TableSpec& spec : tables) {
    if (!is_glob(spec.source)) {
      all.push_back(std::move(spec));
      continue;
    }
    if (names.empty()) {
      Result<std::vector<std::string>> listed = co_await source.list_tables();
      if (!listed) co_return fail(listed.error());
      names = std::move(*listed);
    }
    const std::size_t before = all.size();
    for (const std::string& name : names) {
      if (!glob_matches(spec.source, name)) continue;
      move::TableSpec one = spec;
      one.source = one.target = name;
      all.push_back(std::move(one));
    }
    if (all.size() == before) {
      co_return fail(ErrorKind::Usage, "tables: no table of the source matches \"" + spec.source + "\"");
    }
  }
  std::map<std::string, std::string> taken;
  std::map<std::string, int> sources;
  for (const move::TableSpec& spec : all) {
    if (++sources[spec.source] > 1) co_return fail(ErrorKind::Usage, "tables: " + spec.source + " is named twice");
    if (target == Scheme::File) {
      if (all.size() > 1) co_return fail(ErrorKind::Usage, "a file holds one table; give each table its own `scan`");
      continue;
    }
    const bool dynamodb = target == Scheme::DynamoDb;
    if (const Result<> fits = check_target_name(target, spec.target); !fits) co_return fail(fits.error());
    const auto [other, fresh] = taken.emplace(dynamodb ? spec.target : folded(spec.target), spec.source);
    if (!fresh) {
      co_return fail(ErrorKind::Usage,
                     fmt::format("tables: {} and {} would both become \"{}\" in the target{}: give one of them "
                                 "another name with `to`",
                                 other->second, spec.source, spec.target,
                                 dynamodb ? "" : ", which does not tell upper from lower case"));
    }
  }
  // No columns: no sample is needed.
  if (target == Scheme::DynamoDb) {
    for (move::TableSpec& spec : all) spec.infer_columns = false;
  }
  co_return all;
}

std::string urls_of(const MoveConfig& config, const Source& source, const Targets& targets) {
  std::string text = fmt::format("dynamodb://{}/{}", source.region(), config.source.table);
  if (!source.is_aws()) text += " at " + source.endpoint();
  text += " -> " + config.target.identity();
  if (!config.source.table.empty() && !config.target.table.empty()) text += "?table=" + config.target.table;
  if (!targets.place().empty()) text += " at " + targets.place();
  if (config.dynamodb_target.guarded) text += kWithVersions;
  return text;
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

std::string random_run_id() { return fmt::format("{:016x}{:016x}", random_seed(), random_seed()); }

}  // namespace moveout::app
