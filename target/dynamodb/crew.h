// Crew: sends the requests of one piece of work, as many at once as the pacer allows.
#pragma once

#include <cstddef>
#include <optional>

#include "base/clock.h"
#include "base/task.h"
#include "base/task_group.h"
#include "target/dynamodb/pacer.h"

namespace moveout::target::dynamodb {

// What one request cost and what was throttled of it, in write units.
struct Spent {
  double units = 0;
  double refused = 0;
};

// What goes into one request: a run of the work's writes.
struct Piece {
  std::size_t from = 0;
  std::size_t count = 0;
  std::size_t bytes = 0;  // about
};

// Work in requests. Single executor.
class Work {
 public:
  virtual ~Work() = default;
  // contract: takes the next piece; nothing when none can be begun now.
  virtual std::optional<Piece> take() = 0;
  // contract: sends it. Other pieces may be under way. An Error ends the whole work; what is under way is waited for.
  virtual base::Task<base::Result<Spent>> send(Piece piece) = 0;
  // The rate asks for a longer wait than this: give_back() is called instead of send(), and nothing more is taken.
  virtual base::Micros patience() const = 0;
  virtual void give_back(const Piece& piece) = 0;
};

// All of it; when this returns no request is under way. Cancelled: requests are cut off where they are.
base::Task<base::Result<>> send_all(Work& work, Pacer& pacer, base::Clock& clock);

}  // namespace moveout::target::dynamodb
