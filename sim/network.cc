#include "sim/network.h"

namespace moveout::sim {

Micros SimTransport::latency() {
  const auto span = static_cast<std::uint64_t>((options_.latency_max - options_.latency_min).count());
  return options_.latency_min + Micros(rng_.below(span + 1));
}

void SimTransport::land_later(http::Request request) {
  const Micros wait(rng_.below(static_cast<std::uint64_t>(options_.late_max.count())));
  scheduler_.call_after(wait, [&server = server_, &trace = trace_, late = std::move(request)] {
    const http::Response answer = server.handle(late);
    trace.note("late {} -> {}", late.headers.get("X-Amz-Target"), answer.status);
  });
}

Task<base::Result<http::Response>> SimTransport::send(http::Request request) {
  co_await process_.gate();
  const Micros deadline = scheduler_.now() + request.timeout;
  const std::string what(request.headers.get("X-Amz-Target"));
  if (faults_.strikes(Fault::Refused)) {
    co_await scheduler_.sleep_for(latency());
    co_await process_.gate();
    trace_.note("{} {} refused", process_.name(), what);
    co_return base::fail(base::ErrorKind::EndpointDown, "connection refused");
  }
  Micros there = latency();
  // Slow on the way there or on the way back: then what the answer says is old when it comes.
  Micros answer_late{0};
  if (what.ends_with(options_.slow_only) && faults_.strikes(Fault::SlowAnswer)) {
    const Micros slow(rng_.below(rng_.chance(2) ? 90'000'000 : 2'000'000));
    (rng_.chance(2) ? there : answer_late) += slow;
  }
  const bool cut = scheduler_.now() < cut_until_;
  const bool lost = cut || faults_.strikes(Fault::LostRequest);
  const bool late = !lost && faults_.strikes(Fault::LateRequest);
  if (late) land_later(request);
  if (lost || late || scheduler_.now() + there >= deadline) {
    co_await scheduler_.sleep_until(deadline);
    co_await process_.gate();
    trace_.note("{} {} no answer", process_.name(), what);
    co_return base::fail(base::ErrorKind::Unavailable, "timed out");
  }
  // A request on its way arrives whether its process lives or not.
  auto answer = std::make_shared<std::optional<http::Response>>();
  scheduler_.call_after(there, [&server = server_, answer, sent = request] { *answer = server.handle(sent); });
  if (faults_.strikes(Fault::Duplicate)) land_later(request);
  const Micros back = there + latency() + answer_late;
  const bool unheard = faults_.strikes(Fault::LostAnswer) || scheduler_.now() + back >= deadline;
  co_await scheduler_.sleep_until(unheard ? deadline : scheduler_.now() + back);
  co_await process_.gate();
  if (unheard) {
    trace_.note("{} {} answer lost", process_.name(), what);
    co_return base::fail(base::ErrorKind::Unavailable, "timed out");
  }
  http::Response response = std::move(**answer);
  if (!response.body->empty() && faults_.strikes(Fault::Garbled)) {
    auto body = std::make_shared<std::string>(*response.body);
    (*body)[rng_.below(body->size())] ^= static_cast<char>(1 + rng_.below(255));
    response.body = std::move(body);
  }
  trace_.note("{} {} -> {} {} bytes", process_.name(), what, response.status, response.body->size());
  co_return response;
}

}  // namespace moveout::sim
