// TargetTable: the one implementation of DynamoDbTarget. open.cc makes and adopts, target.cc writes, read.cc reads,
// strip.cc takes the version attributes away.
#pragma once

#include <string>
#include <vector>

#include "aws/dynamodb.h"
#include "aws/item_writes.h"
#include "target/dynamodb/dynamodb_target.h"
#include "target/dynamodb/images.h"
#include "target/dynamodb/pacer.h"

namespace moveout::target::dynamodb {

class TargetTable final : public Target {
 public:
  TargetTable(aws::Client& calls, aws::Client& writes, base::Clock& clock, base::Log& log, Options options);

  base::Task<base::Result<Opened>> open(std::string run_id, std::int64_t owner, Layout layout, Mode mode,
                                        bool resuming) override;
  base::Task<base::Result<Opened>> open_reader(Layout layout) override;
  base::Task<base::Result<std::optional<item::KeySchema>>> key_of_table(std::string table) override;
  base::Task<base::Result<Outcomes>> apply(item::Batch batch, Checkpoints checkpoints) override;
  base::Task<base::Result<std::vector<std::optional<Stored>>>> read(std::vector<item::Key> keys) override;
  base::Task<base::Result<std::vector<std::optional<item::Version>>>> versions(std::vector<item::Key> keys) override;
  base::Task<base::Result<StoredPage>> scan(std::string cursor, std::size_t limit) override;
  base::Task<base::Result<std::optional<std::uint64_t>>> live_rows() override;
  base::Task<base::Result<>> seal() override;
  void finish_from(std::string known, CheckpointSink& sink) override;
  base::Task<base::Result<>> finish() override;
  std::optional<std::string> refusal(const item::Write& write) const override;
  void sign_with(const base::Permit& permit) override { permit_ = &permit; }
  bool makes_like_source() const override { return true; }
  Guard guard() const override { return guarded() ? Guard::PerWrite : Guard::OrderedOnly; }
  base::Millis late_max() const override { return guarded() ? base::Millis(0) : *options_.late_max; }
  bool commits_checkpoints() const override { return false; }

 private:
  bool guarded() const { return options_.way == Way::Guarded; }

  // open.cc
  base::Task<base::Result<>> make_table();
  base::Task<base::Result<>> adopt(aws::TableDescription table, bool resuming);
  base::Task<base::Result<aws::TableDescription>> wait_active();
  base::Task<> add_tags(std::string arn);
  base::Task<base::Result<>> add_missing_index(bool* complete);

  // read.cc: an item as it stands, tombstones too.
  struct Found {
    item::Key key;
    item::Item item;
    std::optional<Mark> mark;
  };
  base::Result<std::vector<Found>> found_in(const aws::ItemsPage& page);
  base::Task<base::Result<std::vector<Found>>> look(std::vector<item::Key> keys);

  // strip.cc: how far finish() is, as it is committed.
  struct Stripping {
    bool quiet = false;        // nothing that was written before may land any more
    int pass = 0;              // over the whole table
    std::string cursor;        // of this pass; empty: it begins
    std::uint64_t seen = 0;    // marked items in this pass
    std::uint64_t marked = 0;  // in those before
    std::string encode() const;
    static base::Result<Stripping> decode(std::string_view text);
  };
  base::Task<base::Result<>> keep(Stripping at);
  base::Task<base::Result<>> strip_page(Stripping* at);

  aws::DynamoDb table_calls_;
  aws::Client& writes_client_;
  base::Clock& clock_;
  base::Log& log_;
  Options options_;
  Pacer pacer_;
  Layout layout_;
  bool writable_ = false;
  bool readable_ = false;
  bool told_of_marks_ = false;
  std::string finished_until_;
  CheckpointSink* finish_sink_ = nullptr;  // null: nobody keeps it
  const base::Permit* permit_ = nullptr;   // of writes without a guard
};

}  // namespace moveout::target::dynamodb
