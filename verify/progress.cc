#include "verify/progress.h"

#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "item/hash.h"

namespace moveout::verify {
namespace {

using base::ErrorKind;
using base::Result;

constexpr std::string_view kMagic = "moveout verify 3\n";
constexpr std::uint64_t kChecksumSeed = 0x76657269;

class Out {
 public:
  explicit Out(std::string& bytes) : bytes_(bytes) {}
  void u64(std::uint64_t value) {
    char raw[8];
    std::memcpy(raw, &value, 8);
    bytes_.append(raw, 8);
  }
  void text(std::string_view value) {
    u64(value.size());
    bytes_.append(value);
  }
  void real(double value) { u64(std::bit_cast<std::uint64_t>(value)); }
  void hash(const item::Hash128& value) {
    u64(value.high);
    u64(value.low);
  }

 private:
  std::string& bytes_;
};

// Reads what Out wrote. After a read beyond the end everything is zero and ok() is false.
class In {
 public:
  explicit In(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t u64() {
    std::uint64_t value = 0;
    const std::string_view raw = take(8);
    if (ok_) std::memcpy(&value, raw.data(), 8);
    return value;
  }
  std::string text() { return std::string(take(u64())); }
  double real() { return std::bit_cast<double>(u64()); }
  item::Hash128 hash() {
    item::Hash128 value;
    value.high = u64();
    value.low = u64();
    return value;
  }
  // How many elements follow; at least a byte each, so that damage cannot ask for all memory.
  std::size_t count() {
    const std::uint64_t n = u64();
    if (n > bytes_.size()) ok_ = false;
    return ok_ ? static_cast<std::size_t>(n) : 0;
  }
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && bytes_.empty(); }

 private:
  std::string_view take(std::uint64_t size) {
    if (!ok_ || size > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = bytes_.substr(0, static_cast<std::size_t>(size));
    bytes_.remove_prefix(static_cast<std::size_t>(size));
    return taken;
  }
  std::string_view bytes_;
  bool ok_ = true;
};

void put_report(Out& out, const Report& report) {
  for (const std::uint64_t n : {report.matched, report.missing, report.extra, report.different, report.hot,
                                report.expired, report.quarantined}) {
    out.u64(n);
  }
  out.real(report.consumed_rcu);
  out.u64(report.first.size());
  for (const Difference& difference : report.first) {
    out.u64(static_cast<std::uint64_t>(difference.kind));
    out.text(difference.key.encoded());
  }
  out.u64(report.hot_keys.size());
  for (const item::Key& key : report.hot_keys) out.text(key.encoded());
}

bool get_key(In& in, item::Key* key) {
  Result<item::Key> decoded = item::Key::from_encoded(in.text());
  if (decoded) *key = std::move(*decoded);
  return decoded.has_value();
}

bool get_report(In& in, Report* report) {
  for (std::uint64_t* n : {&report->matched, &report->missing, &report->extra, &report->different, &report->hot,
                           &report->expired, &report->quarantined}) {
    *n = in.u64();
  }
  report->consumed_rcu = in.real();
  report->first.resize(in.count());
  for (Difference& difference : report->first) {
    const std::uint64_t kind = in.u64();
    if (kind > 2 || !get_key(in, &difference.key)) return false;
    difference.kind = static_cast<Difference::Kind>(kind);
  }
  report->hot_keys.resize(in.count());
  for (item::Key& key : report->hot_keys) {
    if (!get_key(in, &key)) return false;
  }
  return in.ok();
}

void put_side(Out& out, const Progress& progress, std::size_t side) {
  out.u64(progress.items[side]);
  out.u64(progress.spill_sizes[side].size());
  for (const std::uint64_t size : progress.spill_sizes[side]) out.u64(size);
  out.u64(progress.sums[side].size());
  for (const BucketSum& sum : progress.sums[side]) {
    out.u64(sum.count);
    out.hash(sum.sum);
  }
}

void get_side(In& in, Progress* progress, std::size_t side) {
  progress->items[side] = in.u64();
  progress->spill_sizes[side].resize(in.count());
  for (std::uint64_t& size : progress->spill_sizes[side]) size = in.u64();
  progress->sums[side].resize(in.count());
  for (BucketSum& sum : progress->sums[side]) {
    sum.count = in.u64();
    sum.sum = in.hash();
  }
}

bool get_segments(In& in, Progress* progress) {
  progress->segments = in.u64();
  const std::string done = in.text();
  if (done.size() != progress->segments) return false;
  for (const char c : done) progress->segments_done.push_back(c == 'x');
  for (std::size_t n = in.count(); n > 0; --n) {
    const std::uint64_t segment = in.u64();
    if (segment >= progress->segments) return false;
    progress->segments_open[segment] = in.text();
  }
  return in.ok();
}

}  // namespace

std::string encode(const Progress& progress, std::uint64_t sequence) {
  std::string bytes(kMagic);
  Out out(bytes);
  out.u64(sequence);
  out.text(progress.identity);
  out.u64(static_cast<std::uint64_t>(progress.saved_us));
  out.u64(progress.seed);
  out.u64(static_cast<std::uint64_t>(progress.phase));
  out.u64(progress.segments);
  std::string done;
  for (const bool segment : progress.segments_done) done += segment ? 'x' : '.';
  out.text(done);
  out.u64(progress.segments_open.size());
  for (const auto& [segment, key] : progress.segments_open) {
    out.u64(segment);
    out.text(key);
  }
  out.text(progress.target_cursor);
  put_side(out, progress, kSource);
  put_side(out, progress, kTarget);
  for (const std::uint64_t n : {progress.files_compared, progress.candidates_size, progress.settled_size,
                                progress.source_bytes, progress.candidates, progress.compared}) {
    out.u64(n);
  }
  out.hash(progress.candidates_sum);
  out.hash(progress.settled_sum);
  put_report(out, progress.report);
  const item::Hash128 checksum = item::hash_of(bytes, kChecksumSeed);
  out.hash(checksum);
  return bytes;
}

Result<Progress> decode(std::string_view bytes, std::uint64_t* sequence) {
  const auto bad = [] { return base::fail(ErrorKind::Corrupt, "the progress of a verification cannot be read"); };
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + 16) return bad();
  const std::string_view body = bytes.substr(0, bytes.size() - 16);
  if (In(bytes.substr(body.size())).hash() != item::hash_of(body, kChecksumSeed)) return bad();
  In in(body.substr(kMagic.size()));
  Progress progress;
  *sequence = in.u64();
  progress.identity = in.text();
  progress.saved_us = static_cast<std::int64_t>(in.u64());
  progress.seed = in.u64();
  const std::uint64_t phase = in.u64();
  if (phase < 1 || phase > 4 || !get_segments(in, &progress)) return bad();
  progress.phase = static_cast<Phase>(phase);
  progress.target_cursor = in.text();
  get_side(in, &progress, kSource);
  get_side(in, &progress, kTarget);
  for (std::uint64_t* n : {&progress.files_compared, &progress.candidates_size, &progress.settled_size,
                           &progress.source_bytes, &progress.candidates, &progress.compared}) {
    *n = in.u64();
  }
  progress.candidates_sum = in.hash();
  progress.settled_sum = in.hash();
  if (!get_report(in, &progress.report) || !in.at_end()) return bad();
  return progress;
}

Result<std::optional<Progress>> ProgressFile::load() {
  std::optional<Progress> newest;
  sequence_ = 0;
  for (std::uint64_t i = 0; i < 2; ++i) {
    const Result<std::uint64_t> size = disk_.size(file(i));
    if (!size) return base::fail(size.error());
    if (*size == 0) continue;
    const Result<std::string> bytes = disk_.read(file(i), 0, static_cast<std::size_t>(*size));
    if (!bytes) return base::fail(bytes.error());
    std::uint64_t sequence = 0;
    Result<Progress> progress = decode(*bytes, &sequence);
    if (!progress || sequence % 2 != i) continue;
    if (newest && sequence < sequence_) continue;
    newest = std::move(*progress);
    sequence_ = sequence;
  }
  return newest;
}

Result<> ProgressFile::save(const Progress& progress) {
  const std::uint64_t sequence = sequence_ + 1;
  const std::string name = file(sequence);
  const Result<std::uint64_t> size = disk_.size(name);
  if (!size) return base::fail(size.error());
  if (*size > 0) {
    if (const Result<> emptied = disk_.truncate(name, 0); !emptied) return emptied;
  }
  if (const Result<> written = disk_.append(name, encode(progress, sequence)); !written) return written;
  if (const Result<> synced = disk_.sync(name); !synced) return synced;
  sequence_ = sequence;
  return {};
}

Result<> ProgressFile::clear() {
  for (std::uint64_t i = 0; i < 2; ++i) {
    const Result<std::uint64_t> size = disk_.size(file(i));
    if (!size) return base::fail(size.error());
    if (*size == 0) continue;
    if (const Result<> emptied = disk_.truncate(file(i), 0); !emptied) return emptied;
    // A file whose removal is not durable may come back: it comes back empty.
    if (const Result<> synced = disk_.sync(file(i)); !synced) return synced;
  }
  for (std::uint64_t i = 0; i < 2; ++i) {
    if (const Result<> removed = disk_.remove(file(i)); !removed) return removed;
  }
  return {};
}

}  // namespace moveout::verify
