#include "sim/dynamodb/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "item/hash.h"

namespace moveout::sim {

Text Row::at(Micros when) const {
  Text state;
  for (const Past& each : past) {
    if (each.at > when) break;
    state = each.json;
  }
  return state;
}

Place place_of(const std::string& encoded_key) {
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(encoded_key[i])); };
  const std::size_t partition = 5 + (byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4));
  return {item::hash_of(std::string_view(encoded_key).substr(0, partition), 0x6d6f).low, encoded_key};
}

Table::Table(Scheduler& scheduler, Faults& faults, base::Rng rng, TableSpec spec, std::string arn, std::string id)
    : scheduler_(scheduler),
      faults_(faults),
      rng_(rng),
      spec_(std::move(spec)),
      arn_(std::move(arn)),
      id_(std::move(id)),
      created_(scheduler.now()) {}

void Table::put(const item::Item& item) {
  const item::Key key = item::Key::of(spec_.key, item);
  write(key.encoded(), nullptr, std::make_shared<const std::string>(item::to_json(item)), false);
}

void Table::erase(const item::Key& key, bool ttl) { write(key.encoded(), nullptr, nullptr, ttl); }

Text Table::get(const item::Key& key) const {
  auto row = rows_.find(place_of(key.encoded()));
  return row == rows_.end() ? nullptr : row->second.now();
}

void Table::write(const std::string& encoded_key, Text keys, Text json, bool ttl) {
  Place place = place_of(encoded_key);
  const std::uint64_t hash = place.hash;
  auto found = rows_.find(place);
  const Text before = found == rows_.end() ? nullptr : found->second.now();
  if ((!before && !json) || (before && json && *before == *json)) return;
  if (found == rows_.end()) {
    const auto key = item::Key::from_encoded(encoded_key);
    MOVEOUT_ASSERT(key.has_value());
    keys = std::make_shared<const std::string>(item::to_json(key->attributes(spec_.key)));
    found = rows_.emplace(std::move(place), Row{std::move(keys), {}}).first;
  }
  found->second.past.push_back({scheduler_.now(), json});
  ++writes_;
  if (!before) ++live_items_;
  if (!json) --live_items_;
  // While the stream is being switched on nothing is promised: nothing is kept.
  if (Stream* current = stream(); current != nullptr && current->on() && stream_ready_) {
    current->append(hash, !before ? "INSERT" : json ? "MODIFY" : "REMOVE", found->second.keys, json, before, ttl);
  }
}

void Table::enable_stream(View view, Micros ready_at) {
  using namespace std::chrono;
  const base::Instant instant = true_time(scheduler_);
  const sys_days day = floor<days>(instant);
  const year_month_day date(day);
  const std::int64_t ms = duration_cast<milliseconds>(instant - day).count();
  const std::string label = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}", static_cast<int>(date.year()),
                                        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                        ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60, ms % 1000);
  stream_ready_ = false;
  stream_ready_at_ = ready_at;
  streams_.push_back(std::make_unique<Stream>(scheduler_, faults_, rng_.fork(), spec_.stream,
                                              fmt::format("{}/stream/{}", arn_, label), label, spec_.name, view));
}

void Table::disable_stream() {
  if (Stream* current = stream()) current->switch_off();
}

Stream* Table::stream() {
  stream_ready_ = scheduler_.now() >= stream_ready_at_;
  return streams_.empty() ? nullptr : streams_.back().get();
}

void Table::trim() {
  for (auto& stream : streams_) stream->trim();
  const Micros now = scheduler_.now();
  std::erase_if(streams_, [&](auto& s) { return !s->on() && s->off_at() < now - s->options().retention; });
}

}  // namespace moveout::sim
