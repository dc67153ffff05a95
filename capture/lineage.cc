#include "capture/lineage.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace moveout::capture {

using base::ErrorKind;
using base::fail;
using base::Instant;
using base::Result;
using base::Steady;

Result<Lineage> Lineage::restore(LineageRules rules, const std::map<std::string, std::string>& checkpoints) {
  Lineage lineage(rules);
  for (const auto& [name, value] : checkpoints) {
    if (!name.starts_with(kShardPrefix)) continue;
    if (name == kStartRow) {
      Result<StartRow> start = StartRow::decode(value);
      if (!start) return fail(start.error());
      lineage.start_ = std::move(*start);
      lineage.started_ = true;
      continue;
    }
    std::string id = name.substr(kShardPrefix.size());
    Result<ShardState> state = ShardState::decode(value);
    if (!state) return fail(state.error().kind, "shard " + id + ": " + state.error().what);
    Node node;
    node.has_row = true;
    if (state->finished) {
      node.phase = Phase::Finished;
      lineage.unsettled_.emplace(id, std::nullopt);
    } else {
      lineage.open_.insert(id);
    }
    if (!state->parent.empty()) lineage.parents_.insert(state->parent);
    node.state = std::move(*state);
    lineage.nodes_.emplace(std::move(id), std::move(node));
  }
  return lineage;
}

void Lineage::learn(const aws::Shard& shard, bool first) {
  if (base::mutant("one_of_two_children_missed") && parents_.contains(shard.parent) && !nodes_.contains(shard.id)) {
    return;
  }
  auto [at, fresh] = nodes_.try_emplace(shard.id);
  Node& node = at->second;
  node.listed = true;
  node.closed = !shard.end_sequence.empty();
  if (!fresh) return;
  open_.insert(shard.id);
  node.state.parent = shard.parent;
  if (!shard.parent.empty()) parents_.insert(shard.parent);
  if (first && node.closed) start_.closed.insert(shard.id);
  // A root that the listing before did not show has been born since.
  if (started_ && shard.parent.empty() && listed_at_) node.state.seen = listed_wall_;
}

bool Lineage::orphan(const Node& node) const {
  const std::string& parent = node.state.parent;
  return node.phase == Phase::Known && !node.has_row && !parent.empty() && !start_.history.contains(parent) &&
         !nodes_.contains(parent);
}

// A listing may take minutes, and a shard may be described while it goes on: the wait begins with the end of the first
// listing without it, and is over when another one begins after it.
bool Lineage::absent_long(const std::string& id, Steady begun, Steady ended, std::set<std::string>& absent) {
  absent.insert(id);
  const Steady since = absent_since_.try_emplace(id, ended).first->second;
  if (begun - since >= rules_.absent_wait) return true;
  look_again_at(since + rules_.absent_wait);
  return false;
}

Result<> Lineage::judge_parents(Steady begun, Steady ended, Instant now, std::set<std::string>& absent) {
  orphans_ = 0;
  for (const std::string& id : open_) {
    const Node& node = nodes_.at(id);
    if (!orphan(node)) continue;
    if (!absent_long(node.state.parent, begun, ended, absent)) {
      ++orphans_;
      continue;
    }
    // What the parent held has been trimmed. At first discovery that is history, as long as it is all older than
    // anything this era needs.
    const bool history = !started_ && rules_.covered_from >= kept_from(now);
    if (!history && !base::mutant("skip_to_trim_horizon")) {
      return fail(ErrorKind::StreamGap, "shard " + id + " is listed, but its parent " + node.state.parent +
                                            " was never read and is listed no more: what it held was trimmed");
    }
    start_.history.insert(node.state.parent);
  }
  return {};
}

Result<> Lineage::judge_vanished(const std::set<std::string>& present, Steady begun, Steady ended, Instant now,
                                 std::set<std::string>& absent) {
  for (const std::string& id : open_) {
    // A shard that is being read speaks for itself: its calls fail when it is gone.
    if (present.contains(id) || nodes_.at(id).phase != Phase::Known) continue;
    if (!absent_long(id, begun, ended, absent)) continue;
    if (!may_vanish(id, now)) {
      const std::string& seq = nodes_.at(id).state.seq;
      return fail(ErrorKind::StreamGap, "shard " + id + " is listed no more and was not read to its end (" +
                                            (seq.empty() ? "nothing of it was read" : "last sequence number " + seq) +
                                            ")");
    }
    passed_over_.push_back(id);
  }
  return {};
}

Result<> Lineage::listed(const std::vector<aws::Shard>& shards, Steady begun, Steady ended, Instant now) {
  const bool first = !started_ && !listed_at_;
  std::set<std::string> present;
  for (const aws::Shard& shard : shards) {
    present.insert(shard.id);
    learn(shard, first);
  }
  look_again_.reset();
  std::set<std::string> absent;
  if (Result<> judged = judge_parents(begun, ended, now, absent); !judged) return judged;
  if (Result<> judged = judge_vanished(present, begun, ended, now, absent); !judged) return judged;
  std::erase_if(absent_since_, [&](const auto& entry) { return !absent.contains(entry.first); });
  if (!started_ && orphans_ == 0 && !shards.empty()) {
    started_ = true;
    start_to_save_ = start_;
  }
  listed_at_ = begun;
  listed_wall_ = now;
  settle(begun);
  return {};
}

void Lineage::settle(Steady begun) {
  for (auto at = unsettled_.begin(); at != unsettled_.end();) {
    if (!at->second) at->second = begun;
    const bool has_child = parents_.contains(at->first);
    const Steady sure = *at->second + (has_child ? rules_.tip_wait : rules_.child_wait);
    if (begun >= sure) {
      at = unsettled_.erase(at);
      continue;
    }
    look_again_at(sure);
    ++at;
  }
}

void Lineage::look_again_at(Steady when) {
  if (!look_again_ || when < *look_again_) look_again_ = when;
}

void Lineage::start_saved() { start_to_save_.reset(); }

std::vector<std::string> Lineage::take_passed_over() { return std::exchange(passed_over_, {}); }

bool Lineage::inherit(Node& node) const {
  const std::string& parent = node.state.parent;
  if (node.has_row || parent.empty() || start_.history.contains(parent)) return true;
  const auto at = nodes_.find(parent);
  if (at == nodes_.end()) return false;
  const Node& from = at->second;
  if (from.phase != Phase::Finished && !base::mutant("child_before_parent")) return false;
  node.state.prev = base::mutant("fold_no_inherit") ? 0 : from.state.prev;
  node.state.seen = std::max(from.state.seen, from.state.newest);
  node.tip = from.tip;
  node.past = from.past;
  node.unread_since = from.unread_since;
  return true;
}

std::vector<std::string> Lineage::start_ready() {
  std::vector<std::string> ready;
  for (const std::string& id : open_) {
    Node& node = nodes_.at(id);
    if (node.phase != Phase::Known || !node.listed || !inherit(node)) continue;
    node.phase = Phase::Reading;
    ++reading_;
    ready.push_back(id);
  }
  return ready;
}

const ShardState& Lineage::state(const std::string& shard) const {
  const auto at = nodes_.find(shard);
  MOVEOUT_ASSERT(at != nodes_.end());
  return at->second.state;
}

void Lineage::saved(const std::string& shard, ShardState state, Steady now) {
  Node& node = nodes_.at(shard);
  MOVEOUT_ASSERT(node.phase != Phase::Finished);
  node.state = std::move(state);
  node.has_row = true;
  if (!node.state.finished) return;
  if (base::mutant("finished_row_dropped_before_child")) node.state.prev = 0;
  if (node.phase == Phase::Reading) --reading_;
  node.phase = Phase::Finished;
  open_.erase(shard);
  unsettled_.emplace(shard, now);
}

void Lineage::reached(const std::string& shard, Steady tip, Instant seen) {
  Node& node = nodes_.at(shard);
  node.tip = std::max(node.tip, tip);
  node.past = std::max(node.past, tip);
  node.state.seen = std::max(node.state.seen, seen);
}

void Lineage::passed(const std::string& shard, Steady past) {
  Node& node = nodes_.at(shard);
  node.past = std::max(node.past, past);
}

void Lineage::ended_unread(const std::string& shard, Steady since) { nodes_.at(shard).unread_since = since; }

std::optional<Steady> Lineage::unread_since(const std::string& shard) const { return nodes_.at(shard).unread_since; }

bool Lineage::horizon_is_safe(const std::string& shard, Instant now) const {
  if (base::mutant("skip_to_trim_horizon")) return true;
  const ShardState& at = state(shard);
  // Whatever is trimmed by now was created before `kept`. Nothing needed is lost when all before `kept` is covered by
  // the back-fill, was delivered, or was seen not to exist. And a record that was read lately cannot be trimmed yet:
  // if it is, this server does not keep what DynamoDB keeps, and nothing may be concluded.
  const Instant kept = kept_from(now);
  if (!at.seq.empty() && at.newest > kept) return false;
  return std::max({rules_.covered_from, at.seen, at.newest}) >= kept;
}

bool Lineage::may_vanish(const std::string& shard, Instant now) const {
  if (base::mutant("skip_to_trim_horizon")) return true;
  return start_.closed.contains(shard) && horizon_is_safe(shard, now);
}

bool Lineage::closed_in_listing(const std::string& shard) const { return nodes_.at(shard).closed; }

bool Lineage::children_expected() const {
  return std::ranges::any_of(unsettled_, [&](const auto& entry) { return !parents_.contains(entry.first); });
}

std::optional<Steady> Lineage::childless_since() const {
  std::optional<Steady> since;
  for (const auto& [id, finished] : unsettled_) {
    if (!finished || parents_.contains(id)) continue;
    const Steady unread = std::min(*finished, nodes_.at(id).unread_since.value_or(*finished));
    since = since ? std::min(*since, unread) : unread;
  }
  return since;
}

// Every instant before this one was reached by all shards; the least when that is true of none.
Steady Lineage::all_before(Steady Node::* reached_at) const {
  if (!started_ || !listed_at_ || orphans_ > 0) return Steady::min();
  // A stream that is on always has a shard: where none shows, a listing left it out, and nothing is proved.
  if (open_.empty() && unsettled_.empty()) return Steady::min();
  Steady all = *listed_at_;
  for (const std::string& id : open_) {
    const Node& node = nodes_.at(id);
    all = std::min(all, node.phase == Phase::Reading ? node.*reached_at : Steady::min());
  }
  for (const auto& [id, since] : unsettled_) all = std::min(all, nodes_.at(id).*reached_at);
  return all;
}

bool Lineage::at_tip_since(Steady instant) const { return all_before(&Node::tip) > instant; }
bool Lineage::passed_since(Steady instant) const { return passed_before() > instant; }
Steady Lineage::passed_before() const { return all_before(&Node::past); }

}  // namespace moveout::capture
