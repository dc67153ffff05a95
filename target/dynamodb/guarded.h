// GuardedWrites: M3. One conditional PutItem a write; sent again by the client as it likes, for the condition decides.
#pragma once

#include <string>
#include <vector>

#include "aws/item_writes.h"
#include "target/dynamodb/crew.h"
#include "target/target.h"

namespace moveout::target::dynamodb {

// For one apply(). Writes of one key are sent one after the other, in the order of the batch.
class GuardedWrites final : public Work {
 public:
  // Lives as long as the call it is made for.
  GuardedWrites(aws::ItemWrites& writes, const std::string& table, const item::KeySchema& key,
                const item::Batch& batch);

  // Call before each send_all(), until it is false: the next write of every key.
  bool next_wave();

  std::optional<Piece> take() override;
  base::Task<base::Result<Spent>> send(Piece piece) override;
  base::Micros patience() const override;
  void give_back(const Piece& piece) override;

  Outcomes outcomes();

 private:
  aws::ItemWrites& writes_;
  const std::string& table_;
  const item::KeySchema& key_;
  const item::Batch& batch_;
  std::vector<std::size_t> wave_;  // indexes
  std::vector<std::size_t> later_;
  std::size_t next_ = 0;  // in wave_
  Outcomes outcomes_;
};

}  // namespace moveout::target::dynamodb
