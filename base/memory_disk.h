// MemoryDisk: base::Disk in memory, stricter than a real one: crash() keeps only what sync() promised.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/rng.h"

namespace moveout::base {

class MemoryDisk final : public Disk {
 public:
  enum class Op { Append, Read, Size, Truncate, Sync, Remove, List };
  // Asked before each operation; an error makes it fail. A failed append may leave a part (given by `torn`), and what a
  // failed sync leaves is decided by the next crash.
  using Fault = std::function<std::optional<Error>(Op op, const std::string& name)>;
  void set_fault(Fault fault) { fault_ = std::move(fault); }
  // Of what a failing append still writes: this many bytes.
  void set_torn(std::size_t bytes) { torn_ = bytes; }

  // Everything that was not synced is gone.
  void crash() {
    for (auto it = files_.begin(); it != files_.end();) {
      if (it->second.durable) {
        it->second.now = *it->second.durable;
        it->second.present = true;
        ++it;
      } else {
        it = files_.erase(it);
      }
    }
  }
  // Anything that may be left after a power cut: of each unsynced file the old state, the new one, or the old one with
  // a part of what was appended and sometimes garbage after it; unsynced removals and creations come to pass or not.
  void crash(Rng& rng) {
    for (auto it = files_.begin(); it != files_.end();) {
      File& file = it->second;
      if (file.durable && file.present && *file.durable == file.now) {
        ++it;
        continue;
      }
      const std::string old = file.durable.value_or("");
      if (rng.chance(3) || (!file.present && rng.chance(2))) {
        if (!file.durable) {
          it = files_.erase(it);
          continue;
        }
        file.now = old;
      } else if (!file.present) {
        it = files_.erase(it);
        continue;
      } else if (file.now.size() > old.size() && file.now.compare(0, old.size(), old) == 0) {
        file.now.resize(old.size() + rng.below(file.now.size() - old.size() + 1));
        if (rng.chance(3)) {
          for (std::uint64_t garbage = rng.below(64); garbage > 0; --garbage) {
            file.now += static_cast<char>(rng.below(256));
          }
        }
      }
      file.durable = file.now;
      file.present = true;
      ++it;
    }
  }

  std::uint64_t operations() const { return operations_; }
  // Changes a byte where it lies, as a bad disk does.
  void flip(const std::string& name, std::uint64_t offset) {
    File& file = files_.at(name);
    file.now.at(offset) = static_cast<char>(file.now.at(offset) ^ 0x40);
    if (file.durable && offset < file.durable->size()) (*file.durable)[offset] ^= 0x40;
  }

  Result<> append(const std::string& name, std::string_view bytes) override {
    if (auto error = fault(Op::Append, name)) {
      if (torn_ > 0) live(name).now += bytes.substr(0, std::min(torn_, bytes.size()));
      return fail(*error);
    }
    live(name).now += bytes;
    return {};
  }
  Result<std::string> read(const std::string& name, std::uint64_t offset, std::size_t size) override {
    if (auto error = fault(Op::Read, name)) return fail(*error);
    const auto it = files_.find(name);
    if (it == files_.end() || !it->second.present) return fail(ErrorKind::NotFound, "no file " + name);
    if (offset >= it->second.now.size()) return std::string();
    return it->second.now.substr(offset, size);
  }
  Result<std::uint64_t> size(const std::string& name) override {
    if (auto error = fault(Op::Size, name)) return fail(*error);
    const auto it = files_.find(name);
    return it == files_.end() || !it->second.present ? 0 : it->second.now.size();
  }
  Result<> truncate(const std::string& name, std::uint64_t size) override {
    if (auto error = fault(Op::Truncate, name)) return fail(*error);
    const auto it = files_.find(name);
    if (it == files_.end() || !it->second.present) return fail(ErrorKind::NotFound, "no file " + name);
    MOVEOUT_ASSERT(size <= it->second.now.size());
    it->second.now.resize(size);
    return {};
  }
  Result<> sync(const std::string& name) override {
    if (auto error = fault(Op::Sync, name)) return fail(*error);
    const auto it = files_.find(name);
    if (it == files_.end() || !it->second.present) return fail(ErrorKind::NotFound, "no file " + name);
    it->second.durable = it->second.now;
    return {};
  }
  Result<> remove(const std::string& name) override {
    if (auto error = fault(Op::Remove, name)) return fail(*error);
    const auto it = files_.find(name);
    if (it == files_.end()) return {};
    it->second.present = false;
    it->second.now.clear();
    if (!it->second.durable) files_.erase(it);
    return {};
  }
  Result<std::vector<std::string>> list() override {
    if (auto error = fault(Op::List, "")) return fail(*error);
    std::vector<std::string> names;
    for (const auto& [name, file] : files_) {
      if (file.present) names.push_back(name);
    }
    return names;
  }

 private:
  struct File {
    std::string now;
    std::optional<std::string> durable;  // nothing: a crash leaves no file
    bool present = true;
  };
  File& live(const std::string& name) {
    File& file = files_[name];
    file.present = true;
    return file;
  }
  std::optional<Error> fault(Op op, const std::string& name) {
    ++operations_;
    return fault_ ? fault_(op, name) : std::nullopt;
  }

  std::map<std::string, File> files_;
  Fault fault_;
  std::size_t torn_ = 0;
  std::uint64_t operations_ = 0;
};

}  // namespace moveout::base
