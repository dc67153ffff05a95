// SmallSource: the typed calls over a SmallDynamoDb, as a room is given its source.
#pragma once

#include <cstdint>
#include <optional>

#include "aws/client.h"
#include "aws/dynamodb.h"
#include "test/doubles/small_dynamodb.h"

namespace moveout::test {

inline aws::ClientConfig local() {
  aws::ClientConfig config;
  config.endpoint = {false, "localhost", 8000};
  return config;
}

// One process's; the table outlives it.
struct SmallSource {
  SmallSource(SmallDynamoDb& table, base::Clock& clock, base::Log& log, std::uint64_t seed = 1)
      : client(local(), table, credentials, clock, base::Rng(seed), log), dynamodb(client) {}
  aws::StaticCredentials credentials{{"id", "secret", "", std::nullopt}};
  aws::Client client;
  aws::DynamoDb dynamodb;
};

}  // namespace moveout::test
