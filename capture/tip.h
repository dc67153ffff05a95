// TipWatch: from when on a shard's pages have all been empty. Pure.
#pragma once

#include <deque>
#include <optional>

#include "base/clock.h"

namespace moveout::capture {

// An empty page is not the tip: a shard's iterator passes over hours without records in many empty pages. What counts
// as its tip for an instant X: every page requested after X was empty, over `wait` and at least `pages` of them.
class TipWatch {
 public:
  TipWatch(base::Millis wait, int pages) : wait_(wait), pages_(pages) {}
  void records() { requests_.clear(); }
  // A page requested at `when` was empty. The instant before which the shard is at its tip, when there is one.
  std::optional<base::Steady> empty(base::Steady when);

 private:
  base::Millis wait_;
  int pages_;
  std::deque<base::Steady> requests_;  // of the run of empty pages: as few as prove the latest instant
};

}  // namespace moveout::capture
