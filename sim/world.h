// World: one seed, one run: a table that is being written to, processes that move it, everything that goes wrong, and
// an oracle that holds them to what they say.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/signal.h"
#include "base/task_group.h"
#include "sim/oracle.h"
#include "sim/program.h"
#include "sim/verify_oracle.h"
#include "sim/workload.h"

namespace moveout::sim {

// How a failure came to light. Only the first two show that a mutant was caught: the oracle's comparison of items, or
// an error that the product itself stopped with and that nothing in the run explains.
enum class Finding : std::uint8_t { None, Difference, NamedStop, Other };
std::string_view name_of(Finding finding);

// What is counted of a run. Trivially copyable: processes hand it to each other as it is.
struct Figures {
  std::uint64_t seed = 0;
  Finding finding = Finding::None;
  bool named_stop = false;  // it ended by an error that a person must decide on, as it should
  std::uint64_t trace_hash = 0;
  std::uint64_t trace_lines = 0;
  Tally tally;
  std::array<std::uint64_t, kPhases> writes{};
  int lives = 0;
  int kills = 0;
  int claims = 0;       // of in sync, each compared
  int verdicts = 0;     // of `moveout verify`, each held against what both sides were
  int accusations = 0;  // keys that these called different
  int fault_kinds = 0;
  int eras = 0;
  double virtual_s = 0;
  bool failed() const { return finding != Finding::None; }
};

struct Verdict : Figures {
  std::string failure;  // empty: the run was right
};

struct WorldOptions {
  bool print = false;
  std::string mutant;  // sharpens the plan; the mutant itself is switched on by the caller
};

class World final : public Observer {
 public:
  World(std::uint64_t seed, WorldOptions options);
  ~World() override;
  Verdict run();
  // The files of the machine, written into a folder, to look at after a run.
  void dump(const std::string& folder);

  void on_phase(int process, move::Phase phase) override;
  void on_in_sync(int process, const move::TableResult& result) override;
  void on_error_log(int process, const std::string& line) override;
  std::optional<std::string> issue_key() override;

 private:
  // director.cc: lives one after the other, and what they end with
  Task<base::Result<>> direct();
  Task<base::Result<>> live(Program& program);
  Program& start_program();
  void after_claim(Program& program);
  void stop_for_another_life(int number);
  Task<> wait_for(Program& program);
  Task<> rest_between_lives();
  // True: the run goes on with another life.
  bool judge(Program& program);
  bool judge_error(Program& program, const base::Error& error);
  Task<> settle_end();
  Task<> finish_move();

  // blows.cc
  void arm_blows(Program& program, Phase phase);
  void strike(Blow& blow, int program_number);
  void switch_stream_off();
  void remake_table();
  void flip_bit();
  void tamper();
  void tamper_with_changed();
  Program* alive(int number);

  // verifications.cc: `moveout verify`, a process of its own
  Task<base::Result<>> verify_beside();
  Task<> verify_alone();
  Task<> verify_once();
  Task<bool> verify_life(Pass& pass);
  Program& start_verification();
  void kill_verification();
  Task<> end_verification();
  Task<> rest_of(Micros rest);
  bool verification_may_end(const base::Error& error, const Pass& pass) const;
  void judge_verdict(Pass pass, Program& program);
  void look_again(std::vector<Accused> accused, int eras, int times);
  base::Result<Standings> standings();
  bool target_there();
  bool replace_target();
  Micros wall_offset() const;
  void step_clocks(Program& program, Micros by);

  void come_to_rest();
  void watch_the_time();
  bool at_rest() const { return faults_.is_calm(); }
  bool final_claim_made() const;
  void compare(bool exact, const std::string& when, std::uint64_t hot = 0);
  std::vector<Blind> blind_spots();
  void fail(std::string what, Finding finding = Finding::Other);

  Plan plan_;
  Scheduler scheduler_;
  Trace trace_;
  base::Rng rng_;
  Faults faults_;
  Server server_;
  Machine machine_;
  MemoryDatabase memory_;
  std::unique_ptr<Workload> workload_;
  base::Signal news_;
  base::TaskGroup group_;
  std::vector<std::unique_ptr<Program>> programs_;
  std::string failure_;
  Finding finding_ = Finding::None;
  bool ended_ = false;
  bool settling_ = false;  // no process of the move is wanted any more
  bool person_must_decide_ = false;

  Fault death_ = Fault::Kill;   // what the armed kill is
  Program* current_ = nullptr;  // the one the operator looks at
  int restarts_ = 0;
  int in_a_row_ = 0;  // errors that ended one life after the other
  int kills_ = 0;
  int claims_ = 0;
  int eras_ = 0;
  bool in_sync_seen_ = false;
  Micros last_claim_{-1};
  int in_sync_process_ = 0;
  bool new_backfill_next_ = false;
  bool accept_quarantine_ = false;
  Micros restless_until_{0};
  bool abandoned_ = false;  // the operator takes the present process for dead (it is only paused)
  bool long_rest_ = false;  // the next rest is longer than the stream keeps records
  std::uint64_t flips_ = 0;
  bool flip_next_ = false;
  Micros gap_at_{-1};  // when changes may last have been lost to the stream
  bool gap_ever_ = false;
  Micros keys_back_at_{0};
  std::uint64_t key_number_ = 0;
  bool keys_were_taken_ = false;
  bool rights_were_taken_ = false;
  bool schema_changed_ = false;
  bool tampered_ = false;

  std::vector<std::unique_ptr<Program>> verifications_;  // the last one may be alive
  std::optional<Pass> pass_;                             // begun, and without a verdict
  Micros lives_changed_{0};                              // when a process of the move last began or ended
  int verdicts_ = 0;
  int accusations_ = 0;
  int targets_ = 1;  // the target is another file, or another database, when this has changed
  bool verifying_ = false;
  bool verify_no_more_ = false;
};

}  // namespace moveout::sim
