#include "backfill/export/export_source.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "backfill/export/ion.h"
#include "backfill/export/lines.h"
#include "backfill/export/md5.h"
#include "backfill/words.h"
#include "base/mutant.h"

namespace moveout::backfill {
namespace {

using base::ErrorKind;
using base::Result;
using base::Task;

constexpr std::uint64_t kNearBytes = 256 << 10;  // read at once from a folder or the spool
constexpr std::uint64_t kFarBytes = 4 << 20;     // a part of an object
constexpr std::size_t kPageBytes = 1 << 20;      // unpacked
constexpr std::size_t kPadding = 64;             // what simdjson may read over the end
constexpr std::uint64_t kSampledMax = 4000;

// One data file with the rules it is read by.
struct Part {
  const ExportTree* tree;
  const DataFile* file;
};

std::string spool_name(std::size_t part) { return fmt::format("part-{}.gz", part); }

}  // namespace

struct ExportSource::State {
  State(ExportConfig c, Objects& o, base::Disk* s, std::vector<base::Worker*> w, base::Log& l)
      : config(std::move(c)), objects(o), spool(s), workers(std::move(w)), log(l) {}

  ExportConfig config;
  Objects& objects;
  base::Disk* spool;
  std::vector<base::Worker*> workers;
  base::Log& log;
  std::vector<ExportTree> trees;
  std::vector<Part> parts;
  std::vector<bool> spooled;  // stands in the spool, verified by this process
  RecordRules rules;

  Task<Result<item::KeySchema>> key_of_files();
};

namespace {

// The place in a part: "<bytes unpacked> <items> <md5>", of a complete one "end <items> <md5>".
struct At {
  std::uint64_t offset = 0;
  std::uint64_t items = 0;
  bool end = false;
};

std::string format_at(const At& at, const std::string& md5) {
  return fmt::format("{} {} {}", at.end ? "end" : std::to_string(at.offset), at.items, md5);
}

Result<At> parse_at(std::string_view text, const std::string& md5) {
  At at;
  if (text.empty()) return at;
  const std::string_view offset = word(&text);
  at.end = offset == "end";
  if ((!at.end && !number(offset, &at.offset)) || !number(word(&text), &at.items)) {
    return base::fail(ErrorKind::Corrupt, "a checkpoint that none of an export's files gave");
  }
  if (word(&text) != md5) {
    return base::fail(ErrorKind::Corrupt, "the manifest has another file here than when this load began");
  }
  return at;
}

}  // namespace

// Verifies, unpacks, cuts into lines. Its blocking and computing go to its worker.
class ExportPart final : public PartReader {
 public:
  ExportPart(ExportSource::State& state, std::size_t part, std::string at)
      : state_(state), part_(part), at_text_(std::move(at)), gunzip_(state.config.limits) {}

  Task<Result<FilePage>> next() override {
    Result<FilePage> page = co_await next_page();
    if (!page) co_return base::fail(page.error().kind, name() + ": " + page.error().what);
    co_return page;
  }

  // Whole lines of about a page, without a record being looked at; no text at the end.
  Task<Result<item::Buffer>> next_lines();

 private:
  const Part& part() const { return state_.parts[part_]; }
  std::string name() const { return state_.objects.where(part().file->object.name); }
  base::Worker& worker() { return *state_.workers[part_ % state_.workers.size()]; }

  Task<Result<>> begin();
  Task<Result<>> verify();
  Task<Result<>> take(std::string bytes, Md5& md5);
  Task<Result<std::string>> read(std::uint64_t offset, std::uint64_t size);
  Task<Result<>> fill();
  Result<> unpack(std::string bytes);
  Result<FilePage> page_of(const item::Buffer& text);
  Task<Result<FilePage>> next_page();

  ExportSource::State& state_;
  std::size_t part_;
  std::string at_text_;
  GunzipStream gunzip_;
  At at_;
  bool begun_ = false;
  std::uint64_t read_ = 0;  // of the file as it lies there
  std::uint64_t skip_ = 0;  // unpacked bytes still to pass over
  bool fed_ = false;        // gunzip_ has input left
  bool ended_ = false;      // all is unpacked
  std::string text_;        // unpacked, not yet given out
};

Task<Result<>> ExportPart::begin() {
  begun_ = true;
  Result<At> at = parse_at(at_text_, part().file->entry.md5);
  if (!at) co_return base::fail(at.error());
  at_ = *at;
  if (base::mutant("export_resume_off_by_one") && at_.items > 0) ++at_.offset;
  skip_ = at_.offset;
  if (at_.end) co_return Result<>();
  co_return co_await verify();
}

Task<Result<>> ExportPart::verify() {
  const DataFile& file = *part().file;
  const bool near = state_.objects.is_near();
  if (!near && state_.spooled[part_]) co_return Result<>();
  Md5 md5;
  if (!near) {
    base::Disk& spool = *state_.spool;
    const std::string spooled = spool_name(part_);
    Result<> removed = co_await worker().call([&] { return spool.remove(spooled); });
    if (!removed) co_return removed;
  }
  for (std::uint64_t offset = 0; offset < file.object.size;) {
    Result<std::string> bytes = co_await state_.objects.read(file.object, offset, near ? kNearBytes : kFarBytes);
    if (!bytes) co_return base::fail(bytes.error());
    if (bytes->empty()) co_return base::fail(ErrorKind::Corrupt, "it ended before its size");
    offset += bytes->size();
    if (Result<> taken = co_await take(std::move(*bytes), md5); !taken) co_return taken;
  }
  if (md5.done() != file.entry.md5 && !base::mutant("md5_unchecked")) {
    co_return base::fail(ErrorKind::Corrupt,
                         "its MD5 is not the one in the export's manifest: it is damaged, cut off or another file; "
                         "nothing of it was loaded");
  }
  if (!near) state_.spooled[part_] = true;
  co_return Result<>();
}

Task<Result<>> ExportPart::take(std::string bytes, Md5& md5) {
  base::Disk* spool = state_.objects.is_near() ? nullptr : state_.spool;
  const std::string spooled = spool_name(part_);
  co_return co_await worker().call([&]() -> Result<> {
    md5.add(bytes);
    return spool == nullptr ? Result<>() : spool->append(spooled, bytes);
  });
}

Task<Result<std::string>> ExportPart::read(std::uint64_t offset, std::uint64_t size) {
  if (state_.objects.is_near()) co_return co_await state_.objects.read(part().file->object, offset, size);
  base::Disk& spool = *state_.spool;
  const std::string spooled = spool_name(part_);
  co_return co_await worker().call([&] { return spool.read(spooled, offset, static_cast<std::size_t>(size)); });
}

// On the worker: from packed bytes (or what is left of them) to text_, at most a page more.
Result<> ExportPart::unpack(std::string bytes) {
  if (!bytes.empty()) {
    gunzip_.feed(bytes);
    fed_ = true;
  }
  const std::size_t before = text_.size();
  Result<bool> dry = gunzip_.inflate(text_, kPageBytes);
  if (!dry) return base::fail(dry.error());
  fed_ = !*dry;
  const std::size_t more = text_.size() - before;
  const auto passed = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, more));
  text_.erase(before, passed);
  skip_ -= passed;
  return {};
}

// More of text_, or ended_.
Task<Result<>> ExportPart::fill() {
  std::string bytes;
  const std::uint64_t size = part().file->object.size;
  if (!fed_) {
    if (read_ == size) {
      ended_ = true;
      // A file without a byte holds nothing; the manifest must say so too.
      if (size == 0) co_return Result<>();
      co_return gunzip_.finish();
    }
    Result<std::string> got = co_await read(read_, std::min(kNearBytes, size - read_));
    if (!got) co_return base::fail(got.error());
    if (got->empty()) co_return base::fail(ErrorKind::Corrupt, "it ended before its size");
    read_ += got->size();
    bytes = std::move(*got);
  }
  co_return co_await worker().call([&, this] { return unpack(std::move(bytes)); });
}

Task<Result<item::Buffer>> ExportPart::next_lines() {
  if (!begun_) {
    if (Result<> begun = co_await begin(); !begun) co_return base::fail(begun.error());
  }
  while (!ended_) {
    if (text_.size() >= kPageBytes && text_.rfind('\n') != std::string::npos) break;
    if (text_.size() > kExportLineBytesMax) {
      co_return base::fail(ErrorKind::TooLarge,
                           fmt::format("item {}: a line of more than {} bytes, which no item makes", at_.items + 1,
                                       kExportLineBytesMax));
    }
    if (Result<> filled = co_await fill(); !filled) co_return base::fail(filled.error());
  }
  if (ended_ && skip_ > 0) co_return base::fail(ErrorKind::Corrupt, "it is shorter than what was loaded of it before");
  if (ended_ && !text_.empty() && text_.back() != '\n') text_ += '\n';
  const std::size_t end = text_.rfind('\n') == std::string::npos ? 0 : text_.rfind('\n') + 1;
  std::string rest = text_.substr(end);
  text_.resize(end);
  text_.reserve(text_.size() + kPadding);
  item::Buffer lines = std::make_shared<const std::string>(std::move(text_));
  text_ = std::move(rest);
  text_.reserve(2 * kPageBytes);
  co_return lines;
}

// On the worker.
Result<FilePage> ExportPart::page_of(const item::Buffer& text) {
  RecordRules rules = state_.rules;
  const ExportSummary& summary = part().tree->summary;
  rules.incremental = summary.incremental;
  rules.old_images = summary.old_images;
  FilePage page;
  const Result<LinesRead> read = summary.format == ExportFormat::Ion
                                     ? read_ion_lines(*text, rules, at_.items + 1, page.writes)
                                     : read_lines(text, rules, at_.items + 1, page.writes);
  if (!read) return base::fail(read.error());
  const ExportFile& entry = part().file->entry;
  at_.items += read->items;
  at_.offset += text->size();
  if (at_.items > entry.items) {
    return base::fail(ErrorKind::Corrupt, fmt::format("it holds more than the {} items of its manifest", entry.items));
  }
  page.items = read->items;
  page.bytes = read->bytes;
  return page;
}

Task<Result<FilePage>> ExportPart::next_page() {
  if (!begun_) {
    if (Result<> begun = co_await begin(); !begun) co_return base::fail(begun.error());
  }
  if (at_.end) {
    FilePage nothing;
    nothing.last = true;
    nothing.at = at_text_;
    co_return nothing;
  }
  Result<item::Buffer> text = co_await next_lines();
  if (!text) co_return base::fail(text.error());
  const item::Buffer& lines = *text;
  Result<FilePage> page = co_await worker().call([&, this] { return page_of(lines); });
  if (!page) co_return page;
  const ExportFile& entry = part().file->entry;
  if (ended_) {
    if (at_.items != entry.items && !base::mutant("export_count_unchecked")) {
      co_return base::fail(ErrorKind::Corrupt,
                           fmt::format("it holds {} items, and {} by its manifest", at_.items, entry.items));
    }
    at_.end = page->last = true;
    state_.spooled[part_] = false;
    if (!state_.objects.is_near()) {
      base::Disk& spool = *state_.spool;
      const std::string spooled = spool_name(part_);
      Result<> removed = co_await worker().call([&] { return spool.remove(spooled); });
      if (!removed) co_return base::fail(removed.error());
    }
  }
  page->at = format_at(at_, entry.md5);
  co_return page;
}

ExportSource::ExportSource(ExportConfig config, Objects& objects, base::Disk* spool, std::vector<base::Worker*> workers,
                           base::Log& log)
    : state_(std::make_unique<State>(std::move(config), objects, spool, std::move(workers), log)) {
  MOVEOUT_ASSERT(!state_->workers.empty() && (objects.is_near() || spool != nullptr));
}
ExportSource::~ExportSource() = default;

// Of the first record there is.
Task<Result<item::KeySchema>> ExportSource::State::key_of_files() {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].file->entry.items == 0 || !parts[i].tree->summary.incremental) continue;
    ExportPart reader(*this, i, {});
    Result<item::Buffer> lines = co_await reader.next_lines();
    const std::string name = objects.where(parts[i].file->object.name) + ": ";
    if (!lines) co_return base::fail(lines.error().kind, name + lines.error().what);
    const std::string line = (*lines)->substr(0, (*lines)->find('\n'));
    Result<item::KeySchema> key =
        parts[i].tree->summary.format == ExportFormat::Ion ? key_of_ion_record(line) : key_of_record(line);
    if (!key) co_return base::fail(key.error().kind, name + "item 1: " + key.error().what);
    co_return key;
  }
  co_return base::fail(ErrorKind::NotFound, "no record tells the key");
}

Task<Result<FilesKnown>> ExportSource::begin() {
  State& state = *state_;
  Result<std::vector<ExportTree>> trees = co_await find_exports(state.objects, state.log, state.config.find);
  if (!trees) co_return base::fail(trees.error());
  state.trees = std::move(*trees);
  FilesKnown known;
  for (const ExportTree& tree : state.trees) {
    for (const DataFile& file : tree.files) state.parts.push_back({&tree, &file});
    known.items += tree.summary.items;
    if (!tree.summary.incremental) known.t_us = base::micros_of(tree.summary.time);
  }
  state.spooled.assign(state.parts.size(), false);
  known.table = state.trees.front().summary.table;
  known.versioned = incremental();
  Result<item::KeySchema> key = co_await state.key_of_files();
  if (key) {
    known.key = std::move(*key);
  } else if (key.error().kind != ErrorKind::NotFound) {
    co_return base::fail(key.error());
  }
  co_return known;
}

void ExportSource::set(item::KeySchema key, item::Version version) {
  state_->rules.key = std::move(key);
  state_->rules.version = version;
}

std::size_t ExportSource::parts() const { return state_->parts.size(); }

std::string ExportSource::part_name(std::size_t part) const {
  return state_->objects.where(state_->parts[part].file->object.name);
}

std::unique_ptr<PartReader> ExportSource::open(std::size_t part, std::string at) {
  return std::make_unique<ExportPart>(*state_, part, std::move(at));
}

Task<Result<>> ExportSource::sample(schema::Sampler& sampler) {
  for (std::size_t part = 0; part < state_->parts.size() && sampler.seen() < kSampledMax; ++part) {
    if (state_->parts[part].file->entry.items == 0) continue;
    ExportPart reader(*state_, part, {});
    Result<FilePage> page = co_await reader.next();
    if (!page) co_return base::fail(page.error());
    for (std::size_t i = 0; i < page->writes.size(); ++i) {
      if (page->writes[i].is_delete() || page->writes.unreadable(i) != nullptr) continue;
      if (Result<> seen = sampler.see(page->writes[i].image); !seen) co_return seen;
    }
  }
  co_return Result<>();
}

const std::vector<ExportTree>& ExportSource::trees() const { return state_->trees; }

bool ExportSource::incremental() const {
  for (const ExportTree& tree : state_->trees) {
    if (tree.summary.incremental) return true;
  }
  return false;
}

}  // namespace moveout::backfill
