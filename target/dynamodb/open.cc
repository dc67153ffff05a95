// TargetTable: making the table, adopting it, its indexes.
#include <algorithm>

#include "aws/endpoints.h"
#include "target/dynamodb/table.h"

namespace moveout::target::dynamodb {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Task;

namespace {

constexpr base::Millis kPollFirst{100};
constexpr base::Millis kPollMax{2000};
constexpr base::Millis kActiveWithin{600000};  // a table takes seconds to a minute

std::string identity_of(const aws::TableDescription& table) {
  return table.id.empty() ? std::to_string(base::micros_of(table.created)) : table.id;
}

// The table alone, where nothing is known of the source's.
aws::TableShape shape_of_key(const item::KeySchema& key) {
  aws::TableShape shape;
  const auto add = [&shape](const item::KeyAttribute& attribute, const char* role) {
    shape.key_schema.push_back(base::json::object{{"AttributeName", attribute.name}, {"KeyType", role}});
    shape.attributes.push_back(base::json::object{
        {"AttributeName", attribute.name}, {"AttributeType", std::string(1, static_cast<char>(attribute.type))}});
  };
  add(key.partition, "HASH");
  if (key.sort) add(*key.sort, "RANGE");
  return shape;
}

}  // namespace

std::optional<base::Millis> late_max_of(const http::Endpoint& endpoint) {
  // Five minutes of a signature's life, five of clock skew, and one.
  if (aws::is_aws(endpoint)) return base::Millis(660000);
  if (aws::is_loopback(endpoint)) return base::Millis(2000);
  return std::nullopt;
}

Task<Result<Opened>> TargetTable::open(std::string, std::int64_t, Layout layout, Mode, bool resuming) {
  layout_ = std::move(layout);
  Opened opened;
  Result<aws::TableDescription> table = co_await table_calls_.describe_table(layout_.table);
  if (!table && table.error().kind != ErrorKind::NotFound) co_return fail(table.error());
  if (table) {
    if (Result<> adopted = co_await adopt(std::move(*table), resuming); !adopted) co_return fail(adopted.error());
  } else {
    if (resuming) {
      co_return fail(ErrorKind::TargetChanged,
                     "table " + layout_.table + ", which this run wrote to, is gone from the target");
    }
    if (Result<> made = co_await make_table(); !made) co_return fail(made.error());
    opened.created = true;
  }
  table = co_await wait_active();
  if (!table) co_return fail(table.error());
  if (opened.created) co_await add_tags(table->arn);
  opened.columns_json = layout_.columns_json;
  opened.identity = identity_of(*table);
  writable_ = true;
  readable_ = true;
  co_return opened;
}

Task<Result<Opened>> TargetTable::open_reader(Layout layout) {
  layout_ = std::move(layout);
  const Result<aws::TableDescription> table = co_await table_calls_.describe_table(layout_.table);
  if (!table) co_return fail(table.error());
  if (table->key != layout_.key) {
    co_return fail(ErrorKind::Usage, "table " + layout_.table + ": its key is not the source's");
  }
  readable_ = true;
  Opened opened;
  opened.columns_json = layout_.columns_json;
  opened.identity = identity_of(*table);
  co_return opened;
}

Task<Result<std::optional<item::KeySchema>>> TargetTable::key_of_table(std::string table) {
  const Result<aws::TableDescription> there = co_await table_calls_.describe_table(std::move(table));
  if (there) co_return there->key;
  if (there.error().kind == ErrorKind::NotFound) co_return std::nullopt;
  co_return fail(there.error());
}

Task<Result<>> TargetTable::adopt(aws::TableDescription table, bool resuming) {
  if (table.key != layout_.key) {
    co_return fail(resuming ? ErrorKind::TargetChanged : ErrorKind::Usage,
                   "table " + layout_.table + " of the target: its key is not the source's");
  }
  if (resuming && layout_.identity != identity_of(table)) {
    co_return fail(ErrorKind::TargetChanged,
                   "table " + layout_.table +
                       " of the target was dropped and made again since this run began: what was copied is gone");
  }
  if (resuming) co_return Result<>();
  if (table.status == "CREATING") {
    Result<aws::TableDescription> active = co_await wait_active();
    if (!active) co_return fail(active.error());
  }
  aws::ScanRequest request;
  request.table = layout_.table;
  request.limit = 1;
  const Result<aws::ItemsPage> page = co_await table_calls_.scan(std::move(request));
  if (!page) co_return fail(page.error());
  if (!page->items.empty() || !page->last_key.empty()) {
    co_return fail(ErrorKind::Usage, "table " + layout_.table +
                                         " of the target is not empty and not this run's: choose another name with "
                                         "the target's URL or `to`, or empty it");
  }
  co_return Result<>();
}

Task<Result<>> TargetTable::make_table() {
  aws::MakeTable how;
  how.name = layout_.table;
  how.global_indexes = !options_.defer_indexes;
  const aws::TableShape shape = layout_.shape ? *layout_.shape : shape_of_key(layout_.key);
  log_.info("target.create_table", {{"table", layout_.table},
                                    {"local_indexes", shape.local.size()},
                                    {"global_indexes", shape.global.size()},
                                    {"deferred", options_.defer_indexes}});
  Result<> made = co_await table_calls_.create_table(shape, how);
  if (!made && made.error().kind == ErrorKind::Usage && (shape.encrypted_by_kms || !shape.table_class.empty())) {
    log_.warn("target.without_extras",
              {{"table", layout_.table}, {"left", "encryption by KMS, table class"}, {"because", made.error().what}});
    how.extras = false;
    made = co_await table_calls_.create_table(shape, how);
  }
  // Conflict: an answer was lost and the table is being made; or another makes it, and it is looked at like any.
  if (!made && made.error().kind == ErrorKind::Conflict) {
    Result<aws::TableDescription> there = co_await wait_active();
    if (!there) co_return fail(there.error());
    co_return co_await adopt(std::move(*there), false);
  }
  co_return made;
}

Task<Result<aws::TableDescription>> TargetTable::wait_active() {
  const base::Steady start = clock_.steady();
  base::Millis pause = kPollFirst;
  for (;;) {
    Result<aws::TableDescription> table = co_await table_calls_.describe_table(layout_.table);
    // Just made, it may not show everywhere yet.
    const bool hidden = !table && table.error().kind == ErrorKind::NotFound;
    if (!table && !hidden) co_return table;
    if (table && (table->status == "ACTIVE" || table->status == "UPDATING")) co_return table;
    if (clock_.steady() - start > kActiveWithin) {
      co_return fail(ErrorKind::EndpointDown, "table " + layout_.table + " of the target does not become ACTIVE (" +
                                                  (table ? table->status : "not found") + ")");
    }
    co_await clock_.sleep_for(pause);
    pause = std::min(2 * pause, kPollMax);
  }
}

// Tags are no reason to fail: not every DynamoDB API has them, and they may need a right of their own.
Task<> TargetTable::add_tags(std::string arn) {
  aws::DynamoDb::Tags tags;
  if (layout_.shape) {
    for (const auto& tag : layout_.shape->tags) {
      if (!tag.first.starts_with("aws:")) tags.push_back(tag);
    }
  }
  if (tags.empty() || arn.empty()) co_return;
  const Result<> added = co_await table_calls_.add_tags(std::move(arn), std::move(tags));
  if (!added) log_.warn("target.without_tags", {{"table", layout_.table}, {"because", added.error().what}});
}

Task<Result<>> TargetTable::seal() {
  if (!options_.defer_indexes || !layout_.shape) co_return Result<>();
  base::Millis pause = kPollFirst;
  for (bool complete = false; !complete;) {
    if (Result<> added = co_await add_missing_index(&complete); !added) co_return added;
    if (complete) break;
    co_await clock_.sleep_for(pause);
    pause = std::min(2 * pause, kPollMax);
  }
  co_return Result<>();
}

// One index is made at a time; how long it takes depends on the table.
Task<Result<>> TargetTable::add_missing_index(bool* complete) {
  Result<aws::TableDescription> table = co_await table_calls_.describe_table(layout_.table);
  if (!table) co_return fail(table.error());
  const auto& there = table->shape->global;
  const bool busy = table->status != "ACTIVE" || std::ranges::any_of(there, [](const aws::Index& index) {
                      return !index.status.empty() && index.status != "ACTIVE";
                    });
  if (busy) co_return Result<>();
  for (const aws::Index& index : layout_.shape->global) {
    if (std::ranges::find(there, index.name, &aws::Index::name) != there.end()) continue;
    log_.info("target.create_index", {{"table", layout_.table}, {"index", index.name}});
    Result<> added = co_await table_calls_.add_index(*layout_.shape, layout_.table, index);
    // Conflict or a limit of indexes in the making: later.
    if (!added && added.error().kind != ErrorKind::Conflict && added.error().kind != ErrorKind::Throttled)
      co_return added;
    co_return Result<>();
  }
  *complete = true;
  co_return Result<>();
}

}  // namespace moveout::target::dynamodb
