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

Targets::Targets(Url url, base::Worker& worker, base::Executor executor, base::Clock& clock, base::Log& log)
    : url_(std::move(url)), worker_(worker), executor_(std::move(executor)), clock_(clock), log_(log) {}

std::unique_ptr<target::Target> Targets::make(const move::TableSpec&) {
  if (url_.scheme == Scheme::File) {
    return target::file::make_target(target::file::Options{.path = url_.path, .clock = &clock_}, worker_, executor_,
                                     log_);
  }
  MOVEOUT_ASSERT(url_.scheme == Scheme::Sqlite);
  if (!database_) {
    target::sqlite::DatabaseOptions options;
    options.path = url_.path;
    database_ = target::sqlite::Database::make(std::move(options), worker_, executor_, log_);
  }
  return target::sqlite::make_target(database_);
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
    if (Result<> fits = schema::check_table_name(spec.target, schema::Dialect::Sqlite); !fits)
      co_return fail(fits.error());
    const auto [other, fresh] = taken.emplace(folded(spec.target), spec.source);
    if (!fresh) {
      co_return fail(ErrorKind::Usage,
                     fmt::format("tables: {} and {} would both become \"{}\" in the target, which does not "
                                 "tell upper from lower case: give one of them another name with `to`",
                                 other->second, spec.source, spec.target));
    }
  }
  co_return all;
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

std::string random_run_id() { return fmt::format("{:016x}{:016x}", random_seed(), random_seed()); }

}  // namespace moveout::app
