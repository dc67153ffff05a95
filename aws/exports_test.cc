#include "aws/exports.h"

#include <doctest/doctest.h>

#include "aws/client_fixture.h"

using namespace moveout;
using namespace moveout::aws;
using base::ErrorKind;

namespace {

constexpr const char* kTable = "arn:aws:dynamodb:us-east-1:123456789012:table/orders";

struct World : ClientFixture {
  Exports exports{client};
  const http::Request& asked() const { return transport.requests.back(); }
};

}  // namespace

TEST_CASE("a full export is asked for with its time, place, encryption and token") {
  World world;
  world.transport.then(
      200, R"({"ExportDescription":{"ExportArn":"a","ExportStatus":"IN_PROGRESS","ExportTime":1695353076.5}})");
  ExportWish wish;
  wish.table_arn = kTable;
  wish.bucket = "b";
  wish.prefix = "p/q";
  wish.sse = "KMS";
  wish.kms_key_id = "k";
  wish.client_token = "t";
  wish.time = base::instant_of_micros(1695353076123999);
  const auto made = world.run(world.exports.request(wish));
  REQUIRE(made.has_value());
  CHECK(made->status == "IN_PROGRESS");
  CHECK(base::micros_of(made->time) == 1695353076500000);
  CHECK(world.asked().headers.get("X-Amz-Target") == "DynamoDB_20120810.ExportTableToPointInTime");
  CHECK(world.asked().body ==
        R"({"TableArn":"arn:aws:dynamodb:us-east-1:123456789012:table/orders","S3Bucket":"b","S3Prefix":"p/q",)"
        R"("S3SseAlgorithm":"KMS","S3SseKmsKeyId":"k","ExportFormat":"DYNAMODB_JSON","ClientToken":"t",)"
        R"("ExportType":"FULL_EXPORT","ExportTime":1695353076.123})");
}

TEST_CASE("an incremental export is asked for with its window and no time") {
  World world;
  world.transport.then(
      200,
      R"({"ExportDescription":{"ExportArn":"a","ExportStatus":"FAILED","FailureCode":"S3NoSuchBucket","FailureMessage":"m",)"
      R"("IncrementalExportSpecification":{"ExportFromTime":10.0,"ExportToTime":20,"ExportViewType":"NEW_IMAGE"}}})");
  ExportWish wish;
  wish.table_arn = kTable;
  wish.bucket = "b";
  wish.window = ExportWindow{base::instant_of_micros(10'000'000), base::instant_of_micros(20'007'000), "NEW_IMAGE"};
  const auto made = world.run(world.exports.request(wish));
  REQUIRE(made.has_value());
  CHECK(made->failure_code == "S3NoSuchBucket");
  CHECK(base::micros_of(made->window.to) == 20'000'000);
  CHECK(made->window.view == "NEW_IMAGE");
  CHECK(
      world.asked().body.find("\"ExportType\":\"INCREMENTAL_EXPORT\",\"IncrementalExportSpecification\":{"
                              "\"ExportFromTime\":10.000,\"ExportToTime\":20.007,\"ExportViewType\":\"NEW_IMAGE\"}}") !=
      std::string::npos);
}

TEST_CASE("every page of a list is read, and one that leads to itself ends it") {
  World world;
  world.transport.then(200, R"({"ExportSummaries":[{"ExportArn":"a","ExportStatus":"COMPLETED"}],"NextToken":"n"})");
  world.transport.then(
      200,
      R"({"ExportSummaries":[{"ExportArn":"b","ExportStatus":"FAILED","ExportType":"FULL_EXPORT"}],"NextToken":"n"})");
  const auto list = world.run(world.exports.list(kTable));
  REQUIRE(list.has_value());
  REQUIRE(list->size() == 2);
  CHECK((*list)[1].type == "FULL_EXPORT");
  CHECK(world.asked().body.find("\"NextToken\":\"n\"") != std::string::npos);
}

TEST_CASE("point-in-time recovery is read, and switched on by its own call") {
  World world;
  world.transport.then(200, R"({"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED",)"
                            R"("PointInTimeRecoveryDescription":{"PointInTimeRecoveryStatus":"ENABLED",)"
                            R"("EarliestRestorableDateTime":5,"LatestRestorableDateTime":6.25}}})");
  const auto on = world.run(world.exports.recovery("orders"));
  REQUIRE(on.has_value());
  CHECK(on->enabled);
  CHECK(base::micros_of(on->latest) == 6'250'000);
  world.transport.then(200, R"({"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"DISABLED"}})");
  CHECK(!world.run(world.exports.recovery("orders"))->enabled);
  world.transport.then(200, "{}");
  REQUIRE(world.run(world.exports.enable_recovery("orders")).has_value());
  CHECK(world.asked().body ==
        R"({"TableName":"orders","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true}})");
}

TEST_CASE("the service's errors are named for what the caller may do") {
  struct Row {
    const char* name;
    ErrorKind kind;
  };
  for (const Row& row :
       {Row{"ExportNotFoundException", ErrorKind::NotFound}, Row{"TableNotFoundException", ErrorKind::NotFound},
        Row{"PointInTimeRecoveryUnavailableException", ErrorKind::Usage},
        Row{"InvalidExportTimeException", ErrorKind::Usage}, Row{"ExportConflictException", ErrorKind::Conflict},
        Row{"LimitExceededException", ErrorKind::Throttled}, Row{"AccessDeniedException", ErrorKind::Denied}}) {
    CAPTURE(row.name);
    World world;
    world.transport.otherwise = [&row](const http::Request&) {
      return ScriptedTransport::response(400, ScriptedTransport::error_body(row.name, "why"));
    };
    const auto found = world.run(world.exports.describe("arn"));
    REQUIRE(!found.has_value());
    CHECK(found.error().kind == row.kind);
  }
}

TEST_CASE("answers that cannot be ones are refused") {
  for (const char* body : {"", "[]", "{}", R"({"ExportDescription":{}})", R"({"ExportDescription":{"ExportArn":1}})"}) {
    CAPTURE(body);
    World world;
    world.transport.otherwise = [body](const http::Request&) { return ScriptedTransport::response(200, body); };
    const auto found = world.run(world.exports.describe("arn"));
    REQUIRE(!found.has_value());
    CHECK(found.error().kind == ErrorKind::Corrupt);
  }
}

TEST_CASE("an export's ARN falls into its parts, and no other text does") {
  const auto arn = parse_export_arn(std::string(kTable) + "/export/01695353076000-a1b2c3d4");
  REQUIRE(arn.has_value());
  CHECK(arn->region == "us-east-1");
  CHECK(arn->table == "orders");
  CHECK(arn->table_arn == kTable);
  CHECK(arn->id == "01695353076000-a1b2c3d4");
  for (const char* text :
       {"", "arn:aws:dynamodb:us-east-1:123456789012:table/orders",
        "arn:aws:dynamodb:us-east-1:123456789012:table/orders/export/", "arn:aws:s3:us-east-1:1:table/o/export/i",
        "arn:aws:dynamodb:us-east-1:1:table/o/export/i/../x", "arn:aws:dynamodb:us-east-1:1:table/o/export/i\n",
        "s3://b/p"}) {
    CAPTURE(text);
    CHECK(!parse_export_arn(text));
  }
}
