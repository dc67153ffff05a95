#include "journal/local/segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/mutant.h"

namespace moveout::journal::local {

using base::ErrorKind;
using base::fail;
using base::Result;

// What an earlier process left. `segment` holds what was durable for sure: its owner appended again afterwards. The
// last append is whole and no more is known of it: its sync may have failed, and a second sync that succeeds proves
// nothing.
struct Segments::Tail {
  std::vector<Kept> kept;  // before the segment
  Kept segment;
  std::uint64_t whole = 0;  // bytes, with the pages of the last append
  Position end;             // behind those
};

namespace {

// A journal of which everything is replayed keeps no more than this share of a segment.
constexpr std::uint64_t kGiveBackShare = 64;

void note_checkpoint(const Payload& payload, Opened& opened) {
  if (payload.name.empty()) return;
  if (payload.value.empty()) opened.checkpoints.erase(std::string(payload.name));
  if (!payload.value.empty()) opened.checkpoints[std::string(payload.name)] = payload.value;
}

}  // namespace

Segments::Segments(base::Disk& disk, std::string name, std::uint32_t generation, Options options)
    : disk_(disk), frames_(disk, kFrames), name_(std::move(name)), generation_(generation), options_(options) {}

base::Error Segments::damaged(const std::string& file, const std::string& what) const {
  return {ErrorKind::Corrupt, "journal " + file + ": " + what +
                                  "; captured changes are lost. To go on: run the same command with --new-backfill"};
}

std::string Segments::file(const Name& name) const {
  return fmt::format("{}.{}.{}.{}", name_, name.generation, name.owner, name.number);
}
std::string Segments::file(const Kept& segment) const { return file(Name{generation_, segment.owner, segment.number}); }

std::optional<Segments::Name> Segments::parse(const std::string& file) const {
  if (!file.starts_with(name_ + ".")) return std::nullopt;
  std::uint64_t numbers[3];
  const char* at = file.data() + name_.size();
  const char* const end = file.data() + file.size();
  for (std::uint64_t& number : numbers) {
    if (at == end || *at != '.') return std::nullopt;
    const auto [behind, error] = std::from_chars(at + 1, end, number);
    if (error != std::errc()) return std::nullopt;
    at = behind;
  }
  if (at != end) return std::nullopt;
  return Name{static_cast<std::uint32_t>(numbers[0]), numbers[1], numbers[2]};
}

Result<std::vector<Segments::Name>> Segments::list() {
  Result<std::vector<std::string>> files = disk_.list();
  if (!files) return fail(files.error());
  std::vector<Name> names;
  for (const std::string& each : *files) {
    if (std::optional<Name> name = parse(each)) names.push_back(*name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<> Segments::check_owner() {
  if (base::mutant("journal_without_epoch")) return {};
  const Result<std::vector<Name>> names = list();
  if (!names) return fail(names.error());
  const bool deposed = std::ranges::any_of(*names, [&](const Name& name) { return name.owner > owner_; });
  if (deposed) return fail(ErrorKind::RunLocked, "another process has taken this run's journal over");
  return {};
}

Result<Opened> Segments::open(std::int64_t owner, Position replayed) {
  owner_ = base::mutant("journal_without_epoch") ? 0 : static_cast<std::uint64_t>(owner);
  if (Result<> ours = check_owner(); !ours) return fail(ours.error());
  Result<std::vector<Name>> names = list();
  if (!names) return fail(names.error());
  if (base::mutant("journal_without_epoch") && !names->empty()) return go_on_in(names->back());
  if (Result<> claimed = claim(*names); !claimed) return fail(claimed.error());
  // Only now: what is not seen here was not appended with success.
  names = list();
  if (!names) return fail(names.error());
  Result<std::optional<Tail>> tail = find_tail(*names);
  if (!tail) return fail(tail.error());
  kept_.clear();
  end_ = Position{};
  cursor_ = {};
  if (!*tail && replayed.number > 0) return fail(damaged(name_, "all of it is missing"));
  if (*tail) {
    kept_ = (*tail)->kept;
    if ((*tail)->segment.first < (*tail)->segment.end) kept_.push_back((*tail)->segment);
    end_ = (*tail)->segment.end;
  }
  Opened opened;
  if (Result<> whole = check_kept(replayed, opened); !whole) return fail(whole.error());
  if (Result<> begun = begin_segment(*tail ? &**tail : nullptr, opened); !begun) return fail(begun.error());
  opened.end = end_;
  if (end_ < replayed) {
    return fail(damaged(name_, fmt::format("it ends before page {}, and that was replayed", replayed.number - 1)));
  }
  if (Result<> removed = remove_others(*names); !removed) return fail(removed.error());
  return opened;
}

// The mutant journal_without_epoch: two owners write into one file.
Result<Opened> Segments::go_on_in(const Name& name) {
  const Result<std::optional<Tail>> tail = look(name);
  if (!tail) return fail(tail.error());
  if (!*tail) return fail(damaged(file(name), "it has no head"));
  Opened opened;
  kept_ = (*tail)->kept;
  current_ = (*tail)->segment;
  current_.bytes = (*tail)->whole;
  const Kept whole = current_;
  current_.end = end_ = (*tail)->end;
  opened.first = kept_.empty() ? whole.first : kept_.front().first;
  opened.end = end_;
  for (Kept segment : kept_) {
    if (Result<> read = read_checkpoints(segment, opened); !read) return fail(read.error());
  }
  if (Result<> read = read_checkpoints(current_, opened); !read) return fail(read.error());
  return opened;
}

// This owner's first file, before anything is read.
Result<> Segments::claim(const std::vector<Name>& names) {
  current_ = Kept{owner_, 1, {}, {}, 0};
  for (const Name& name : names) {
    if (name.generation == generation_ && name.owner == owner_)
      current_.number = std::max(current_.number, name.number + 1);
  }
  const std::string mine = file(current_);
  if (Result<> made = frames_.append(mine, claim_payload(owner_)); !made) return made;
  return disk_.sync(mine);
}

// The newest segment with a head; it names all those before it.
Result<std::optional<Segments::Tail>> Segments::find_tail(const std::vector<Name>& names) {
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    if (name->generation != generation_) continue;
    if (name->owner == current_.owner && name->number == current_.number) continue;
    Result<std::optional<Tail>> tail = look(*name);
    if (!tail || *tail) return tail;
  }
  return std::nullopt;
}

Result<std::optional<Segments::Tail>> Segments::look(const Name& name) {
  const std::string where = file(name);
  const Result<std::uint64_t> size = disk_.size(where);
  if (!size) return fail(size.error());
  Tail tail;
  tail.segment.owner = name.owner;
  tail.segment.number = name.number;
  bool head = false, complete = false;
  Position at;
  const Result<std::uint64_t> walked =
      frames_.walk(where, 0, *size, [&](std::string_view bytes, std::uint64_t behind) -> Result<bool> {
        std::optional<Payload> payload = parse_payload(bytes);
        if (!payload) return fail(damaged(where, "a frame says nothing that can be read"));
        switch (payload->kind) {
          case 'O':
            return true;
          case 'H':
            if (head) return fail(damaged(where, "it has two heads"));
            head = true;
            tail.kept = std::move(payload->kept);
            tail.segment.first = tail.segment.end = tail.end = at = payload->position;
            tail.segment.bytes = behind;
            return true;
          case 'C':
            complete = true;
            tail.whole = behind;
            return true;
          default:
            if (!head || payload->position != at) return fail(damaged(where, "a page is missing"));
            if (payload->begins && complete) {
              tail.segment.end = at;
              tail.segment.bytes = tail.whole;
            }
            if (!payload->last) return true;
            tail.end = at = at.next();
            tail.whole = behind;
            return true;
        }
      });
  if (!walked) return fail(walked.error());
  const Result<bool> more = frames_.whole_frame_in(where, *walked, *size);
  if (!more) return fail(more.error());
  if (*more) return fail(damaged(where, "it is damaged in its middle"));
  if (!complete) return std::nullopt;
  return tail;
}

// Every page that is still needed is there and whole. Those before are forgotten.
Result<> Segments::check_kept(Position replayed, Opened& opened) {
  const Position needed{std::max<std::uint64_t>(replayed.number, 1)};
  std::erase_if(kept_, [&](const Kept& segment) { return segment.end <= needed; });
  opened.first = kept_.empty() ? end_ : kept_.front().first;
  if (opened.first > needed) return fail(damaged(name_, "its oldest pages are missing"));
  if (kept_.empty()) return {};
  Position at = kept_.front().first;
  for (const Kept& segment : kept_) {
    if (segment.first != at) return fail(damaged(file(segment), "pages before it are missing"));
    if (Result<> read = read_checkpoints(segment, opened); !read) return read;
    at = segment.end;
  }
  return {};
}

Result<> Segments::read_checkpoints(const Kept& segment, Opened& opened) {
  const std::string where = file(segment);
  const Result<std::uint64_t> size = disk_.size(where);
  if (!size) return fail(size.error());
  if (*size < segment.bytes) return fail(damaged(where, "it is missing, or its end is"));
  Position at = segment.first;
  const Result<std::uint64_t> walked =
      frames_.walk(where, 0, segment.bytes, [&](std::string_view bytes, std::uint64_t) -> Result<bool> {
        const std::optional<Payload> payload = parse_payload(bytes);
        if (!payload) return fail(damaged(where, "a frame says nothing that can be read"));
        if (payload->kind != 'P' || !payload->last) return true;
        if (payload->position != at) return fail(damaged(where, "a page is missing"));
        at = at.next();
        note_checkpoint(*payload, opened);
        return true;
      });
  if (!walked) return fail(walked.error());
  if (*walked != segment.bytes || at != segment.end) return fail(damaged(where, "it is damaged in its middle"));
  return {};
}

// A segment counts from its 'C' on: then its head and the pages it takes over are durable together.
Result<> Segments::begin_segment(const Tail* tail, Opened& opened) {
  const std::string where = file(current_);
  if (Result<> written = frames_.append(where, head_payload(end_, kept_)); !written) return written;
  Kept begun = current_;
  begun.first = begun.end = end_;
  if (tail != nullptr) {
    if (Result<> taken = take_over(*tail, begun, opened); !taken) return taken;
  }
  if (Result<> written = frames_.append(where, complete_payload()); !written) return written;
  if (Result<> synced = disk_.sync(where); !synced) return synced;
  const Result<std::uint64_t> size = disk_.size(where);
  if (!size) return fail(size.error());
  begun.bytes = *size;
  current_ = begun;
  end_ = begun.end;
  over_ = false;
  return {};
}

// The pages of the last append are written anew, into the segment of this owner.
Result<> Segments::take_over(const Tail& tail, Kept& begun, Opened& opened) {
  const std::string from = file(tail.segment), to = file(begun);
  const Result<std::uint64_t> walked =
      frames_.walk(from, tail.segment.bytes, tail.whole, [&](std::string_view raw, std::uint64_t) -> Result<bool> {
        const std::optional<Payload> payload = parse_payload(raw);
        if (!payload) return fail(damaged(from, "it changed while it was read"));
        if (payload->kind != 'P') return true;
        if (Result<> copied = frames_.append(to, raw); !copied) return fail(copied.error());
        if (!payload->last) return true;
        note_checkpoint(*payload, opened);
        begun.end = begun.end.next();
        return true;
      });
  if (!walked) return fail(walked.error());
  if (*walked != tail.whole) return fail(damaged(from, "it changed while it was read"));
  return {};
}

// Files of earlier generations, and those that no head names any more.
Result<> Segments::remove_others(const std::vector<Name>& names) {
  for (const Name& name : names) {
    const auto is = [&](const Kept& segment) { return name == Name{generation_, segment.owner, segment.number}; };
    if (name.generation > generation_ || is(current_) || std::ranges::any_of(kept_, is)) continue;
    if (Result<> removed = disk_.remove(file(name)); !removed) return removed;
  }
  return {};
}

// Of a write that failed nobody knows what is durable. It is never cut off, since a later owner may have read it and
// count on it; the head of the next segment says how much of this one counts.
Result<> Segments::next_segment() {
  const std::vector<Kept> kept = kept_;
  const Kept current = current_;
  if (current_.first < current_.end) kept_.push_back(current_);
  ++current_.number;
  // What an attempt left that did not succeed.
  Result<> begun = disk_.remove(file(current_));
  Opened nothing;
  if (begun) begun = begin_segment(nullptr, nothing);
  if (begun) return begun;
  kept_ = kept;
  current_ = current;
  return begun;
}

Result<> Segments::append(const std::vector<Page>& pages) {
  MOVEOUT_ASSERT(current_.number > 0);
  if (over_) {
    if (Result<> next = next_segment(); !next) return next;
  }
  std::string bytes;
  Position position = end_;
  for (const Page& page : pages) {
    for (const std::string& payload : page_payloads(position, page, position == end_)) bytes += frames_.frame(payload);
    position = position.next();
  }
  const std::string where = file(current_);
  over_ = true;
  if (Result<> written = disk_.append(where, bytes); !written) return written;
  if (Result<> synced = disk_.sync(where); !synced) return synced;
  if (Result<> ours = check_owner(); !ours) return ours;
  const Result<std::uint64_t> size = disk_.size(where);
  if (!size) return fail(size.error());
  current_.bytes = *size;
  current_.end = end_ = position;
  over_ = current_.bytes >= options_.segment_bytes;
  return {};
}

Result<std::vector<Entry>> Segments::read(Position from, std::size_t bytes) {
  std::vector<Entry> entries;
  if (from >= end_) return entries;
  const auto holds = [&](const Kept& segment) { return segment.first <= from && from < segment.end; };
  const auto found = std::ranges::find_if(kept_, holds);
  const Kept segment = found != kept_.end() ? *found : current_;
  MOVEOUT_ASSERT(holds(segment));
  const std::string where = file(segment);
  const bool known = cursor_.position == from && cursor_.number == segment.number && cursor_.owner == segment.owner;
  std::size_t held = 0;
  Position at = from;
  Page page;
  const Result<std::uint64_t> walked =
      frames_.walk(where, known ? cursor_.offset : 0, segment.bytes,
                   [&](std::string_view raw, std::uint64_t behind) -> Result<bool> {
                     const std::optional<Payload> payload = parse_payload(raw);
                     if (!payload) return fail(damaged(where, "a frame says nothing that can be read"));
                     if (payload->kind != 'P' || payload->position < from) return true;
                     if (payload->position != at) return fail(damaged(where, "a page is missing"));
                     if (Result<> taken = take_changes(payload->body, page.changes); !taken) return fail(taken.error());
                     held += payload->body.size();
                     if (!payload->last) return true;
                     page.checkpoint = {std::string(payload->name), std::string(payload->value)};
                     entries.push_back({at, std::exchange(page, {})});
                     at = at.next();
                     cursor_ = {at, segment.number, segment.owner, behind};
                     return held < bytes;
                   });
  if (!walked) return fail(walked.error());
  if (entries.empty()) return fail(damaged(where, "it is damaged in its middle"));
  return entries;
}

Result<> Segments::trim(Position until) {
  // All of the current one is replayed too: it is given back as well, once it is worth the new file. A later owner that
  // did not see the new one must still find the old one.
  const bool spent = current_.first < current_.end && current_.end <= until;
  if (spent && current_.bytes >= options_.segment_bytes / kGiveBackShare) {
    over_ = true;
    if (Result<> next = next_segment(); !next) return next;
    if (Result<> ours = check_owner(); !ours) return ours;
  }
  while (!kept_.empty() && kept_.front().end <= until) {
    if (Result<> removed = disk_.remove(file(kept_.front())); !removed) return removed;
    kept_.erase(kept_.begin());
  }
  return {};
}

}  // namespace moveout::journal::local
