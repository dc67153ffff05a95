// The inside of StreamCapture: discovery (discovery.cc) and one reader a shard (shard_reader.cc).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/signal.h"
#include "base/task_group.h"
#include "capture/lineage.h"
#include "capture/records.h"
#include "capture/stream_capture.h"
#include "capture/tip.h"

namespace moveout::capture {

// Pages being read or delivered at once: each may be 1 MB on the wire and as much again as changes.
inline constexpr int kPagesAtOnce = 16;
// Listings follow each other no closer than this, whatever asks for one (DescribeStream bears 10 calls a second).
inline constexpr base::Millis kListAgain{1000};

// How a chain of iterators ended.
enum class ChainEnd { Finished, Expired, Trimmed, Vanished };

// A shard that was not heard of for so long may have ended since, or hold more than a page: one empty page is no proof
// that it does not.
inline constexpr base::Millis kSilence{5000};

struct Reader {
  explicit Reader(const Config& config)
      : tip(config.tip_wait, config.tip_pages), end(config.tip_wait, config.tip_pages) {}
  TipWatch tip;
  TipWatch end;               // the same with short pages for empty ones
  bool reopened = false;      // the next page with records is the first of its iterator
  bool from_horizon = false;  // the checkpoint's record is trimmed, harmlessly
  bool tipped = false;        // was at its tip once
  bool last_page_empty = false;
  int losses = 0;              // times in a row that its records or itself were not there
  base::Millis wait{0};        // before the next poll
  base::Instant begun{};       // reading, by this process
  base::Instant saved_seen{};  // ShardState::seen of the last checkpoint made by this process
  base::Steady polled{};       // last answer
  // Since when it may hold records that nobody read: from a start, a silence or its parent's end, until a page shows
  // that it has been read up to the present.
  std::optional<base::Steady> unread_since;
  // The page under delivery: when it was read, and the creation time of its oldest record.
  std::optional<base::Steady> delivering;
  base::Instant oldest{};
};

struct StreamCapture::State {
  State(Config c, aws::Streams& s, base::Clock& k, base::Rng r, base::Log& l, Sink& to, aws::DynamoDb* t)
      : config(std::move(c)), streams(s), clock(k), rng(r), log(l), sink(to), table(t) {}

  base::Task<base::Result<>> run();

  // discovery.cc
  base::Task<base::Result<>> discover();
  base::Task<base::Result<std::vector<aws::Shard>>> list_shards();
  base::Task<base::Result<aws::StreamPage>> describe(std::string after);
  base::Task<base::Result<>> check_table();
  base::Task<base::Result<>> save_verdicts();
  base::Task<base::Result<>> wake(base::Steady when);
  void list_by(base::Steady when);
  // Someone waits for a listing begun after `instant`.
  void list_after(base::Steady instant);
  void start_readers();

  // shard_reader.cc
  base::Task<base::Result<>> read(std::string shard);
  base::Task<base::Result<ChainEnd>> read_chain(std::string shard, Reader& reader);
  base::Task<base::Result<std::string>> open_iterator(std::string shard, Reader& reader);
  base::Task<base::Result<>> take(std::string shard, Reader& reader, aws::RecordsPage page, bool last,
                                  base::Steady requested);
  base::Task<base::Result<>> deliver(std::string shard, Reader& reader, Folded folded, std::uint64_t records);
  base::Task<base::Result<>> pass_over(std::string shard);
  base::Task<base::Result<bool>> lose(std::string shard, Reader& reader, bool trimmed);
  void ended(const std::string& shard);
  base::Task<> take_room();
  void give_room();
  base::Micros pause(Reader& reader);
  void note_pass(const std::string& shard, base::Instant newest);
  // True when the page ends where the shard ends at present, as far as pages tell.
  bool note_end(const std::string& shard, Reader& reader, bool is_short, base::Steady requested);
  void note_tip(const std::string& shard, Reader& reader, base::Steady requested);

  std::string place(const std::string& shard) const;
  std::unexpected<base::Error> gap(const std::string& what) const;
  Progress progress() const;

  Config config;
  aws::Streams& streams;
  base::Clock& clock;
  base::Rng rng;
  base::Log& log;
  Sink& sink;
  aws::DynamoDb* table;
  RecordRules rules;
  std::optional<Lineage> lineage;
  std::optional<base::Error> damaged;  // a checkpoint that cannot be read

  std::optional<base::TaskGroup> group;
  std::optional<base::Signal> listing_wanted;
  std::optional<base::Signal> room_made;
  bool running = false;  // run() waits for the group
  bool list_now = false;
  std::optional<base::Steady> wake_at;
  base::Steady listed_at = base::Steady::min();  // begin of the last listing
  base::Micros server_ahead{0};                  // of this process's wall clock, as far as records show
  int room = kPagesAtOnce;
  bool hurry = false;
  std::map<std::string, Reader> readers;
  std::uint64_t records = 0;
};

}  // namespace moveout::capture
