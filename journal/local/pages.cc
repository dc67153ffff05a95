#include "journal/local/pages.h"

namespace moveout::journal::local {
namespace {

using base::ErrorKind;
using base::get;
using base::put;
using base::Result;

constexpr char kLast = 1;
constexpr char kBegins = 2;

bool get_bytes(std::string_view* bytes, std::size_t size, std::string_view* out) {
  if (bytes->size() < size) return false;
  *out = bytes->substr(0, size);
  bytes->remove_prefix(size);
  return true;
}
// A text with its size before it.
template <class Size>
bool get_sized(std::string_view* bytes, std::string_view* out) {
  Size size = 0;
  return get(bytes, &size) && get_bytes(bytes, size, out);
}
template <class Size>
void put_sized(std::string& out, std::string_view text) {
  put(out, static_cast<Size>(text.size()));
  out += text;
}

void put_change(std::string& out, const item::Change& change) {
  out += static_cast<char>(change.kind);
  out += static_cast<char>(change.ttl_delete ? 1 : 0);
  put(out, change.version.packed());
  put(out, base::micros_of(change.created));
  put_sized<std::uint16_t>(out, change.key.encoded());
  put_sized<std::uint32_t>(out, change.image);
}

base::Error damaged() { return {ErrorKind::Corrupt, "a page of the journal cannot be read"}; }

bool get_head(std::string_view bytes, Payload& head) {
  std::uint32_t count = 0;
  if (!get(&bytes, &head.position.number) || !get(&bytes, &count)) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    Kept kept;
    if (!get(&bytes, &kept.owner) || !get(&bytes, &kept.number) || !get(&bytes, &kept.first.number) ||
        !get(&bytes, &kept.end.number) || !get(&bytes, &kept.bytes)) {
      return false;
    }
    head.kept.push_back(kept);
  }
  return bytes.empty();
}

bool get_piece(std::string_view bytes, Payload& piece) {
  char flags = 0;
  if (!get(&bytes, &flags) || !get(&bytes, &piece.position.number)) return false;
  piece.last = (flags & kLast) != 0;
  piece.begins = (flags & kBegins) != 0;
  if (piece.last &&
      !(get_sized<std::uint16_t>(&bytes, &piece.name) && get_sized<std::uint32_t>(&bytes, &piece.value))) {
    return false;
  }
  piece.body = bytes;
  return true;
}

}  // namespace

std::string claim_payload(std::uint64_t owner) {
  std::string out = "O";
  put(out, owner);
  return out;
}

std::string complete_payload() { return "C"; }

std::string head_payload(Position first, const std::vector<Kept>& kept) {
  std::string out = "H";
  put(out, first.number);
  put(out, static_cast<std::uint32_t>(kept.size()));
  for (const Kept& one : kept) {
    put(out, one.owner);
    put(out, one.number);
    put(out, one.first.number);
    put(out, one.end.number);
    put(out, one.bytes);
  }
  return out;
}

std::vector<std::string> page_payloads(Position position, const Page& page, bool begins) {
  std::vector<std::string> payloads;
  std::string body;
  const auto piece = [&](bool last) {
    std::string out = "P";
    out += static_cast<char>((last ? kLast : 0) | (begins && payloads.empty() ? kBegins : 0));
    put(out, position.number);
    if (last) {
      put_sized<std::uint16_t>(out, page.checkpoint.first);
      put_sized<std::uint32_t>(out, page.checkpoint.second);
    }
    payloads.push_back(out + body);
    body.clear();
  };
  for (const item::Change& change : page.changes) {
    if (body.size() >= kPieceBytes) piece(false);
    put_change(body, change);
  }
  piece(true);
  return payloads;
}

std::optional<Payload> parse_payload(std::string_view bytes) {
  Payload payload;
  std::uint64_t owner = 0;
  if (!get(&bytes, &payload.kind)) return std::nullopt;
  bool whole = false;
  if (payload.kind == 'O') whole = get(&bytes, &owner) && bytes.empty();
  if (payload.kind == 'C') whole = bytes.empty();
  if (payload.kind == 'H') whole = get_head(bytes, payload);
  if (payload.kind == 'P') whole = get_piece(bytes, payload);
  if (!whole) return std::nullopt;
  return payload;
}

Result<> take_changes(std::string_view body, std::vector<item::Change>& changes) {
  while (!body.empty()) {
    item::Change change;
    char kind = 0, ttl = 0;
    std::int64_t version = 0, created = 0;
    std::string_view key, image;
    if (!get(&body, &kind) || !get(&body, &ttl) || !get(&body, &version) || !get(&body, &created) ||
        !get_sized<std::uint16_t>(&body, &key) || !get_sized<std::uint32_t>(&body, &image) ||
        kind > static_cast<char>(item::ChangeKind::Touched)) {
      return base::fail(damaged());
    }
    Result<item::Key> decoded = item::Key::from_encoded(std::string(key));
    if (!decoded) return base::fail(decoded.error());
    change.key = std::move(*decoded);
    change.kind = static_cast<item::ChangeKind>(kind);
    change.ttl_delete = ttl != 0;
    change.version = item::Version::unpacked(version);
    change.created = base::instant_of_micros(created);
    change.image = image;
    changes.push_back(std::move(change));
  }
  return {};
}

}  // namespace moveout::journal::local
