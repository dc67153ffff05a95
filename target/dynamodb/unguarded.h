// UnguardedWrites: M4. A batch as BatchWriteItem requests, each sent once and signed at that moment
// (docs/consistency.md §3).
#pragma once

#include <deque>
#include <string>

#include "aws/item_writes.h"
#include "target/dynamodb/crew.h"
#include "target/target.h"

namespace moveout::target::dynamodb {

// For one apply(). Only what was certainly not applied is ever sent again here: a batch that the server refuses whole
// is sent in halves until the write at fault stands alone, and once more after the credentials were renewed.
class UnguardedWrites final : public Work {
 public:
  // Lives as long as the call it is made for.
  UnguardedWrites(aws::ItemWrites& writes, const std::string& table, const item::KeySchema& key,
                  const item::Batch& batch, base::Millis late_max);

  std::optional<Piece> take() override;
  base::Task<base::Result<Spent>> send(Piece piece) override;
  base::Micros patience() const override;
  // Throttled: certainly not applied.
  void give_back(const Piece& piece) override;

  Outcomes outcomes();

 private:
  std::string body_of(const Piece& piece) const;
  void set(const Piece& piece, Outcome outcome);
  // False: the answer names keys that were not asked for.
  bool set_unprocessed(const Piece& piece, const std::vector<std::string>& keys, Spent& spent);
  void unknown(const Piece& piece, base::Steady signed_at);
  void refused(const Piece& piece, const std::string& why);

  aws::ItemWrites& writes_;
  const std::string& table_;
  const item::KeySchema& key_;
  const item::Batch& batch_;
  base::Millis late_max_;
  std::size_t next_ = 0;
  std::deque<Piece> halves_;
  Outcomes outcomes_;
};

}  // namespace moveout::target::dynamodb
