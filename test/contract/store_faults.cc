// The state store on a disk that fails.
#include <sqlite3.h>

#include "state/sqlite_store.h"
#include "test/contract/faulty_vfs.h"
#include "test/contract/worlds.h"

using namespace moveout;
using namespace moveout::test;
using base::ErrorKind;
using base::run_task;

// Commit n writes rows a and b = n. Whatever write or sync fails, both have one value: the last that was acknowledged,
// or the one whose answer was lost.
TEST_CASE("a commit of the state is there as a whole or not at all, whatever write or sync fails") {
  int failed = 0;
  for (const bool sync : {false, true}) {
    for (const int code : {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC}) {
      for (int nth = 1; nth <= 20; ++nth) {
        CAPTURE(sync);
        CAPTURE(code);
        CAPTURE(nth);
        FaultyVfs vfs;
        SqliteWorld world;
        base::InlineWorker worker;
        auto opened = run_task(state::SqliteStore::open(worker, world.file(), FaultyVfs::name()));
        REQUIRE(opened);
        std::unique_ptr<state::Store> store = std::move(*opened);
        sync ? vfs.fail_sync(nth, code) : vfs.fail_write(nth, code);
        std::string last;
        for (int n = 1; n <= 6; ++n) {
          const std::string value = std::to_string(n) + std::string(3000, '.');
          const auto done = run_task(store->commit({{"a", value}, {"b", value}}));
          state::Rows rows = run_task(store->read("")).value();
          if (done) {
            last = value;
          } else {
            ++failed;
            if (done.error().kind == ErrorKind::Unavailable && rows["a"] == value) last = value;
          }
          CHECK(rows["a"] == last);
          CHECK(rows["b"] == last);
        }
        vfs.heal();
        store.reset();
        auto again = run_task(state::SqliteStore::open(worker, world.file()));
        REQUIRE(again);
        CHECK(run_task((*again)->read(""))->at("a") == last);
      }
    }
  }
  CHECK(failed > 50);
}
