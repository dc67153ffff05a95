#include "target/dynamodb/crew.h"

namespace moveout::target::dynamodb {
namespace {

using base::Result;
using base::Task;

// One sender's place in the pacer; given back also when it is cancelled.
struct Place {
  explicit Place(Pacer& p) : pacer(p) { pacer.joined(); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() { pacer.left(); }
  Pacer& pacer;
};

// One request's share of what is under way.
struct Request {
  Request(Pacer& p, std::size_t size, base::Steady now) : pacer(p), bytes(size), began(now) {
    reserved = pacer.begin(bytes, now);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  ~Request() { pacer.end(reserved, bytes, spent.units, spent.refused, ended - began, ended); }
  Pacer& pacer;
  std::size_t bytes;
  base::Steady began;
  base::Steady ended = began;
  double reserved = 0;
  Spent spent;
};

struct Crew {
  Crew(base::Executor executor, Work& w, Pacer& p, base::Clock& c) : work(w), pacer(p), clock(c), group(executor) {}

  // False: the rate asks for more patience than there is.
  Task<bool> wait_for_rate() {
    for (;;) {
      const base::Steady now = clock.steady();
      const base::Steady ready = pacer.ready_at(now);
      if (ready <= now) co_return true;
      if (ready - now > work.patience()) co_return false;
      co_await clock.sleep_until(ready);
    }
  }

  Task<Result<>> send_requests(bool first) {
    Place place(pacer);
    // The first sender of each work stays, so that every work gets on.
    while (!over && (first || !pacer.too_many())) {
      const std::optional<Piece> piece = work.take();
      if (!piece) break;
      if (over || !co_await wait_for_rate()) {
        work.give_back(*piece);
        over = true;
        break;
      }
      Request request(pacer, piece->bytes, clock.steady());
      // Beside this request, another sender may send the next one.
      if (pacer.may_add(piece->bytes)) group.start(send_requests(false));
      const Result<Spent> sent = co_await work.send(*piece);
      request.ended = clock.steady();
      if (!sent) {
        over = true;
        co_return base::fail(sent.error());
      }
      request.spent = *sent;
    }
    co_return Result<>();
  }

  Work& work;
  Pacer& pacer;
  base::Clock& clock;
  base::TaskGroup group;
  bool over = false;  // nothing more is begun
};

}  // namespace

Task<Result<>> send_all(Work& work, Pacer& pacer, base::Clock& clock) {
  Crew crew(co_await base::this_executor, work, pacer, clock);
  crew.group.start(crew.send_requests(true));
  co_return co_await crew.group.wait();
}

}  // namespace moveout::target::dynamodb
