// What an item costs on its way: slicing, keys, trees, hashes. Bytes per second are bytes of DynamoDB JSON.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <simdjson.h>

#include "base/rng.h"
#include "item/batch.h"
#include "item/hash.h"
#include "item/json.h"
#include "item/slice.h"

namespace moveout::item {
namespace {

const KeySchema kSchema{{"pk", KeyType::S}, KeyAttribute{"sk", KeyType::N}};

// 185 B of JSON and 6 attributes, as performance.md measures by.
std::string small_item(base::Rng& rng) {
  return fmt::format(R"({{"name":{{"S":"customer {:08}"}},"pk":{{"S":"user#{:012}"}},"active":{{"BOOL":{}}},)"
                     R"("sk":{{"N":"{}"}},"city":{{"S":"{}"}},"balance":{{"N":"{}.{:02}"}}}})",
                     rng.below(100'000'000), rng.below(1'000'000'000'000), rng.chance(2) ? "true" : "false",
                     rng.below(1'000'000), std::string(20 + rng.below(16), 'c'), rng.below(100'000), rng.below(100));
}

// About 980 B with map, list and set.
std::string medium_item(base::Rng& rng) {
  std::string events;
  for (int i = 0; i < 6; ++i) {
    events += fmt::format(R"({}{{"M":{{"at":{{"N":"{}"}},"what":{{"S":"{}"}}}}}})", i == 0 ? "" : ",",
                          1'600'000'000 + rng.below(100'000'000), std::string(10 + rng.below(10), 'e'));
  }
  return fmt::format(
      R"({{"bio":{{"S":"{}"}},"pk":{{"S":"user#{:012}"}},"sk":{{"N":"{}"}},"tags":{{"SS":["alpha","beta","gamma"]}},)"
      R"("events":{{"L":[{}]}},"address":{{"M":{{"street":{{"S":"{}"}},"zip":{{"S":"{:05}"}},"geo":{{"L":[{{"N":"52.{:06}"}},{{"N":"13.{:06}"}}]}}}}}},)"
      R"("blob":{{"B":"{}"}}}})",
      std::string(150 + rng.below(50), 'b'), rng.below(1'000'000'000'000), rng.below(1'000'000), events,
      std::string(20 + rng.below(10), 's'), rng.below(100'000), rng.below(1'000'000), rng.below(1'000'000),
      encode_base64(std::string(60, '\x7F')));
}

struct Body {
  std::string text;
  std::vector<std::string> items;
};

const Body& body(std::int64_t medium) {
  static const auto make = [](bool big) {
    base::Rng rng(1);
    Body made;
    std::string array;
    while (array.size() < 1'000'000) {
      made.items.push_back(big ? medium_item(rng) : small_item(rng));
      array += (array.empty() ? "" : ",") + made.items.back();
    }
    made.text = fmt::format(
        R"({{"ConsumedCapacity":{{"CapacityUnits":128.5,"TableName":"T"}},"Count":{0},"Items":[{1}],"LastEvaluatedKey":{{"pk":{{"S":"x"}},"sk":{{"N":"1"}}}},"ScannedCount":{0}}})",
        made.items.size(), array);
    return made;
  };
  static const Body bodies[2] = {make(false), make(true)};
  return bodies[medium];
}

void report(benchmark::State& state, const Body& page) {
  const auto rounds = static_cast<std::int64_t>(state.iterations());
  state.SetBytesProcessed(rounds * static_cast<std::int64_t>(page.text.size()));
  state.SetItemsProcessed(rounds * static_cast<std::int64_t>(page.items.size()));
  state.counters["item_bytes"] = static_cast<double>(page.text.size()) / static_cast<double>(page.items.size());
}

void slice_with_keys(benchmark::State& state) {
  const Body& page = body(state.range(0));
  Page sliced;
  for (auto _ : state) {
    if (!slice_page(page.text, kSchema, sliced)) std::abort();
    benchmark::DoNotOptimize(sliced.items.data());
  }
  report(state, page);
}
BENCHMARK(slice_with_keys)->Arg(0)->Arg(1);

void slice_into_batch(benchmark::State& state) {
  const Body& page = body(state.range(0));
  const auto buffer = std::make_shared<const std::string>(page.text);
  Page sliced;
  for (auto _ : state) {
    if (!slice_page(*buffer, kSchema, sliced)) std::abort();
    Batch batch;
    for (std::size_t i = 0; i < sliced.items.size(); ++i) batch.add(sliced.key(i), Version{}, sliced.items[i], buffer);
    benchmark::DoNotOptimize(batch.bytes());
  }
  report(state, page);
}
BENCHMARK(slice_into_batch)->Arg(0)->Arg(1);

void slice_without_keys(benchmark::State& state) {
  const Body& page = body(state.range(0));
  Page sliced;
  for (auto _ : state) {
    if (!slice_page(page.text, sliced)) std::abort();
    benchmark::DoNotOptimize(sliced.items.data());
  }
  report(state, page);
}
BENCHMARK(slice_without_keys)->Arg(0)->Arg(1);

// For comparison: simdjson's index alone, and its On-Demand walk over the items with a key looked up in each.
void simdjson_keys(benchmark::State& state) {
  const Body& page = body(state.range(0));
  const simdjson::padded_string padded(page.text);
  simdjson::ondemand::parser parser;
  for (auto _ : state) {
    auto document = parser.iterate(padded);
    std::size_t bytes = 0;
    for (auto item : document["Items"].get_array()) {
      auto object = item.get_object().value();
      for (auto field : object) {
        const std::string_view name = field.unescaped_key().value();
        if (name == "pk") bytes += field.value()["S"].get_string().value().size();
        if (name == "sk") bytes += field.value()["N"].get_string().value().size();
      }
    }
    benchmark::DoNotOptimize(bytes);
  }
  report(state, page);
}
BENCHMARK(simdjson_keys)->Arg(0)->Arg(1);

void utf8_check(benchmark::State& state) {
  const Body& page = body(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(simdjson::validate_utf8(page.text.data(), page.text.size()));
  report(state, page);
}
BENCHMARK(utf8_check)->Arg(0);

void key_of_one(benchmark::State& state) {
  const Body& page = body(state.range(0));
  std::string key;
  for (auto _ : state) {
    for (const std::string& item : page.items) {
      key.clear();
      if (!append_key_of_json(kSchema, item, key)) std::abort();
    }
  }
  report(state, page);
}
BENCHMARK(key_of_one)->Arg(0)->Arg(1);

void walk_attributes(benchmark::State& state) {
  const Body& page = body(state.range(0));
  std::size_t bytes = 0;
  for (auto _ : state) {
    for (const std::string& item : page.items) {
      if (!for_each_attribute(item, [&](auto name, Type, auto raw) { bytes += name.size() + raw.size(); })) {
        std::abort();
      }
    }
  }
  benchmark::DoNotOptimize(bytes);
  report(state, page);
}
BENCHMARK(walk_attributes)->Arg(0)->Arg(1);

void parse_trees(benchmark::State& state) {
  const Body& page = body(state.range(0));
  for (auto _ : state) {
    for (const std::string& item : page.items) benchmark::DoNotOptimize(parse_item(item));
  }
  report(state, page);
}
BENCHMARK(parse_trees)->Arg(0)->Arg(1);

void parse_and_hash(benchmark::State& state) {
  const Body& page = body(state.range(0));
  for (auto _ : state) {
    for (const std::string& item : page.items) benchmark::DoNotOptimize(canonical_hash(parse_item(item).value(), 1));
  }
  report(state, page);
}
BENCHMARK(parse_and_hash)->Arg(0)->Arg(1);

void parse_number(benchmark::State& state) {
  const std::string text = state.range(0) == 0 ? "123456.78" : "12345678901234567890.123456789012345678";
  for (auto _ : state) benchmark::DoNotOptimize(Number::parse(text));
}
BENCHMARK(parse_number)->Arg(0)->Arg(1);

}  // namespace
}  // namespace moveout::item
