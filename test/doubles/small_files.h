// SmallFiles: a FileSource of items in memory, cut into pages of a few, for unit tests.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backfill/file_source.h"
#include "item/json.h"

namespace moveout::test {

class SmallFiles final : public backfill::FileSource {
 public:
  std::vector<std::vector<item::Item>> files;
  std::size_t page_items = 3;
  // Behind so many items of a part its text cannot be understood.
  std::optional<std::pair<std::size_t, std::size_t>> broken;
  std::size_t opened = 0;

  base::Task<base::Result<backfill::FilesKnown>> begin() override { co_return backfill::FilesKnown{}; }
  void set(item::KeySchema key, item::Version version) override {
    key_ = std::move(key);
    version_ = version;
  }
  std::size_t parts() const override { return files.size(); }
  std::string part_name(std::size_t part) const override { return "file " + std::to_string(part); }
  std::unique_ptr<backfill::PartReader> open(std::size_t part, std::string at) override {
    ++opened;
    return std::make_unique<Reader>(*this, part, at.empty() ? 0 : std::stoul(at));
  }
  base::Task<base::Result<>> sample(schema::Sampler&) override { co_return base::Result<>(); }

 private:
  class Reader final : public backfill::PartReader {
   public:
    Reader(SmallFiles& files, std::size_t part, std::size_t at) : files_(files), part_(part), at_(at) {}
    base::Task<base::Result<backfill::FilePage>> next() override {
      const std::vector<item::Item>& items = files_.files[part_];
      std::size_t end = std::min(items.size(), at_ + files_.page_items);
      if (files_.broken && files_.broken->first == part_) end = std::min(end, files_.broken->second);
      if (at_ == end && end < items.size()) co_return base::fail(base::ErrorKind::Corrupt, "expected an item");
      backfill::FilePage page;
      for (; at_ < end; ++at_) {
        const std::string text = item::to_json(items[at_]);
        page.writes.add_copy(item::Key::of(files_.key_, items[at_]).encoded(), files_.version_, text);
        page.bytes += text.size();
        ++page.items;
      }
      page.last = at_ == items.size();
      page.at = std::to_string(at_);
      co_return page;
    }

   private:
    SmallFiles& files_;
    std::size_t part_;
    std::size_t at_;
  };

  item::KeySchema key_;
  item::Version version_;
};

}  // namespace moveout::test
