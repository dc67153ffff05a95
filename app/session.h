// Session: everything one process stands on, built once: runtime, HTTP, credentials, clients, workers, log.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/access.h"
#include "app/cli.h"
#include "app/config.h"
#include "app/reporter.h"
#include "app/stderr_log.h"
#include "aws/client.h"
#include "aws/dynamodb.h"
#include "aws/streams.h"
#include "move/move.h"
#include "net/runtime.h"
#include "net/system_clock.h"
#include "net/thread_worker.h"
#include "state/posix_disk.h"
#include "state/run_lock.h"
#include "state/sqlite_store.h"
#include "target/dynamodb/dynamodb_target.h"
#include "target/sqlite/sqlite_target.h"

namespace moveout::app {

// The source as a set of connected clients.
class Source {
 public:
  // Usage for a region, endpoint or profile that cannot be used.
  static base::Result<std::unique_ptr<Source>> connect(const Url& url, base::Executor executor, base::Clock& clock,
                                                       base::Rng rng, base::Log& log);
  aws::DynamoDb& dynamodb() { return *dynamodb_; }
  aws::Streams& streams() { return *streams_; }
  bool is_aws() const { return access_->is_aws(); }
  const std::string& region() const { return access_->endpoints().region; }
  std::string endpoint() const { return access_->endpoints().dynamodb.to_string(); }

 private:
  std::unique_ptr<Access> access_;
  std::unique_ptr<aws::Client> dynamodb_client_;
  std::unique_ptr<aws::Client> streams_client_;
  std::unique_ptr<aws::DynamoDb> dynamodb_;
  std::unique_ptr<aws::Streams> streams_;
};

// A DynamoDB API as a target: its clients and what is known of it.
class TargetApi {
 public:
  // Usage as Source::connect; and without `late` for an endpoint whose L is not known, unless guarded.
  static base::Result<std::unique_ptr<TargetApi>> connect(const Url& url, DynamoDbTarget wish, double max_writes,
                                                          base::Executor executor, base::Clock& clock, base::Rng rng,
                                                          base::Log& log);
  std::unique_ptr<target::Target> make(base::Clock& clock, base::Log& log);
  // "" on AWS: what tells two stand-ins apart.
  std::string place() const { return access_->is_aws() ? std::string() : access_->endpoints().dynamodb.to_string(); }

 private:
  std::unique_ptr<Access> access_;
  std::unique_ptr<aws::Client> calls_;
  std::unique_ptr<aws::Client> writes_;
  target::dynamodb::Options options_;
};

// Makes the targets of one move: tables that go into one SQLite file share its connection.
class Targets {
 public:
  Targets(Url url, std::unique_ptr<TargetApi> api, base::Worker& worker, base::Executor executor, base::Clock& clock,
          base::Log& log);
  // The target of a configuration, connected where it is a DynamoDB API.
  static base::Result<std::unique_ptr<Targets>> connect(const MoveConfig& config, base::Worker& target_worker,
                                                        base::Executor executor, base::Clock& clock, base::Rng rng,
                                                        base::Log& log);
  std::unique_ptr<target::Target> make(const move::TableSpec& table);
  std::string place() const { return api_ ? api_->place() : std::string(); }

 private:
  Url url_;
  std::unique_ptr<TargetApi> api_;
  base::Worker& worker_;
  base::Executor executor_;
  base::Clock& clock_;
  base::Log& log_;
  std::shared_ptr<target::sqlite::Database> database_;
};

// Usage for a name that a target of this scheme cannot have.
base::Result<> check_target_name(Scheme target, const std::string& name);

// Globs become names by the source's tables; names are checked against the target. Usage for a glob that matches
// nothing and for two tables that would meet in one.
base::Task<base::Result<std::vector<move::TableSpec>>> expand_tables(aws::DynamoDb& source,
                                                                     std::vector<move::TableSpec> tables,
                                                                     Scheme target);

// What the state remembers of the two sides; another move's state is refused by it.
std::string urls_of(const MoveConfig& config, const Source& source, const Targets& targets);
// What was begun with a version on every item goes on so: the end of the line above.
inline constexpr std::string_view kWithVersions = " (m3)";

// A number nobody can foresee: seeds and run ids.
std::uint64_t random_seed();
std::string random_run_id();

}  // namespace moveout::app
