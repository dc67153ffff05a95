#include "aws/item_writes.h"

#include <utility>

#include "aws/walk.h"
#include "item/json.h"
#include "item/slice.h"

namespace moveout::aws {
namespace {

using base::ErrorKind;
using base::Result;
using Body = std::shared_ptr<const std::string>;

std::string subject_of(const std::string& table) {
  std::string out = "table ";
  item::append_json_string(out, table);
  return out;
}

// One element of UnprocessedItems: {"PutRequest":{"Item":…}} or {"DeleteRequest":{"Key":…}}.
simdjson::error_code read_unprocessed(ondemand::value element, const item::KeySchema& schema,
                                      std::vector<std::string>* keys) {
  std::string_view image;
  const auto error = each_member(element, [&image](std::string_view kind, ondemand::value request) {
    if (kind != "PutRequest" && kind != "DeleteRequest") return simdjson::NO_SUCH_FIELD;
    const std::string_view wanted = kind == "PutRequest" ? "Item" : "Key";
    return each_member(request, [&image, wanted](std::string_view name, ondemand::value value) {
      return name == wanted ? raw_object(value, &image) : simdjson::SUCCESS;
    });
  });
  if (error) return error;
  std::string key;
  if (image.empty() || !item::append_key_of_json(schema, image, key)) return simdjson::INCORRECT_TYPE;
  keys->push_back(std::move(key));
  return simdjson::SUCCESS;
}

Result<> read_batch(const Body& body, const item::KeySchema& schema, std::vector<std::string>* keys) {
  keys->clear();
  // What nearly every answer is, without a parser.
  if (*body == R"({"UnprocessedItems":{}})") return {};
  const Body padded = with_padding(body);
  return walk_answer("a BatchWriteItem answer", *padded, [&](std::string_view name, ondemand::value value) {
    if (name != "UnprocessedItems" || is_null(value)) return simdjson::SUCCESS;
    return each_member(value, [&](std::string_view, ondemand::value table) {
      return each_element(table, [&](ondemand::value element) { return read_unprocessed(element, schema, keys); });
    });
  });
}

}  // namespace

ItemWrites::ItemWrites(Client& client, std::string table, const base::Permit* permit)
    : client_(client), subject_(subject_of(table)), permit_(permit) {}

Result<Sent> ItemWrites::sent_of(base::Error error, base::Steady signed_at) {
  Sent sent;
  sent.signed_at = signed_at;
  const auto says = [&error](std::string_view word) { return error.what.find(word) != std::string::npos; };
  switch (error.kind) {
    case ErrorKind::Unavailable:
      sent.fate = Fate::Unknown;
      break;
    case ErrorKind::Throttled:
      sent.fate = Fate::NotApplied;
      sent.throttled = true;
      break;
    case ErrorKind::EndpointDown:
      // Without retries: the connection was refused. With them: the policy's patience is over.
      if (client_.config().retry.retry) return base::fail(std::move(error));
      sent.fate = Fate::NotApplied;
      break;
    case ErrorKind::Conflict:
      sent.fate = says("ConditionalCheckFailed") ? Fate::ConditionFailed : Fate::NotApplied;
      break;
    case ErrorKind::TooLarge:
      sent.fate = Fate::Refused;
      break;
    case ErrorKind::Usage:
      // A request that no server would take is a mistake of ours or a wrong endpoint, and no item's fault.
      if (!says("ValidationException") && !says("ValidationError")) return base::fail(std::move(error));
      sent.fate = Fate::Refused;
      break;
    default:
      return base::fail(std::move(error));
  }
  sent.why = std::move(error.what);
  return sent;
}

base::Task<Result<Sent>> ItemWrites::call(std::string operation, std::string body, CallOptions options) {
  Sent sent;
  options.return_throttles = true;  // who writes paces
  options.signed_at = &sent.signed_at;
  options.permit = permit_;
  options.subject = subject_;
  Result<Answer> answer = co_await client_.call(std::move(operation), std::move(body), std::move(options));
  if (!answer) co_return sent_of(std::move(answer.error()), sent.signed_at);
  sent.fate = Fate::Done;
  co_return sent;
}

base::Task<Result<Sent>> ItemWrites::batch(std::string body, item::KeySchema schema) {
  std::vector<std::string> unprocessed;
  CallOptions options;
  options.check = [&unprocessed, &schema](const Body& text) { return read_batch(text, schema, &unprocessed); };
  Result<Sent> sent = co_await call("BatchWriteItem", std::move(body), std::move(options));
  if (sent && sent->fate == Fate::Done) {
    sent->unprocessed = std::move(unprocessed);
    sent->throttled = !sent->unprocessed.empty();
  }
  co_return sent;
}

base::Task<Result<Sent>> ItemWrites::one(std::string operation, std::string body) {
  return call(std::move(operation), std::move(body), {});
}

}  // namespace moveout::aws
