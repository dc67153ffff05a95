#include "backfill/item_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "backfill/unpacking.h"
#include "backfill/words.h"
#include "item/cursor.h"
#include "item/documents.h"
#include "item/hash.h"
#include "item/slice.h"

namespace moveout::backfill {
namespace {

using base::ErrorKind;
using base::Result;
using base::Task;

constexpr std::size_t kReadBytes = std::size_t{256} << 10;  // of the file, at once
constexpr std::size_t kTextBytes = std::size_t{256} << 10;  // unpacked at once
constexpr std::size_t kPageBytes = std::size_t{1} << 20;
// What a sample looks at, all of which is held until it is written.
constexpr std::uint64_t kSampleItems = 10'000;
constexpr std::size_t kSampleBytes = std::size_t{8} << 20;

std::uint64_t hash_of_item(std::string_view text) { return item::hash_of(text, 0).high; }

// The text of a file from its beginning on, unpacked.
class Text {
 public:
  Text(const ItemFile::Options& options, base::Disk& disk) : options_(options), disk_(disk) {}

  // Up to kTextBytes more; nothing at the end. Views into this, until the next call.
  Result<std::string_view> more() {
    if (!begun_) {
      if (Result<> began = begin(); !began) return base::fail(began.error());
    }
    if (!unpacking_) {
      if (packed_.empty()) {
        if (Result<> got = read(); !got) return base::fail(got.error());
      }
      text_at_ += packed_.size();
      return std::exchange(packed_, {});
    }
    text_.clear();
    while (text_.empty()) {
      if (packed_.empty()) {
        if (Result<> got = read(); !got) return base::fail(got.error());
        if (packed_.empty() && unpacking_->whole()) return std::string_view();
      }
      const bool ended = packed_.empty();
      if (Result<> unpacked = unpacking_->unpack(packed_, text_, kTextBytes); !unpacked) {
        return base::fail(ErrorKind::Corrupt, fmt::format("{}: {} (before byte {} of the file)", options_.shown,
                                                          unpacked.error().what, read_at_));
      }
      if (ended && text_.empty()) {
        return base::fail(ErrorKind::Corrupt,
                          fmt::format("{}: expected more of the packed text at byte {}, where the file ends",
                                      options_.shown, read_at_));
      }
    }
    text_at_ += text_.size();
    return std::string_view(text_);
  }

  // Goes to a byte of the text, at or behind what was read. False when the text ends before it.
  Result<bool> go_to(std::uint64_t offset) {
    if (!begun_) {
      if (Result<> began = begin(); !began) return base::fail(began.error());
    }
    if (!unpacking_ && !options_.forwards) {
      packed_ = {};
      read_at_ = text_at_ = offset;
      const Result<std::uint64_t> size = disk_.size(options_.name);
      return size ? Result<bool>(*size >= offset) : base::fail(size.error());
    }
    while (text_at_ < offset) {
      Result<std::string_view> some = more();
      if (!some) return base::fail(some.error());
      if (some->empty()) return false;
      if (text_at_ > offset) put_back(some->substr(some->size() - (text_at_ - offset)));
    }
    return true;
  }

  // The next answer of next().
  void put_back(std::string_view rest) {
    kept_.assign(rest);
    back_ = !kept_.empty();
  }

  // As more(), with what was put back first.
  Result<std::string_view> next() {
    if (std::exchange(back_, false)) return std::string_view(kept_);
    return more();
  }

  std::string place() const { return unpacking_ ? " of the unpacked text" : ""; }

 private:
  Result<> begin() {
    begun_ = true;
    if (Result<> got = read(); !got) return got;
    unpacking_ = Unpacking::of(packed_);
    return {};
  }

  Result<> read() {
    Result<std::string> bytes = disk_.read(options_.name, read_at_, kReadBytes);
    if (!bytes) return base::fail(bytes.error());
    bytes_ = std::move(*bytes);
    packed_ = bytes_;
    read_at_ += bytes_.size();
    return {};
  }

  const ItemFile::Options& options_;
  base::Disk& disk_;
  bool begun_ = false;
  std::unique_ptr<Unpacking> unpacking_;
  std::string bytes_;
  std::string_view packed_;    // of bytes_: not unpacked yet
  std::uint64_t read_at_ = 0;  // bytes of the file read
  std::string text_;
  std::uint64_t text_at_ = 0;  // bytes of text given out
  std::string kept_;
  bool back_ = false;
};

// FilePage::at, taken apart.
struct At {
  item::DocumentPlace place;
  std::uint64_t item_offset = 0;  // where the item before it begins
  std::uint64_t item_hash = 0;

  std::string to_text() const { return fmt::format("{} {}\n{}", item_offset, item_hash, place.to_text()); }
  static Result<At> parse(std::string_view text) {
    At at;
    const bool good = number(word(&text), &at.item_offset) && number(word(&text), &at.item_hash);
    Result<item::DocumentPlace> place = item::DocumentPlace::parse(text);
    if (!good || !place) return base::fail(ErrorKind::Corrupt, "the checkpoint of a file of items cannot be read");
    at.place = *place;
    return at;
  }
};

}  // namespace

class ItemFile::Reader final : public PartReader {
 public:
  Reader(const ItemFile& file, std::string at) : file_(file), text_(file.options_, file.disk_), from_(std::move(at)) {}

  Task<Result<FilePage>> next() override {
    Result<FilePage> page = co_await file_.worker_.call([this] { return read(); });
    if (page && page->last && at_.place.more) {
      file_.log_.warn("file.incomplete", {{"file", file_.options_.shown},
                                          {"because",
                                           "it says that its scan went on (NextToken): it does not hold "
                                           "the whole table"}});
    }
    co_return page;
  }

 private:
  // All on the worker.
  Result<FilePage> read() {
    if (failed_) return base::fail(*std::exchange(failed_, std::nullopt));
    if (!reader_) {
      if (Result<> begun = begin(); !begun) return base::fail(begun.error());
    }
    bool last = false;
    while (!last && !failed_ && reader_->ready() < kPageBytes) {
      const Result<std::string_view> piece = text_.next();
      if (!piece) {
        failed_ = piece.error();
        break;
      }
      last = piece->empty();
      const Result<> fed = last ? reader_->finish() : reader_->feed(*piece);
      if (!fed) failed_ = in_file(fed.error());
    }
    FilePage page = cut(reader_->take(), last && !failed_);
    // Nothing stands before the mistake: it is said at once.
    if (page.items == 0 && failed_) return base::fail(*std::exchange(failed_, std::nullopt));
    return page;
  }

  base::Error in_file(const base::Error& error) const {
    return {error.kind, file_.options_.shown + ": " + error.what + text_.place()};
  }

  Result<> begin() {
    if (from_.empty()) {
      reader_.emplace();
      return {};
    }
    Result<At> at = At::parse(from_);
    if (!at) return base::fail(at.error());
    at_ = *at;
    // The item before the place, to see that the file is the one it was. Its end is not far: an item's text is bounded.
    if (Result<> same = check_item(); !same) return same;
    reader_.emplace(at_.place);
    return {};
  }

  // Reads from the item before the place up to the place.
  Result<> check_item() {
    const base::Error other{ErrorKind::Corrupt,
                            fmt::format("{}: what stands before byte {}{} is not what was loaded from there before: "
                                        "bring the file back, or begin anew with another --state and target",
                                        file_.options_.shown, at_.place.offset, text_.place())};
    const bool any = at_.place.items > 0;
    const Result<bool> there = text_.go_to(any ? at_.item_offset : at_.place.offset);
    if (!there) return base::fail(there.error());
    if (!*there) return base::fail(other);
    if (!any) return {};
    item::DocumentPlace among_items;
    among_items.inside = item::DocumentPlace::Inside::Items;
    item::DocumentReader before(among_items);
    (void)before.feed(",").has_value();
    std::uint64_t read = at_.item_offset;
    bool sound = true;
    while (read < at_.place.offset) {
      const Result<std::string_view> piece = text_.next();
      if (!piece) return base::fail(piece.error());
      if (piece->empty()) return base::fail(other);
      const std::size_t wanted = std::min<std::uint64_t>(piece->size(), at_.place.offset - read);
      // Behind the item there may be the end of its document, which is none of this reader's.
      if (sound) sound = before.feed(piece->substr(0, wanted)).has_value();
      read += wanted;
      if (wanted < piece->size()) text_.put_back(piece->substr(wanted));
    }
    const item::DocumentPage page = before.take();
    if (page.items.empty() || hash_of_item(page[0]) != at_.item_hash) return base::fail(other);
    return {};
  }

  base::Error not_utf8(const item::DocumentPage& items, std::size_t index) const {
    const std::size_t at = items.items[index].from + item::find_invalid_utf8(items[index]);
    return {ErrorKind::Corrupt, fmt::format("{}: item {}: expected UTF-8 at byte {}{}", file_.options_.shown,
                                            items.places[index].items, items.offset_of(at), text_.place())};
  }

  // The items as writes, up to one that nobody can name.
  FilePage cut(const item::DocumentPage& items, bool last) {
    FilePage page;
    std::string key;
    for (std::size_t i = 0; i < items.items.size(); ++i) {
      const std::string_view text = items[i];
      key.clear();
      const Result<> decoded = item::append_key_of_json(file_.key_, text, key);
      if (!decoded && item::find_invalid_utf8(text) != std::string_view::npos) {
        failed_ = not_utf8(items, i);
        break;
      }
      if (!decoded && !item::append_key_of_unreadable(file_.key_, text, key)) {
        const std::uint64_t number = items.places[i].items;
        failed_ = base::Error{
            ErrorKind::Corrupt,
            fmt::format("{}: item {}, which begins at byte {}{}: {}; its key cannot be understood either, so it cannot "
                        "be set aside: mend the file or remove the item, then the same command goes on",
                        file_.options_.shown, number, items.offset_of(items.items[i].from), text_.place(),
                        decoded.error().what)};
        break;
      }
      page.writes.add(key, file_.version_, text, items.text);
      if (!decoded) page.writes.mark_unreadable(item::why_unreadable(text));
      page.bytes += text.size();
      ++page.items;
    }
    if (page.items > 0) {
      const std::size_t index = page.items - 1;
      at_ = {items.places[index], items.offset_of(items.items[index].from), hash_of_item(items[index])};
    }
    if (!failed_) at_.place = items.after;
    page.at = at_.to_text();
    page.last = last && !failed_;
    return page;
  }

  const ItemFile& file_;
  Text text_;
  std::string from_;
  At at_;
  std::optional<item::DocumentReader> reader_;
  std::optional<base::Error> failed_;
};

// What sample() has read, then the rest.
class ItemFile::Ahead final : public PartReader {
 public:
  Ahead(std::unique_ptr<Reader> reader, std::deque<Result<FilePage>> pages)
      : reader_(std::move(reader)), pages_(std::move(pages)) {}
  Task<Result<FilePage>> next() override {
    if (pages_.empty()) co_return co_await reader_->next();
    Result<FilePage> page = std::move(pages_.front());
    pages_.pop_front();
    co_return page;
  }

 private:
  std::unique_ptr<Reader> reader_;
  std::deque<Result<FilePage>> pages_;
};

ItemFile::ItemFile(Options options, base::Disk& disk, base::Worker& worker, base::Log& log)
    : options_(std::move(options)), disk_(disk), worker_(worker), log_(log) {}

ItemFile::~ItemFile() = default;

Task<Result<FilesKnown>> ItemFile::begin() {
  if (options_.forwards) co_return FilesKnown{};
  co_return co_await worker_.call([this]() -> Result<FilesKnown> {
    const Result<std::string> first = disk_.read(options_.name, 0, 1);
    if (!first) return base::fail(first.error());
    return FilesKnown{};
  });
}

void ItemFile::set(item::KeySchema key, item::Version version) {
  key_ = std::move(key);
  version_ = version;
}

std::unique_ptr<PartReader> ItemFile::open(std::size_t, std::string at) {
  if (at.empty() && begun_) return std::make_unique<Ahead>(std::move(begun_), std::exchange(ahead_, {}));
  return std::make_unique<Reader>(*this, std::move(at));
}

Task<Result<>> ItemFile::sample(schema::Sampler& sampler) {
  MOVEOUT_ASSERT(!begun_);
  begun_ = std::make_unique<Reader>(*this, "");
  std::size_t held = 0;
  for (bool more = true; more;) {
    ahead_.push_back(co_await begun_->next());
    const Result<FilePage>& page = ahead_.back();
    if (!page) break;
    // What cannot be understood says nothing about columns; it is set aside later.
    for (std::size_t i = 0; i < page->writes.size() && sampler.seen() < kSampleItems; ++i) {
      (void)sampler.see(page->writes[i].image).has_value();
    }
    held += page->bytes;
    more = !page->last && held < kSampleBytes && sampler.seen() < kSampleItems;
  }
  co_return Result<>();
}

}  // namespace moveout::backfill
