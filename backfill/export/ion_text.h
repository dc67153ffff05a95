// IonText: one struct of Ion text → the attributes it stands for. Pure.
#pragma once

#include <string_view>

#include "base/error.h"
#include "item/value.h"

namespace moveout::backfill {

// {name: value, …}, after an optional $ion_1_0. Decimals and integers become N, blobs B, annotated lists sets. Corrupt
// for what DynamoDB has no value for, naming the byte; names that stand twice are refused.
base::Result<item::Map> parse_ion_struct(std::string_view text);

}  // namespace moveout::backfill
