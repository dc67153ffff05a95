// Server: the operations on streams.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "sim/dynamodb/server.h"

namespace moveout::sim {

namespace json = base::json;

namespace {

constexpr Micros kIteratorLife = std::chrono::minutes(15);
constexpr std::size_t kDescribesASecond = 10;

// An iterator is its position in the clear: stream, shard, index of the next record, when it was issued.
std::string iterator_text(const Stream& stream, const StreamShard& shard, std::size_t index, Micros issued) {
  return fmt::format("{}|{}|{}|{}", stream.arn(), shard.id, index, issued.count());
}

struct Position {
  std::string arn, shard;
  std::size_t index = 0;
  Micros issued{0};
};

std::optional<Position> parse_iterator(std::string_view text) {
  std::string_view part[4];
  for (int i = 0; i < 3; ++i) {
    const std::size_t bar = text.find('|');
    if (bar == std::string_view::npos) return std::nullopt;
    part[i] = text.substr(0, bar);
    text.remove_prefix(bar + 1);
  }
  part[3] = text;
  Position position{std::string(part[0]), std::string(part[1])};
  std::int64_t issued = 0;
  const auto number = [](std::string_view digits, auto& out) {
    return std::from_chars(digits.data(), digits.data() + digits.size(), out).ec == std::errc();
  };
  if (!number(part[2], position.index) || !number(part[3], issued)) return std::nullopt;
  position.issued = Micros(issued);
  return position;
}

std::optional<Sequence> parse_sequence(std::string_view digits) {
  if (digits.size() < 21 || digits.size() > 38) return std::nullopt;
  Sequence value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

ApiError trimmed() {
  return {400, "TrimmedDataAccessException",
          "The operation attempted to read past the oldest stream record in a shard"};
}

}  // namespace

Api<std::string> Server::list_streams(const Object& args) {
  if (auto known = check_members(args, {"TableName"}); !known) return known;
  auto name = string_arg(args, "TableName", "");
  if (!name) return name;
  json::array out;
  for (auto& [table_name, table] : tables_) {
    if (!name->empty() && *name != table_name) continue;
    for (auto& stream : table->streams()) {
      out.push_back(
          json::object{{"StreamArn", stream->arn()}, {"TableName", stream->table()}, {"StreamLabel", stream->label()}});
    }
  }
  return json::serialize(json::object{{"Streams", std::move(out)}});
}

Api<std::string> Server::describe_stream(const Object& args) {
  if (auto known = check_members(args, {"StreamArn", "Limit", "ExclusiveStartShardId"}); !known) return known;
  auto arn = string_arg(args, "StreamArn", "");
  auto limit = int_arg(args, "Limit", 100);
  auto after = string_arg(args, "ExclusiveStartShardId", "");
  if (!arn) return arn;
  if (!limit) return std::unexpected(limit.error());
  if (!after) return after;
  if (*limit < 1 || *limit > 100) return refuse("ValidationException", "Limit: 1 to 100");
  const Micros now = scheduler_.now();
  std::erase_if(describes_, [&](Micros at) { return at + std::chrono::seconds(1) <= now; });
  if (describes_.size() >= kDescribesASecond) return refuse("LimitExceededException", "Rate exceeded: ten a second");
  describes_.push_back(now);
  Stream* stream = find_stream(*arn);
  if (stream == nullptr) {
    return refuse("ResourceNotFoundException", fmt::format("Requested resource not found: Stream: {} not found", *arn));
  }
  Table* table = find(stream->table());
  const bool newest = table != nullptr && table->stream() == stream;
  std::vector<const StreamShard*> shown;
  for (auto& shard : stream->shards()) {
    if (shard->described > now || (now >= shard->missing_from && now < shard->missing_to)) continue;
    // For some seconds a young child that was listed may be left out: less than the minute that makes an absent parent
    // history, and never twice.
    const bool young = !shard->parent.empty() && now - shard->opened < stream->options().child_hidden_max;
    if (young && shard->missing_to == Micros(0) && faults_.strikes(Fault::MissingShard)) {
      shard->missing_from = now;
      shard->missing_to = now + Micros(1 + rng_.below(40'000'000));
      continue;
    }
    shown.push_back(shard.get());
  }
  std::sort(shown.begin(), shown.end(), [](auto* a, auto* b) { return a->id < b->id; });
  std::size_t page = static_cast<std::size_t>(*limit);
  if (faults_.live(Fault::ShortListing)) {
    page = 2;
    if (shown.size() > page) faults_.count(Fault::ShortListing);
  }
  json::array shards;
  std::string last;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const StreamShard& shard = *shown[i];
    if (shard.id <= *after) continue;
    json::object range{{"StartingSequenceNumber", to_string(shard.start)}};
    if (shard.closed && shard.end_described <= now) range["EndingSequenceNumber"] = to_string(shard.next);
    json::object out{{"ShardId", shard.id}, {"SequenceNumberRange", std::move(range)}};
    if (!shard.parent.empty()) out["ParentShardId"] = shard.parent;
    shards.push_back(std::move(out));
    if (shards.size() == page && i + 1 < shown.size()) {
      last = shard.id;
      break;
    }
  }
  json::object out{{"StreamArn", stream->arn()},
                   {"StreamLabel", stream->label()},
                   {"StreamStatus", !stream->on()                      ? "DISABLED"
                                    : newest && !table->stream_ready() ? "ENABLING"
                                                                       : "ENABLED"},
                   {"StreamViewType", std::string(name_of(stream->view()))},
                   {"TableName", stream->table()},
                   {"CreationRequestDateTime", 1767225600},
                   {"Shards", std::move(shards)}};
  if (table != nullptr) {
    json::array schema{json::object{{"AttributeName", table->spec().key.partition.name}, {"KeyType", "HASH"}}};
    if (table->spec().key.sort) {
      schema.push_back(json::object{{"AttributeName", table->spec().key.sort->name}, {"KeyType", "RANGE"}});
    }
    out["KeySchema"] = std::move(schema);
  }
  if (!last.empty()) out["LastEvaluatedShardId"] = last;
  return json::serialize(json::object{{"StreamDescription", std::move(out)}});
}

Api<std::string> Server::get_shard_iterator(const Object& args) {
  if (auto known = check_members(args, {"StreamArn", "ShardId", "ShardIteratorType", "SequenceNumber"}); !known) {
    return known;
  }
  auto arn = string_arg(args, "StreamArn", "");
  auto id = string_arg(args, "ShardId", "");
  auto type = string_arg(args, "ShardIteratorType", "");
  auto number = string_arg(args, "SequenceNumber", "");
  if (!arn) return arn;
  if (!id) return id;
  if (!type) return type;
  if (!number) return number;
  Stream* stream = find_stream(*arn);
  StreamShard* shard = stream == nullptr ? nullptr : stream->shard(*id);
  if (shard == nullptr) return refuse("ResourceNotFoundException", fmt::format("Shard {} not found", *id));
  const bool by_number = *type == "AT_SEQUENCE_NUMBER" || *type == "AFTER_SEQUENCE_NUMBER";
  if (by_number == number->empty())
    return refuse("ValidationException", "SequenceNumber goes with AT_ and AFTER_ alone");
  std::size_t index = shard->trimmed;
  if (*type == "LATEST") {
    index = shard->records.size();
  } else if (by_number) {
    const auto sequence = parse_sequence(*number);
    if (!sequence) return refuse("ValidationException", "SequenceNumber: 21 to 40 digits");
    if (*sequence < shard->start || *sequence > shard->next) {
      return refuse("ValidationException", "Invalid SequenceNumber: it is not of this shard");
    }
    index = 0;
    while (index < shard->records.size() &&
           (*type == "AT_SEQUENCE_NUMBER" ? shard->records[index].sequence < *sequence
                                          : shard->records[index].sequence <= *sequence)) {
      ++index;
    }
    const bool named_is_trimmed =
        index < shard->trimmed || (*type != "AT_SEQUENCE_NUMBER" && index != 0 && index - 1 < shard->trimmed);
    if (named_is_trimmed) return std::unexpected(trimmed());
  } else if (*type != "TRIM_HORIZON") {
    return refuse("ValidationException", "ShardIteratorType");
  }
  return json::serialize(json::object{{"ShardIterator", iterator_text(*stream, *shard, index, scheduler_.now())}});
}

Api<std::string> Server::get_records(const Object& args) {
  if (auto known = check_members(args, {"ShardIterator", "Limit"}); !known) return known;
  auto text = string_arg(args, "ShardIterator", "");
  auto limit = int_arg(args, "Limit", 1000);
  if (!text) return text;
  if (!limit) return std::unexpected(limit.error());
  if (*limit < 1 || *limit > 1000) return refuse("ValidationException", "Limit: 1 to 1000");
  const auto position = parse_iterator(*text);
  if (!position) return refuse("ValidationException", "Invalid ShardIterator");
  Stream* stream = find_stream(position->arn);
  StreamShard* shard = stream == nullptr ? nullptr : stream->shard(position->shard);
  if (shard == nullptr) return refuse("ResourceNotFoundException", "Requested resource not found: Shard not found");
  const Micros now = scheduler_.now();
  if (now - position->issued > kIteratorLife || faults_.strikes(Fault::ExpiredIterator)) {
    return refuse("ExpiredIteratorException", "The shard iterator is expired");
  }
  if (position->index < shard->trimmed) return std::unexpected(trimmed());
  std::size_t page = static_cast<std::size_t>(*limit);
  if (faults_.strikes(Fault::ShortPage)) page = 1 + rng_.below(5);
  const bool has_records = position->index < shard->records.size() && shard->records[position->index].visible <= now;
  if (!has_records || (shard->empty_since && now - *shard->empty_since > stream->options().empty_max)) {
    if (!has_records) shard->empty_since.reset();
  } else if (faults_.strikes(Fault::EmptyPage)) {
    if (!shard->empty_since) shard->empty_since = now;
    page = 0;
  }
  std::string records;
  std::size_t index = position->index;
  const bool one_is_bad = page > 0 && has_records && faults_.strikes(Fault::BadRecord);
  for (std::size_t taken = 0; taken < page && index < shard->records.size() && records.size() < options_.page_bytes;
       ++taken, ++index) {
    const StreamRecord& record = shard->records[index];
    if (record.visible > now) break;
    fmt::format_to(std::back_inserter(records), R"({}{{"eventID":"{:016x}","eventName":"{}","eventVersion":"1.1",)",
                   taken == 0 ? "" : ",", static_cast<std::uint64_t>(record.sequence),
                   one_is_bad && taken == 0 ? "MODIFIED" : record.event);
    fmt::format_to(std::back_inserter(records), R"("eventSource":"aws:dynamodb","awsRegion":"{}",)", options_.region);
    if (record.ttl) {
      records += options_.float_times ? R"("userIdentity":{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"},)"
                                      : R"("userIdentity":{"principalId":"dynamodb.amazonaws.com","type":"Service"},)";
    }
    fmt::format_to(std::back_inserter(records), R"("dynamodb":{{"ApproximateCreationDateTime":{}{},"Keys":{},)",
                   record.created_s, options_.float_times ? ".0" : "", *record.keys);
    if (record.new_image) fmt::format_to(std::back_inserter(records), R"("NewImage":{},)", *record.new_image);
    if (record.old_image) fmt::format_to(std::back_inserter(records), R"("OldImage":{},)", *record.old_image);
    fmt::format_to(std::back_inserter(records), R"("SequenceNumber":"{}","SizeBytes":{},"StreamViewType":"{}"}}}})",
                   to_string(record.sequence), 100 + (record.new_image ? record.new_image->size() : 0),
                   name_of(stream->view()));
  }
  // A closed shard that is read to its end ends with this page, or with an empty one after it.
  const bool drained = shard->closed && index == shard->records.size() && (index == position->index || rng_.chance(2));
  std::string next;
  if (!drained) next = fmt::format(R"(,"NextShardIterator":"{}")", iterator_text(*stream, *shard, index, now));
  return fmt::format(R"({{"Records":[{}]{}}})", records, next);
}

}  // namespace moveout::sim
