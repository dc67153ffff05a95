#include "app/config.h"

#include <doctest/doctest.h>

using namespace moveout;
using app::parse_move_yaml;

namespace {

constexpr const char* kSmall = R"(move: out
source: {url: "dynamodb://us-east-1"}
target: {url: "sqlite:x.db"}
tables:
  - {name: orders, to: orders_v2, columns: none, max_rcu: 20}
  - name: "log-*"
)";

std::string refusal(const std::string& text, const std::vector<std::string>& settings = {}) {
  const auto config = parse_move_yaml(text, "move.yaml", settings);
  REQUIRE(!config.has_value());
  CHECK(config.error().kind == base::ErrorKind::Usage);
  return config.error().what;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("what is wrong in a --set is named by it, and in the file by its line") {
  CHECK(contains(refusal(kSmall, {"tables.0.max_rcu=abc"}), "--set tables.0.max_rcu=abc: "));
  CHECK(contains(refusal(kSmall, {"limits.threads=4"}), "--set limits.threads=4: "));
  CHECK(contains(refusal(kSmall, {"foo=1"}), "--set foo=1: foo: unknown key"));
  CHECK(contains(refusal(kSmall, {"target.url=sqlite:"}), "no path"));
  CHECK(contains(refusal(std::string(kSmall) + "limits: {memory_mb: 10}\n"), "move.yaml:7: limits.memory_mb"));
  CHECK(contains(refusal(std::string(kSmall) + "limits: {memry_mb: 256}\n"),
                 "move.yaml:7: limits.memry_mb: unknown key"));
  CHECK(
      contains(refusal(std::string(kSmall) + "target: {url: \"sqlite:y.db\"}\n"), "move.yaml:7: target: stands twice"));
  CHECK(!contains(refusal(std::string(kSmall), {"target.url=postgres://u:sesame@h/d"}), "password@"));
  CHECK(parse_move_yaml(kSmall, "move.yaml", {"target.url=sqlite:y.db", "tables.0.max_rcu=7"})->tables[0].max_rcu == 7);
}

TEST_CASE("admin.listen is an address and a port, or nothing") {
  for (const char* bad : {":90", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"}) {
    CHECK(contains(refusal(kSmall, {std::string("admin.listen=") + bad}), "ADDRESS:PORT"));
  }
  CHECK(app::listen_address("[::1]:90") == std::pair<std::string, std::uint16_t>("::1", 90));
  CHECK(parse_move_yaml(kSmall, "move.yaml", {"admin.listen="})->admin_listen.empty());
}

TEST_CASE("a table's name cannot become a path") {
  CHECK(contains(refusal(kSmall, {"tables.0.name=../x"}), "table's name"));
  CHECK(contains(refusal(kSmall, {"tables.0.name="}), "is missing"));
}

TEST_CASE("a move.yaml names its tables and keeps the defaults for the rest") {
  const auto config = parse_move_yaml(kSmall, "move.yaml", {});
  REQUIRE_MESSAGE(config.has_value(), config.error().what);
  CHECK(config->name == "out");
  REQUIRE(config->tables.size() == 2);
  CHECK(config->tables[0].target == "orders_v2");
  CHECK(!config->tables[0].infer_columns);
  CHECK(config->tables[0].max_rcu == 20);
  CHECK(config->tables[1].source == "log-*");
  CHECK(config->tables[1].target.empty());
  CHECK(config->tables[1].infer_columns);
  CHECK(config->enable_stream);
  CHECK(!config->tip_wait.has_value());
}

TEST_CASE("an unknown key is refused with its line") {
  const std::string said = refusal(std::string(kSmall) + "colour: red\n");
  CHECK(contains(said, "move.yaml:7"));
  CHECK(contains(said, "colour"));
  CHECK(contains(refusal("move: a\nsource: {url: \"dynamodb://r\"}\ntarget: {url: \"sqlite:x.db\"}\ntabels: []\n"),
                 "move.yaml:4: tabels: unknown key"));
  CHECK(
      contains(refusal("move: a\nsource: {url: \"dynamodb://r\", tls: 1}\n"), "move.yaml:2: source.tls: unknown key"));
}

TEST_CASE("what is missing or of a wrong type is named") {
  CHECK(contains(refusal("source: {url: \"dynamodb://r\"}\n"), "move: is missing"));
  CHECK(contains(refusal("move: a\nsource: []\n"), "a mapping is expected"));
  CHECK(contains(refusal(kSmall, {"tables.0.max_rcu=-1"}), "tables.0.max_rcu"));
  CHECK(contains(refusal(kSmall, {"capture.tip_wait=soon"}), "no duration"));
  CHECK(contains(refusal("move: [\n"), "not YAML"));
  CHECK(contains(refusal(kSmall, {"tables.9.max_rcu=1"}), "no element 9"));
}

TEST_CASE("what this version does not serve is refused, not ignored") {
  CHECK(contains(refusal(kSmall, {"backfill=none"}), "not served"));
  CHECK(contains(refusal(kSmall, {"capture.retain=sqs://r/q"}), "only local"));
  CHECK(contains(refusal(kSmall, {"tables.0.transform=[{drop: [a]}]"}), "transform"));
  CHECK(contains(refusal(kSmall, {"target.url=dynamodb://r/t"}), "under `tables`"));
  CHECK(contains(refusal(kSmall, {"target.url=dynamodb://r", "target.mode=m2"}), "not served"));
  CHECK(contains(refusal(kSmall, {"target.indexes=after_backfill"}), "have none"));
  CHECK(contains(refusal(kSmall, {"target.late=soon"}), "no duration"));
}

TEST_CASE("an identity is a profile, a role, or a role taken by a profile, in the file as in the URL") {
  const std::string text =
      "move: m\nsource:\n  url: dynamodb://us-east-1\n  identity: {profile: prod, role_arn: 'arn:aws:iam::1:role/r', "
      "external_id: a/b, session_name: s}\ntarget: {url: 'sqlite:x.db'}\ntables: [{name: t}]\n";
  const auto config = parse_move_yaml(text, "move.yaml", {});
  REQUIRE_MESSAGE(config.has_value(), config.error().what);
  CHECK(config->source.option("profile") == "prod");
  CHECK(config->source.option("role_arn") == "arn:aws:iam::1:role/r");
  CHECK(config->source.option("external_id") == "a/b");
  CHECK(config->source.option("session_name") == "s");
  const auto by_url =
      app::config_of_urls("dynamodb://us-east-1/t?role_arn=arn:aws:iam::1:role/r&external_id=a%2Fb&session_name=s",
                          "sqlite:a.db", {"source.identity.profile=prod"});
  REQUIRE_MESSAGE(by_url.has_value(), by_url.error().what);
  CHECK(by_url->source.options == config->source.options);
  CHECK(contains(refusal(kSmall, {"source.identity.external_id=x"}), "goes with role_arn"));
  CHECK(contains(refusal(kSmall, {"source.identity.username=x"}), "profile and role_arn"));
  CHECK(contains(refusal(kSmall, {"source.identity.role=x"}), "unknown key"));
  CHECK(contains(refusal(kSmall, {"target.identity.profile=x"}), "have no identity"));
}

TEST_CASE("--set overrides a value") {
  const auto config =
      parse_move_yaml(kSmall, "move.yaml", {"tables.0.max_rcu=100", "capture.tip_wait=3s", "move=other"});
  REQUIRE_MESSAGE(config.has_value(), config.error().what);
  CHECK(config->tables[0].max_rcu == 100);
  CHECK(config->tip_wait == base::Millis(3000));
  CHECK(config->name == "other");
}

TEST_CASE("--from and --to are a move of one table with the defaults") {
  const auto config =
      app::config_of_urls("dynamodb://us-east-1/orders?profile=p", "sqlite:a.db", {"tables.0.columns=none"});
  REQUIRE_MESSAGE(config.has_value(), config.error().what);
  CHECK(config->name == "orders");
  CHECK(config->tables[0].source == "orders");
  CHECK(config->tables[0].target == "orders");
  CHECK(!config->tables[0].infer_columns);
  CHECK(config->source.option("profile") == "p");
  CHECK(!app::config_of_urls("dynamodb://us-east-1", "sqlite:a.db", {}).has_value());
  CHECK(!app::config_of_urls("sqlite:a.db", "sqlite:b.db", {}).has_value());
}

TEST_CASE("globs match as in a shell, without classes") {
  CHECK(app::glob_matches("log-*", "log-2024"));
  CHECK(app::glob_matches("*", ""));
  CHECK(app::glob_matches("a?c*e", "abcxxe"));
  CHECK(!app::glob_matches("log-*", "blog-1"));
  CHECK(!app::glob_matches("a?c", "ac"));
}

TEST_CASE("a DynamoDB API as target: its mode, its lateness and the table of the URL") {
  const auto plain = app::config_of_urls("dynamodb://r/orders", "dynamodb://q?endpoint=http%3A%2F%2F127.0.0.1%3A1", {});
  REQUIRE(plain.has_value());
  CHECK(plain->target.scheme == app::Scheme::DynamoDb);
  CHECK(plain->target.option("endpoint") == "http://127.0.0.1:1");
  CHECK(plain->tables[0].target == "orders");
  CHECK(!plain->dynamodb_target.guarded);
  CHECK(!plain->dynamodb_target.late);
  const auto wishes = app::config_of_urls("dynamodb://r/arn:aws:dynamodb:r:1:table%2Forders", "dynamodb://q/other",
                                          {"target.mode=m3", "target.late=90s", "target.indexes=after_backfill"});
  REQUIRE(wishes.has_value());
  CHECK(wishes->tables[0].target == "other");
  CHECK(wishes->name == "orders");
  CHECK(wishes->dynamodb_target.guarded);
  CHECK(wishes->dynamodb_target.late == base::Millis(90000));
  CHECK(wishes->dynamodb_target.defer_indexes);
}

TEST_CASE("a back-fill by export has its bucket, its margin and its right to switch recovery on") {
  const auto config = parse_move_yaml(
      kSmall, "m.yaml",
      {"backfill=export", "export.bucket=b", "export.prefix=p/q", "export.margin=90s", "export.enable_pitr=true"});
  REQUIRE_MESSAGE(config.has_value(), (config ? "" : config.error().what));
  CHECK(config->backfill_by_export);
  CHECK(config->exports.bucket == "b");
  CHECK(config->exports.prefix == "p/q");
  CHECK(config->exports.margin == base::Millis(90000));
  CHECK(config->exports.enable_pitr);
  CHECK(contains(refusal(kSmall, {"export.margin=soon"}), "duration"));
  CHECK(contains(refusal(kSmall, {"export.format=CSV"}), "CSV"));
  CHECK(!parse_move_yaml(kSmall, "m.yaml", {})->exports.enable_pitr);
}
