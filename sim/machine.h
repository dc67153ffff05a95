// Machine: one computer's disk. A killed process loses nothing it wrote; a loss of power loses what was not synced, and
// may keep any part of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "sim/faults.h"

namespace moveout::sim {

inline constexpr std::size_t kSector = 512;

// What one open file handle holds of the locks; SQLite's levels 0 … 4.
struct FileLocks {
  std::map<const void*, int> level;                   // by handle
  std::vector<std::unique_ptr<char[]>> shared;        // the regions of the WAL index
  std::set<const void*> sharing;                      // handles that map them
  std::map<int, std::set<const void*>> shared_slots;  // of the WAL index
  std::map<int, const void*> exclusive_slots;
};

class File {
 public:
  const std::string& data() const { return data_; }
  void write(std::uint64_t offset, std::string_view bytes);
  void truncate(std::uint64_t size);
  void sync();
  // The device lied or failed: some of what was pending is durable, the rest never will be unless written again.
  void sync_failed(base::Rng& rng);
  void lose_power(base::Rng& rng, bool* torn);
  void flip_bit(base::Rng& rng);
  // Bytes as they are, for the oracle.
  void set(std::string bytes);
  // Whether its name is in the folder for good: the folder was synced since it was made.
  bool named() const { return named_; }
  void name() { named_ = true; }
  FileLocks locks;

 private:
  struct Pending {
    std::uint64_t offset;
    std::string bytes;
    bool truncate;
  };
  static void apply(std::string& image, const Pending& op);
  static bool apply_torn(std::string& image, const Pending& op, base::Rng& rng);

  std::string data_;
  std::string durable_;
  std::vector<Pending> pending_;
  bool named_ = false;
};

class Machine {
 public:
  Machine(Faults& faults, base::Rng rng) : faults_(faults), rng_(rng) {}

  std::shared_ptr<File> find(const std::string& name);
  std::shared_ptr<File> find_or_make(const std::string& name);
  // durably: the directory is synced too; otherwise a loss of power may bring it back.
  void remove(const std::string& name, bool durably);
  // The folder that holds `name` is synced: what was made there stays, what was removed is gone.
  void sync_folder(const std::string& name);
  std::vector<std::string> names(std::string_view prefix) const;
  void lose_power();
  // The handles are gone, with their locks: as the kernel does for a process that died.
  void release(const std::set<const void*>& handles);

  bool full() const { return full_; }
  void set_full(bool on) { full_ = on; }
  // A write under way: does the disk take it?
  bool takes() {
    if (full_) faults_.count(Fault::DiskFull);
    return !full_ && !faults_.strikes(Fault::DiskFull);
  }
  bool syncs() { return !faults_.strikes(Fault::FailedSync); }
  int next_number() { return ++number_; }
  base::Rng& rng() { return rng_; }
  Faults& faults() { return faults_; }

 private:
  Faults& faults_;
  base::Rng rng_;
  std::map<std::string, std::shared_ptr<File>> files_;
  std::map<std::string, std::shared_ptr<File>> removed_;  // not yet durably
  bool full_ = false;
  int number_ = 0;
};

}  // namespace moveout::sim
