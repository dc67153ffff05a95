// What a target costs: CPU-seconds and wall seconds for a million small items (185 B, 6 attributes) in hash order.
//   target_bench sqlite-copy|sqlite-run|file FILE [items in thousands] [pages at once]
#include <sys/resource.h>
#include <time.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/task_group.h"
#include "item/json.h"
#include "item/slice.h"
#include "net/runtime.h"
#include "net/thread_worker.h"
#include "schema/columns.h"
#include "target/file/file_target.h"
#include "target/sqlite/sqlite_target.h"

using namespace moveout;

namespace {

constexpr std::uint64_t kPageItems = 5600;  // 1 MB of such items
const item::KeySchema kKey{{"id", item::KeyType::S}, std::nullopt};

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Of this thread alone.
double own_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Keys in an order without any, as a scan gives them.
std::string item_text(std::uint64_t n) {
  char text[256];
  std::snprintf(text, sizeof text,
                R"({"id":{"S":"customer#%016llx"},"name":{"S":"name of %09llu"},"age":{"N":"%llu"},)"
                R"("score":{"N":"%llu.25"},"active":{"BOOL":true},"city":{"S":"some city or other %04llu"}})",
                static_cast<unsigned long long>(n * 0x9E3779B97F4A7C15ULL), static_cast<unsigned long long>(n),
                static_cast<unsigned long long>(n % 90), static_cast<unsigned long long>(n % 1000),
                static_cast<unsigned long long>(n % 5000));
  return text;
}

std::string page_text(std::uint64_t from, std::uint64_t count) {
  std::string page = R"({"Items":[)";
  for (std::uint64_t n = from; n < from + count; ++n) page += (n == from ? "" : ",") + item_text(n);
  return page + R"(],"Count":)" + std::to_string(count) + "}";
}

struct Job {
  target::Target& to;
  std::uint64_t pages;
  std::uint64_t next = 0;
  double making = 0;  // CPU of what is not the target's
};

base::Task<base::Result<>> fill(Job& job, std::uint64_t id) {
  while (job.next < job.pages) {
    const std::uint64_t number = job.next++;
    const double before = own_cpu_seconds();
    auto body = std::make_shared<const std::string>(page_text(number * kPageItems, kPageItems));
    item::Page page;
    if (auto sliced = item::slice_page(*body, kKey, page); !sliced) co_return base::fail(std::move(sliced.error()));
    item::Batch batch;
    for (std::size_t i = 0; i < page.items.size(); ++i) {
      batch.add(page.key(i), item::Version{.t = 1}, page.items[i], body);
    }
    job.making += own_cpu_seconds() - before;
    target::Checkpoints moved;
    moved.push_back({"segment/" + std::to_string(id), std::to_string(number)});
    base::Result<target::Outcomes> done = co_await job.to.apply(std::move(batch), std::move(moved));
    if (!done) co_return base::fail(std::move(done.error()));
  }
  co_return base::Result<>();
}

base::Task<base::Result<>> run(target::Target& to, target::Mode mode, std::uint64_t items, std::uint64_t at_once) {
  schema::Sampler sampler(kKey);
  for (std::uint64_t n = 0; n < 1000; ++n) (void)sampler.see(item_text(n));
  target::Layout layout{"bench", kKey, schema::to_text(sampler.columns(schema::Dialect::Sqlite))};
  base::Result<target::Opened> opened = co_await to.open("bench", 1, std::move(layout), mode, false);
  if (!opened) co_return base::fail(std::move(opened.error()));
  const auto started = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  Job job{to, items / kPageItems};
  base::TaskGroup group(co_await base::this_executor);
  for (std::uint64_t id = 0; id < at_once; ++id) group.start(fill(job, id));
  base::Result<> filled = co_await group.wait();
  if (!filled) co_return filled;
  const double cpu_filled = cpu_seconds();
  base::Result<> sealed = co_await to.seal();
  const double done = static_cast<double>(job.pages * kPageItems) / 1e6;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("items %.0fk  CPU-s/1M: fill %.2f (making the pages: %.2f of it) seal %.2f  wall %.1f s  RSS %ld MB\n",
              done * 1000, (cpu_filled - cpu) / done, job.making / done, (cpu_seconds() - cpu_filled) / done,
              std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(),
              usage.ru_maxrss / 1024);
  co_return sealed;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "target_bench sqlite-copy|sqlite-run|file FILE [items in thousands] [pages at once]\n");
    return 2;
  }
  const std::string kind = argv[1], path = argv[2];
  const std::uint64_t items = (argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1000) * 1000;
  const std::uint64_t at_once = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 8;
  net::Runtime runtime;
  net::ThreadWorker worker("target");
  base::NoLog log;
  std::unique_ptr<target::Target> to;
  if (kind == "file") {
    to = target::file::make_target({.path = path}, worker, runtime.executor(), log);
  } else {
    target::sqlite::DatabaseOptions options;
    options.path = path;
    if (const char* cache = std::getenv("CACHE_MB")) options.cache_mb = std::atoi(cache);
    to = target::sqlite::make_target(target::sqlite::Database::make(options, worker, runtime.executor(), log));
  }
  const auto mode = kind == "sqlite-run" ? target::Mode::Run : target::Mode::Copy;
  const auto result = runtime.run(run(*to, mode, items, at_once));
  if (!result) std::fprintf(stderr, "%s\n", result.error().what.c_str());
  return result ? 0 : 1;
}
