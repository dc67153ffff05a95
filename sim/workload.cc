#include "sim/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace moveout::sim {

namespace {
constexpr std::size_t kHotKeys = 4;
// What most items have; their types are what columns are inferred from.
constexpr const char* kAttributes[] = {"status", "amount", "open",  "blob",       "tags",
                                       "doc",    "Status", "notes", "attributes", "_moveout_x"};
constexpr const char* kTtl = "expires";

item::Number number_of(const std::string& text) { return *item::Number::parse(text); }
}  // namespace

Workload::Workload(Scheduler& scheduler, Faults& faults, base::Rng rng, Server& server, std::string table,
                   const Plan& plan, Trace& trace)
    : scheduler_(scheduler),
      faults_(faults),
      rng_(rng),
      server_(server),
      table_(std::move(table)),
      plan_(plan),
      trace_(trace) {
  keys_.reserve(plan.keys);
  for (std::size_t i = 0; i < plan.keys; ++i) keys_.push_back(make_key(i));
  rng_.shuffle(keys_);
  if (plan.hostile) hostile_ = item::hostile_items(plan.key);
}

// Neighbours that only a careless encoding takes for one key: "k:1" + "2" and "k" + "1:2", 1 and 1.0 and 10.
item::Value Workload::make_key_value(item::KeyType type, std::size_t number, bool sort) {
  const std::size_t shape = number % 7;
  switch (type) {
    case item::KeyType::S: {
      if (shape == 1) return item::Value(fmt::format("k:{}{}", number, sort ? ":" : ""));
      if (shape == 2) return item::Value(fmt::format("k{}|\x1f\xc3\xa9\"\\", number));
      if (shape == 3 && !plan_.refuses_nul) return item::Value(std::string("k\0", 2) + std::to_string(number));
      return item::Value(fmt::format("k{}", number));
    }
    case item::KeyType::N: {
      if (shape == 1) return item::Value(number_of(fmt::format("-{}.5", number)));
      if (shape == 2) return item::Value(number_of(fmt::format("{}0000000000000000000000000000000001", number)));
      if (shape == 3) return item::Value(number_of(fmt::format("{}e-60", number)));
      return item::Value(number_of(std::to_string(number)));
    }
    case item::KeyType::B: {
      std::string bytes = fmt::format("{}", number);
      if (shape == 1) bytes += std::string("\0\xff:", 3);
      if (shape == 2) bytes.insert(0, "\xfe");
      return item::Value(item::Binary{bytes});
    }
  }
  return {};
}

item::Item Workload::make_key(std::size_t number) {
  item::Item key;
  if (plan_.colliding_keys) {
    // "k1:a" + "b" and "k1" + "a:b".
    const bool odd = number % 2 != 0;
    key[plan_.key.partition.name] = item::Value(fmt::format("k{}{}", number / 2, odd ? ":a" : ""));
    key[plan_.key.sort->name] = item::Value(std::string(odd ? "b" : "a:b"));
    return key;
  }
  if (!plan_.key.sort) {
    key[plan_.key.partition.name] = make_key_value(plan_.key.partition.type, number, false);
    return key;
  }
  // A few partitions hold many items each.
  key[plan_.key.partition.name] = make_key_value(plan_.key.partition.type, number / 9, false);
  key[plan_.key.sort->name] = make_key_value(plan_.key.sort->type, number, true);
  return key;
}

item::Value Workload::usual_value(std::size_t attribute) {
  const std::string text = fmt::format("v{}", rng_.below(1000));
  switch (attribute) {
    case 0:
      return item::Value(text);
    case 1:
      return rng_.chance(3) ? item::Value(item::random_number(rng_))
                            : item::Value(item::Number::of(static_cast<std::int64_t>(rng_.below(1u << 30)) - 1000));
    case 2:
      return item::Value(rng_.chance(2));
    case 3:
      return item::Value(item::Binary{item::random_bytes(rng_)});
    case 4:
      return item::Value(item::StringSet{{"a", text}});
    case 5:
      return item::Value(
          item::Map{{"n", item::Value(item::random_number(rng_))}, {"l", item::Value(item::List{item::Value(text)})}});
    default:
      return item::Value(text);
  }
}

item::Item Workload::make_item(const item::Item& key_attributes) {
  item::Item item = key_attributes;
  for (std::size_t a = 0; a < std::size(kAttributes); ++a) {
    if (item.contains(kAttributes[a]) || !rng_.chance(a < 3 ? 1 : 4)) continue;
    // Now and then a value is not of its column's type.
    item::GenOptions options;
    options.depth_max = 2;
    item[kAttributes[a]] = rng_.chance(25) ? item::random_value(rng_, options) : usual_value(a);
  }
  if (plan_.ttl && rng_.chance(3)) {
    item[kTtl] = item::Value(item::Number::of(1'767'225'600 + static_cast<std::int64_t>(rng_.below(3600))));
  }
  return item;
}

void Workload::preload() {
  Table* table = server_.find(table_);
  for (std::size_t i = 0; i < plan_.preload; ++i) table->put(make_item(keys_[i]));
}

void Workload::write_to(Table& table, const item::Item& key_attributes) {
  const item::Key key = item::Key::of(plan_.key, key_attributes);
  const Text now = table.get(key);
  const std::uint64_t dice = rng_.below(100);
  if (plan_.ttl && dice < 8) {
    // Expired, extended, or put back in the same breath.
    faults_.count(Fault::TtlDelete);
    if (now && rng_.chance(3)) {
      item::Item item = *item::parse_item(*now);
      item[kTtl] = item::Value(item::Number::of(1'900'000'000));
      table.put(item);
      return;
    }
    table.erase(key, true);
    if (rng_.chance(3)) table.put(make_item(key_attributes));
  } else if (dice < 50 || !now) {
    if (!now && dice >= 90) {
      table.erase(key);  // of what is not there: no record
      return;
    }
    table.put(make_item(key_attributes));
  } else if (dice < 75) {
    item::Item item = *item::parse_item(*now);
    item["n"] = item::Value(item::Number::of(static_cast<std::int64_t>(rng_.below(1000))));
    if (rng_.chance(4)) item.erase("status");
    table.put(item);
  } else if (dice < 78) {
    table.put(*item::parse_item(*now));  // nothing changes: no record
  } else {
    table.erase(key);
  }
}

void Workload::write_one() {
  Table* table = server_.find(table_);
  if (table == nullptr || table->spec().key != plan_.key) return;
  if (!hostile_.empty() && rng_.chance(40)) {
    faults_.count(Fault::Hostile);
    const item::Item& hostile = hostile_[rng_.below(hostile_.size())].item;
    if (rng_.chance(4)) {
      table->erase(item::Key::of(plan_.key, hostile));
    } else {
      table->put(hostile);
    }
  } else {
    // Some keys are left alone once the back-fill is over: what went wrong with them then is not healed by a later
    // write.
    const bool early = faults_.phase() == Phase::Start || faults_.phase() == Phase::Backfill;
    const std::size_t reach = early ? keys_.size() : keys_.size() * 6 / 10;
    const item::Item& key = rng_.chance(4) ? keys_[rng_.below(kHotKeys)] : keys_[rng_.below(reach)];
    write_to(*table, key);
    // The same key again at the same instant: their times tie.
    if (rng_.chance(6)) write_to(*table, key);
  }
  ++writes_[static_cast<std::size_t>(faults_.phase())];
  Stream* stream = table->stream();
  if (plan_.roll_one_in != 0 && rolls_left_ > 0 && !faults_.is_calm() && stream != nullptr && stream->on() &&
      rng_.chance(plan_.roll_one_in)) {
    --rolls_left_;
    stream->roll(rng_.below(stream->open_shards()), rng_.chance(2) && stream->open_shards() < 6);
    trace_.note("shards: {} open", stream->open_shards());
  }
}

void Workload::burst(int writes) {
  for (int i = 0; i < writes; ++i) write_one();
}

std::uint64_t Workload::total() const { return std::accumulate(writes_.begin(), writes_.end(), std::uint64_t{0}); }

void Workload::start() {
  stopped_ = false;
  scheduler_.call_after(Micros(0), [this] { tick(); });
}

void Workload::stop() {
  if (stopped_) return;
  stopped_ = true;
  stopped_at_ = scheduler_.now();
  trace_.note("writers stop after {} writes", total());
}

void Workload::tick() {
  if (stopped_) return;
  write_one();
  Micros wait(100 + rng_.below(900));
  const std::uint64_t in_phase = writes_[static_cast<std::size_t>(faults_.phase())];
  const bool enough = in_phase >= plan_.writes_a_phase;
  // Only a tip needs pauses.
  const bool no_pause = faults_.phase() == Phase::Start || faults_.phase() == Phase::Backfill;
  if (slow_for_ > Micros(0)) {
    // Some twenty writes, whatever the rest.
    wait = Micros(1000 + rng_.below(static_cast<std::uint64_t>(slow_for_.count()) / 10 + 1));
  } else if (enough && no_pause && in_phase < 4 * plan_.writes_a_phase) {
    wait = Micros(1000 + rng_.below(15'000));
  } else if (enough && --burst_left_ <= 0) {
    burst_left_ = static_cast<int>(5 + rng_.below(30));
    // A run that takes long must not drown in writes.
    const std::int64_t thinner = 1 + static_cast<std::int64_t>(total() / 3000);
    wait = Micros(plan_.tip_wait) / 2 +
           thinner * Micros(rng_.below(static_cast<std::uint64_t>(Micros(plan_.tip_wait).count()) * 4));
  }
  scheduler_.call_after(wait, [this] { tick(); });
}

}  // namespace moveout::sim
