// The sample that `columns: inferred` looks at before the target table is made.
#pragma once

#include <string>

#include "aws/dynamodb.h"
#include "base/log.h"
#include "base/rng.h"
#include "schema/columns.h"

namespace moveout::move {

inline constexpr std::uint64_t kSampleItems = 10000;

// Reads up to kSampleItems items from segments drawn by chance (eventually consistent reads: half the RCU, and nothing
// of the sample is kept but counts). `consumed_rcu` is added to.
base::Task<base::Result<schema::Columns>> sample_columns(aws::DynamoDb& source, std::string table, item::KeySchema key,
                                                         base::Rng rng, double* consumed_rcu);

}  // namespace moveout::move
