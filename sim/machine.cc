#include "sim/machine.h"

#include <algorithm>
#include <cstring>

namespace moveout::sim {

void File::apply(std::string& image, const Pending& op) {
  if (op.truncate) {
    image.resize(op.offset);
    return;
  }
  if (image.size() < op.offset + op.bytes.size()) image.resize(op.offset + op.bytes.size());
  std::memcpy(image.data() + op.offset, op.bytes.data(), op.bytes.size());
}

// Each sector of the write is there or is not. True when only a part is.
bool File::apply_torn(std::string& image, const Pending& op, base::Rng& rng) {
  if (op.truncate) {
    if (rng.chance(2)) apply(image, op);
    return false;
  }
  std::size_t kept = 0;
  for (std::size_t at = 0; at < op.bytes.size();) {
    const std::size_t size = std::min(kSector - (op.offset + at) % kSector, op.bytes.size() - at);
    if (rng.chance(2)) {
      apply(image, {op.offset + at, op.bytes.substr(at, size), false});
      kept += size;
    }
    at += size;
  }
  return kept != 0 && kept != op.bytes.size();
}

void File::write(std::uint64_t offset, std::string_view bytes) {
  pending_.push_back({offset, std::string(bytes), false});
  apply(data_, pending_.back());
}

void File::truncate(std::uint64_t size) {
  if (size >= data_.size()) return;
  pending_.push_back({size, "", true});
  apply(data_, pending_.back());
}

void File::sync() {
  for (const Pending& op : pending_) apply(durable_, op);
  pending_.clear();
}

void File::sync_failed(base::Rng& rng) {
  for (const Pending& op : pending_) apply_torn(durable_, op, rng);
  pending_.clear();
}

void File::lose_power(base::Rng& rng, bool* torn) {
  for (const Pending& op : pending_) *torn |= apply_torn(durable_, op, rng);
  pending_.clear();
  data_ = durable_;
}

void File::flip_bit(base::Rng& rng) {
  if (data_.empty()) return;
  const std::uint64_t bit = rng.below(data_.size() * 8);
  const auto mask = static_cast<char>(1 << (bit % 8));
  data_[bit / 8] ^= mask;
  if (bit / 8 < durable_.size()) durable_[bit / 8] ^= mask;
}

void File::set(std::string bytes) { data_ = durable_ = std::move(bytes); }

std::shared_ptr<File> Machine::find(const std::string& name) {
  auto at = files_.find(name);
  return at == files_.end() ? nullptr : at->second;
}

std::shared_ptr<File> Machine::find_or_make(const std::string& name) {
  std::shared_ptr<File>& file = files_[name];
  if (!file) file = std::make_shared<File>();
  return file;
}

void Machine::remove(const std::string& name, bool durably) {
  auto at = files_.find(name);
  if (at == files_.end()) return;
  if (at->second->named()) removed_[name] = at->second;
  files_.erase(at);
  if (durably) sync_folder(name);
}

void Machine::sync_folder(const std::string& name) {
  const std::string folder = name.substr(0, name.rfind('/') + 1);
  const auto here = [&](const std::string& other) { return other.substr(0, other.rfind('/') + 1) == folder; };
  for (auto& [other, file] : files_) {
    if (here(other)) file->name();
  }
  std::erase_if(removed_, [&](auto& entry) { return here(entry.first); });
}

std::vector<std::string> Machine::names(std::string_view prefix) const {
  std::vector<std::string> names;
  for (auto& [name, file] : files_) {
    if (name.starts_with(prefix)) names.push_back(name);
  }
  return names;
}

void Machine::lose_power() {
  bool torn = false;
  for (auto& [name, file] : removed_) {
    if (!files_.contains(name) && rng_.chance(2)) files_[name] = file;
  }
  removed_.clear();
  std::erase_if(files_, [&](auto& entry) { return !entry.second->named() && rng_.chance(2); });
  for (auto& [name, file] : files_) file->lose_power(rng_, &torn);
  if (torn) faults_.count(Fault::TornWrite);
}

void Machine::release(const std::set<const void*>& handles) {
  const auto from = [&](std::map<std::string, std::shared_ptr<File>>& files) {
    for (auto& [name, file] : files) {
      FileLocks& locks = file->locks;
      for (const void* handle : handles) {
        locks.level.erase(handle);
        locks.sharing.erase(handle);
        for (auto& [slot, holders] : locks.shared_slots) holders.erase(handle);
        std::erase_if(locks.exclusive_slots, [&](auto& held) { return held.second == handle; });
      }
      if (locks.sharing.empty()) locks.shared.clear();
    }
  };
  from(files_);
  from(removed_);
}

}  // namespace moveout::sim
