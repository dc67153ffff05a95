// Program: one process that moves the table: what app/ builds, on simulated seams, running move/ itself.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "aws/client.h"
#include "aws/credentials.h"
#include "base/log.h"
#include "base/task_group.h"
#include "move/move.h"
#include "sim/machine.h"
#include "sim/memory_target.h"
#include "sim/network.h"
#include "sim/plan.h"
#include "sim/sim_disk.h"
#include "sim/sim_worker.h"
#include "sim/vfs.h"
#include "target/sqlite/sqlite_target.h"
#include "verify/verifier.h"

namespace moveout::sim {

// What the world hears of its processes.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_phase(int process, move::Phase phase) = 0;
  virtual void on_in_sync(int process, const move::TableResult& result) = 0;
  virtual void on_error_log(int process, const std::string& line) = 0;
  // The keys a client may sign with now; nothing while nobody can get any.
  virtual std::optional<std::string> issue_key() = 0;
};

// All that outlives a process.
struct Outside {
  Scheduler& scheduler;
  Faults& faults;
  Trace& trace;
  const Plan& plan;
  Server& server;
  Machine& machine;
  MemoryDatabase& memory;
  Observer& observer;
};

struct ProgramOptions {
  int number = 1;
  move::Job job = move::Job::Run;
  bool until_in_sync = false;
  bool new_backfill = false;
  bool accept_quarantine = false;
  bool verify = false;       // `moveout verify` instead of a job
  std::string target_place;  // of that: which target it is
  Micros wall_offset{0};
};

class Program {
 public:
  Program(Outside outside, ProgramOptions options, base::Rng rng);
  ~Program();

  // The life of the process, from start to end, kill or stop; what is left of it is unwound when this returns.
  Task<base::Result<>> live();
  void stop();  // as SIGTERM does

  Process& process() { return process_; }
  SimClock& clock() { return clock_; }
  const ProgramOptions& options() const { return options_; }
  bool over() const { return over_; }
  // What its main returned; nothing when it was killed.
  const std::optional<base::Result<>>& outcome() const { return outcome_; }
  std::optional<move::Phase> phase() const { return phase_; }
  // Of a verification: its verdict, once it has one; what it was told by; and when it last read a key of the source.
  const std::optional<verify::Report>& report() const { return report_; }
  const std::string& told_by() const { return told_by_; }
  Micros last_read(const item::Key& key) const;
  bool overlapped = false;  // another process lived beside it
  Micros started{0};

 private:
  class Log;
  class Credentials;
  class Events;
  class WatchedTransport;
  Task<base::Result<>> main();
  Task<base::Result<>> main_and_tell();
  Task<base::Result<>> verify();
  aws::ClientConfig client_config() const;
  std::shared_ptr<target::sqlite::Database> open_database();  // null for other targets
  std::unique_ptr<target::Target> make_target(const std::shared_ptr<target::sqlite::Database>& database);

  Outside outside_;
  ProgramOptions options_;
  base::Rng rng_;
  Process process_;
  SimClock clock_;
  base::Signal changed_;
  std::unique_ptr<Vfs> vfs_;
  SimDisk disk_, journal_disk_;
  SimWorker state_worker_, target_worker_, disk_worker_;
  SimTransport transport_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Credentials> credentials_;
  std::unique_ptr<Events> events_;
  std::optional<base::Result<>> outcome_;
  std::optional<move::Phase> phase_;
  std::optional<verify::Report> report_;
  std::string told_by_;
  std::vector<std::pair<Micros, std::string>> reads_;  // when, and the request's body
  bool stopping_ = false;
  bool over_ = false;
};

}  // namespace moveout::sim
