#include "sim/mutants.h"

#include <algorithm>

namespace moveout::sim {

namespace {

void rate(Plan& plan, Fault fault, std::uint64_t one_in) { plan.one_in[static_cast<std::size_t>(fault)] = one_in; }

void blow(Plan& plan, Fault fault, Phase phase, std::uint64_t after) {
  plan.blows.push_back({fault, phase, after, 0, false});
}

// Another one for each seed and blow.
std::uint64_t boundary(const Plan& plan, std::uint64_t number, std::uint64_t least, std::uint64_t span) {
  return least + (plan.seed * 37 + number * 53) % span;
}

void sqlite(Plan& plan) { plan.target = TargetKind::Sqlite; }

// Nothing goes wrong but what is added to it: other errors would end the run before the mistake shows.
void calm(Plan& plan) {
  plan.one_in.fill(0);
  plan.blows.clear();
  plan.refuses_nul = plan.until_in_sync = plan.second_era = false;
}

// What stands in the table before the move is in no record of the stream: the back-fill alone brings it.
void with_history(Plan& plan) {
  plan.stream_at_start = false;
  plan.view = View::NewAndOldImages;
  plan.preload = std::max<std::size_t>(plan.preload, 150);
  plan.keys = std::max(plan.keys, plan.preload + 50);
}

// Pages of the scan come late, when the stream has told of newer changes already.
void with_slow_pages(Plan& plan) {
  sqlite(plan);
  plan.one_in.fill(0);
  plan.blows.clear();
  rate(plan, Fault::SlowAnswer, 2);
  plan.network.slow_only = "Scan";
  plan.preload = std::max<std::size_t>(plan.preload, 150);
  plan.keys = std::max(plan.keys, plan.preload + 50);
  plan.server.page_items = 8;
  plan.stream_at_start = true;
  plan.view = View::NewAndOldImages;
}

// The era begins later than the changes it must not cover.
void with_a_fast_clock(Plan& plan) {
  with_slow_pages(plan);
  plan.wall_offset = Micros(4'500'000);
}

void with_slow_pages_in_two_eras(Plan& plan) {
  with_slow_pages(plan);
  plan.second_era = true;
}

// A gap of which the operator knows: deletes fall into it, and a new era follows.
void with_a_gap(Plan& plan) {
  blow(plan, Fault::StreamOff, Phase::Verify, 100'000);
  plan.until_in_sync = false;
}

void with_kills_in_backfill(Plan& plan) {
  with_history(plan);
  plan.segments = 6;
  plan.workers = 3;
  plan.server.page_items = 5;
  for (std::uint64_t i = 0; i < 8; ++i) blow(plan, Fault::Kill, Phase::Backfill, boundary(plan, i, 30, 150));
}

void with_kills_in_replay(Plan& plan) {
  for (std::uint64_t i = 0; i < 4; ++i) blow(plan, Fault::Kill, Phase::Replay, boundary(plan, i, 5, 120));
  for (std::uint64_t i = 4; i < 6; ++i) blow(plan, Fault::Kill, Phase::Verify, boundary(plan, i, 5, 120));
}

void with_rolls(Plan& plan) {
  plan.roll_one_in = 30;
  plan.stream.shards = 2;
  with_kills_in_replay(plan);
}

void with_hidden_children(Plan& plan) {
  with_rolls(plan);
  rate(plan, Fault::ChildrenOneByOne, 1);
}

void with_short_pages(Plan& plan) {
  with_rolls(plan);
  rate(plan, Fault::ShortPage, 2);
  rate(plan, Fault::EmptyPage, 3);
}

void with_longer_sequences(Plan& plan) {
  calm(plan);
  plan.keys = 2000;  // few are written twice: what was lost is not healed
  plan.stream.shards = 3;
  plan.roll_one_in = 60;
  plan.stream.sequences_grow = true;
  rate(plan, Fault::ExpiredIterator, 2);
  rate(plan, Fault::ShortPage, 1);
}

void with_many_shards(Plan& plan) {
  plan.roll_one_in = 30;
  plan.stream.shards = 3;
  rate(plan, Fault::ShortListing, 1);
}

void level_triggered(Plan& plan) {
  plan.view = View::KeysOnly;
  plan.stream_at_start = true;
}

// Deposed before it ever asked for a version, and awake again while its successor has a block of them.
void level_triggered_and_deposed(Plan& plan) {
  level_triggered(plan);
  calm(plan);
  plan.target = TargetKind::Memory;
  plan.zombie_sleep = std::chrono::seconds(2);
  for (int life = 0; life < 6; ++life) {
    const Phase phase = life == 0 ? Phase::Backfill : Phase::Replay;
    const std::uint64_t after = boundary(plan, static_cast<std::uint64_t>(life), 20'000, 150'000);
    plan.blows.push_back({Fault::Zombie, phase, after, life, false});
  }
}

void with_tampering(Plan& plan, int way) {
  calm(plan);
  with_history(plan);
  plan.segments = plan.workers = 1;
  plan.server.page_items = 5;
  plan.tamper_way = way;
  for (std::uint64_t i = 3; i < 9; ++i) blow(plan, Fault::Tamper, Phase::Backfill, i * 40'000);
}

// Deposed with pages in hand, and awake when their keys are gone.
void with_zombies(Plan& plan) {
  with_history(plan);
  sqlite(plan);
  calm(plan);
  plan.segments = 2;
  plan.workers = 2;
  plan.server.page_items = 8;
  plan.zombie_sleep = std::chrono::seconds(40);
  for (int life = 0; life < 3; ++life) {
    const std::uint64_t after = boundary(plan, static_cast<std::uint64_t>(life), 10'000, 80'000);
    plan.blows.push_back({Fault::Zombie, Phase::Backfill, after, life, false});
  }
}

void with_an_outage(Plan& plan) {
  with_kills_in_backfill(plan);
  blow(plan, Fault::CredentialsExpire, Phase::Backfill, 30'000);
  blow(plan, Fault::Denied, Phase::Backfill, 50'000);
}

void with_empty_scan_pages(Plan& plan) {
  with_kills_in_backfill(plan);
  rate(plan, Fault::EmptyPage, 3);
}

void with_stale_reads(Plan& plan) {
  plan.stream_at_start = false;
  plan.view = View::NewAndOldImages;
  plan.server.enabling_max = Micros(1000);
  plan.server.stale_max = Micros(20'000'000);
  rate(plan, Fault::StaleRead, 1);
}

// Back from a rest, the shards have much to tell and begin with empty pages.
void with_false_tips(Plan& plan) {
  plan.tip_wait = base::Millis(3000);
  plan.tip_pages = 3;
  plan.stream.empty_max = Micros(1'800'000);
  plan.until_in_sync = false;
  plan.restarts = 3;
  plan.rest_least = std::chrono::minutes(2);
  plan.stream.shards = 1;
  rate(plan, Fault::EmptyPage, 2);
}

// Never away for as long as the stream keeps records, but the move takes longer than that.
void with_rests_of_half_a_day(Plan& plan) {
  calm(plan);
  plan.restarts = 3;
  plan.rest_least = std::chrono::hours(13);
}

void with_ttl(Plan& plan) {
  with_history(plan);
  plan.ttl = true;
}

void with_a_stream(Plan& plan) {
  plan.stream_at_start = true;
  plan.view = View::NewAndOldImages;
}

void with_a_stand_in(Plan& plan) { plan.server.knows_capacity = false; }

void with_unprocessed_keys(Plan& plan) {
  plan.view = View::KeysOnly;
  plan.stream_at_start = true;
  rate(plan, Fault::PartialBatch, 4);
}

void with_hostile_items(Plan& plan) {
  sqlite(plan);
  plan.hostile = true;
}

void with_colliding_keys(Plan& plan) {
  plan.key.partition = {"pk", item::KeyType::S};
  plan.key.sort = item::KeyAttribute{"sk", item::KeyType::S};
  plan.colliding_keys = true;
}

void with_bad_records(Plan& plan) { rate(plan, Fault::BadRecord, 12); }

void with_ties(Plan& plan) {
  plan.view = View::NewAndOldImages;
  plan.stream.visible_after_max = Micros(400'000);
}

// Deposed in one era, awake in the next.
void with_zombies_of_an_old_era(Plan& plan) {
  calm(plan);
  plan.target = TargetKind::Memory;
  plan.second_era = true;
  plan.restarts = 4;
  plan.rest_least = std::chrono::minutes(2);
  plan.zombie_sleep = std::chrono::seconds(780);
  blow(plan, Fault::Zombie, Phase::Verify, 10'000);
}

void with_tampering_after_the_comparison(Plan& plan) {
  calm(plan);
  plan.target = TargetKind::Memory;
  plan.tampers_changed = plan.blows_in_sync = true;
  plan.in_sync_least = std::chrono::minutes(1);
  blow(plan, Fault::Tamper, Phase::Replay, 3'000'000);
}

void with_a_partial_target(Plan& plan) {
  plan.target = TargetKind::Memory;
  rate(plan, Fault::PartialBatch, 3);
}

// Down for longer than a write is tried, while nobody else than replay needs it.
void with_a_target_down(Plan& plan) {
  calm(plan);
  plan.target = TargetKind::Memory;
  plan.keys = 3000;  // few are written twice: what was lost is not healed
  plan.blows_in_sync = true;
  plan.in_sync_least = std::chrono::minutes(10);
  plan.outage = std::chrono::minutes(7);
  blow(plan, Fault::TargetDown, Phase::Replay, 1'000'000);
}

void with_refusals(Plan& plan) {
  plan.target = TargetKind::Memory;
  plan.refuses_nul = true;
  plan.hostile = true;
}

void with_a_long_rest(Plan& plan) {
  blow(plan, Fault::Trim, Phase::Replay, 40);
  blow(plan, Fault::Trim, Phase::Verify, 40);
}

// Requests of unknown fate, and processes that die or sleep while some are under way.
void ordered(Plan& plan) {
  plan.target = TargetKind::Ordered;
  plan.blows.clear();
  plan.one_in.fill(0);
  plan.keys = std::min<std::size_t>(plan.keys, 60);
  plan.preload = std::min<std::size_t>(plan.preload, 40);
  plan.stream_at_start = true;
  plan.view = View::NewAndOldImages;
  rate(plan, Fault::LateRequest, 12);
  rate(plan, Fault::LostAnswer, 20);
  rate(plan, Fault::Duplicate, 3);
}

void ordered_with_kills(Plan& plan) {
  ordered(plan);
  for (std::uint64_t i = 0; i < 4; ++i) blow(plan, Fault::Kill, Phase::Replay, boundary(plan, i, 30, 400));
  for (std::uint64_t i = 4; i < 6; ++i) blow(plan, Fault::Kill, Phase::Verify, boundary(plan, i, 20, 200));
}

void ordered_with_late_copies(Plan& plan) {
  ordered(plan);
  rate(plan, Fault::LateRequest, 4);
  plan.preload = plan.keys = 60;
}

void ordered_with_zombies(Plan& plan) {
  ordered(plan);
  for (const Phase phase : {Phase::Backfill, Phase::Replay, Phase::Verify}) {
    blow(plan, Fault::Zombie, phase, 60'000);
    blow(plan, Fault::TwoCoordinators, phase, 90'000);
  }
}

// A run that is behind by seconds, and verifications beside it.
void verified_beside(Plan& plan) {
  calm(plan);
  sqlite(plan);
  plan.hostile = false;
  plan.roll_one_in = 0;
  plan.wall_offset = Micros(0);
  plan.difference_wait = base::Millis(0);
  plan.verifications = 8;
  plan.in_sync_least = std::chrono::minutes(4);
  plan.network.slow_only = "GetRecords";
  rate(plan, Fault::SlowAnswer, 6);
}

void verified_after_crashes(Plan& plan) {
  calm(plan);
  sqlite(plan);
  plan.verifications = 8;
  plan.restarts = 3;
  plan.rest_least = std::chrono::minutes(3);
}

void verified_alone(Plan& plan) {
  calm(plan);
  plan.verifications = 1;
  plan.verify_rounds = 10;
}

void with_power_losses(Plan& plan) {
  sqlite(plan);
  with_kills_in_replay(plan);
  for (std::uint64_t i = 6; i < 8; ++i) blow(plan, Fault::PowerLoss, Phase::Verify, boundary(plan, i, 20, 120));
}

}  // namespace

const std::vector<Mutant>& mutants() {
  static const std::vector<Mutant> all = {
      // §1: each of I1 … I4 removed
      {"eventual_scan", "I1: the back-fill reads without ConsistentRead", with_stale_reads},
      {"fold_tie", "I2: two changes of one second get one version", nullptr},
      {"tombstone_forgotten", "I3: a delete leaves no guard behind", with_slow_pages},
      {"checkpoint_before_ack", "I4: a segment's checkpoint moves before the target has its page",
       with_kills_in_backfill},
      {"checkpoint_before_data", "I4: checkpoints are committed before the data", with_power_losses},
      // §2
      {"guard_on_key_only", "apply without comparing versions", with_slow_pages_in_two_eras},
      {"backfill_ignores_guard", "insert if absent: a deleted key comes back", with_slow_pages},
      {"backfill_version_high", "the back-fill's versions are in the band of changes", with_a_fast_clock},
      {"band_before_era", "an old change beats the new back-fill", [](Plan& plan) { sqlite(plan), with_a_gap(plan); }},
      {"no_sweep", "a new era does not remove what only an old one put there", with_a_gap},
      {"fold_no_inherit", "the same second's child shard gets lower versions than its parent", with_rolls},
      {"seq_without_prev", "the sequence number is saved without the fold's last value", with_kills_in_replay},
      {"finished_row_dropped_before_child", "a finished shard's row goes before its child has started", with_rolls},
      {"sequence_compared_as_string", "sequence numbers compared as text", with_longer_sequences},
      {"allot_without_owner", "level-triggered: versions allotted by a deposed worker", level_triggered_and_deposed},
      {"no_owner_check", "a deposed process goes on writing", with_zombies},
      {"deposed_writes_state", "a deposed process goes on committing its state", with_zombies_of_an_old_era},
      {"start_at_latest", "a shard is read from LATEST", nullptr},
      {"skip_to_trim_horizon", "trimmed records are skipped silently", with_a_long_rest},
      // §7
      {"rows_without_ttl_dropped", "rows without the TTL attribute are filtered out", with_ttl},
      {"stream_switched_on_again", "a stream is there already, so switching one on fails", with_a_stream},
      {"restart_from_nothing", "checkpoints are named by the process, so a restart finds none",
       with_rests_of_half_a_day},
      {"child_before_parent", "children are read beside their parent", with_rolls},
      {"closed_shard_done_half_read", "a closed shard is marked done half-read", with_short_pages},
      {"one_of_two_children_missed", "one of two children is missed", with_hidden_children},
      {"first_listing_page_only", "only the first page of shards is seen", with_many_shards},
      {"empty_page_is_tip", "an empty page is taken for the tip", with_false_tips},
      {"empty_page_is_end", "an empty page of a scan is taken for its end", with_empty_scan_pages},
      {"unprocessed_items_dropped", "what a batch left undone is not sent again", with_a_partial_target},
      {"unprocessed_keys_dropped", "keys that a read left out are taken for deleted", with_unprocessed_keys},
      {"batch_swaps_writes", "of two writes of one key in a batch the older one stands", with_ties},
      {"numbers_through_double", "numbers pass through a double", with_hostile_items},
      {"nested_binary_encoded_twice", "binary within lists and maps is base64 of base64", with_hostile_items},
      {"keys_joined_with_separator", "partition and sort key are joined with a separator that occurs in keys",
       with_colliding_keys},
      {"page_dropped_for_bad_record", "one bad record drops its whole page", with_bad_records},
      {"attributes_beyond_sample_lost", "attributes that the sample did not show are lost", sqlite},
      {"capacity_refusal_is_final", "a server that refuses ReturnConsumedCapacity ends the move", with_a_stand_in},
      {"drop_failed_put", "a failed write is logged and passed over", with_a_target_down},
      {"refused_are_dropped", "what the target cannot hold is dropped without a word", with_refusals},
      {"refused_leaves_old_image", "an older image of what is set aside stays in the target", with_refusals},
      {"segment_count_recomputed", "the number of segments is computed anew on resume", with_kills_in_backfill},
      {"scan_error_skips_page", "a page that cannot be read is passed over", with_an_outage},
      {"replace_keeps_old_attributes", "a put is applied as an update", sqlite},
      // §3, M4
      {"no_wait_after_restart", "a restart replays while requests of its predecessor may land", ordered_with_kills},
      {"no_wait_after_backfill", "changes are replayed while back-fill requests may land", ordered_with_late_copies},
      {"m4_client_retries", "after an ambiguous answer the write is sent again at once", ordered},
      {"held_key_not_held", "after an ambiguous answer the key's next write is sent", ordered},
      {"position_before_definite", "the position of replay moves before the answers are definite", ordered_with_kills},
      {"held_rows_not_kept", "the position moves past a held key, whose change stands nowhere", ordered_with_kills},
      {"held_rows_stay", "a held change is sent again at each restart, also after newer ones", ordered_with_kills},
      {"signing_without_lease", "a process that slept signs again", ordered_with_zombies},
      {"journal_without_epoch", "two owners append to one journal", ordered_with_zombies},
      // §5
      {"verify_source_side_only", "verify looks from the source's side only",
       [](Plan& plan) { with_tampering(plan, 2); }},
      {"verify_count_only", "verify compares counts, not contents", [](Plan& plan) { with_tampering(plan, 1); }},
      {"verify_values_only", "verify compares values twice, whatever is still on its way", with_rolls},
      {"in_sync_by_an_old_look", "in sync is said a minute after it was found", nullptr},
      // … as a command beside the run
      {"applied_row_ignored", "verify beside a run does not wait for what is on its way", verified_beside},
      {"applied_row_says_now", "a run says that what it only read about is applied", verified_beside},
      {"dead_run_believed", "verify waits for a run that stands still, and calls keys hot", verified_after_crashes},
      {"no_second_look", "without a run, verify does not read again what differs", verified_after_crashes},
      {"progress_of_other_sides", "verify goes on with what it compared of another target", verified_alone},
      {"progress_of_long_ago", "verify goes on with what it compared more than a day ago", verified_alone},
      {"reverify_by_the_hour", "keys that changed long ago are not compared again",
       with_tampering_after_the_comparison},
  };
  return all;
}

const Mutant* find_mutant(std::string_view name) {
  const auto& all = mutants();
  const auto at = std::find_if(all.begin(), all.end(), [&](const Mutant& mutant) { return mutant.name == name; });
  return at == all.end() ? nullptr : &*at;
}

void sharpen(Plan& plan, std::string_view mutant) {
  const Mutant* found = find_mutant(mutant);
  if (found != nullptr && found->sharpen != nullptr) found->sharpen(plan);
}

}  // namespace moveout::sim
