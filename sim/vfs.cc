#include "sim/vfs.h"

#include "base/error.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace moveout::sim {

struct Vfs::Impl {
  Impl(Machine& m, Process& p, const Scheduler& s) : machine(m), process(p), scheduler(s) {}
  Machine& machine;
  Process& process;
  const Scheduler& scheduler;
  std::string name;
  sqlite3_vfs vfs{};
  std::set<const void*> handles;
};

namespace {

// A file as one connection has it open.
struct Handle {
  sqlite3_file base;
  Vfs::Impl* owner;
  std::shared_ptr<File>* file;  // owned; SQLite gives raw memory
  std::string* sync_folder_of;  // owned; a log or journal: its first sync also syncs its folder
};

Handle& of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
Vfs::Impl& of(sqlite3_vfs* vfs) { return *static_cast<Vfs::Impl*>(vfs->pAppData); }

int close(sqlite3_file* raw) {
  Handle& handle = of(raw);
  handle.owner->machine.release({&handle});
  (*handle.file)->locks.level.erase(&handle);
  handle.owner->handles.erase(&handle);
  delete handle.file;
  delete handle.sync_folder_of;
  return SQLITE_OK;
}

int read(sqlite3_file* raw, void* out, int amount, sqlite3_int64 offset) {
  Handle& handle = of(raw);
  if (handle.owner->process.dead()) return SQLITE_IOERR_READ;
  const std::string& data = (*handle.file)->data();
  const auto size = static_cast<std::size_t>(amount);
  const auto at = static_cast<std::size_t>(offset);
  const std::size_t there = at >= data.size() ? 0 : std::min(size, data.size() - at);
  std::memcpy(out, data.data() + std::min(at, data.size()), there);
  std::memset(static_cast<char*>(out) + there, 0, size - there);
  return there == size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int write(sqlite3_file* raw, const void* bytes, int amount, sqlite3_int64 offset) {
  Handle& handle = of(raw);
  if (!handle.owner->process.step()) return SQLITE_IOERR_WRITE;
  if (!handle.owner->machine.takes()) return SQLITE_FULL;
  (*handle.file)
      ->write(static_cast<std::uint64_t>(offset), {static_cast<const char*>(bytes), static_cast<std::size_t>(amount)});
  return SQLITE_OK;
}

int truncate(sqlite3_file* raw, sqlite3_int64 size) {
  Handle& handle = of(raw);
  if (!handle.owner->process.step()) return SQLITE_IOERR_TRUNCATE;
  (*handle.file)->truncate(static_cast<std::uint64_t>(size));
  return SQLITE_OK;
}

int sync(sqlite3_file* raw, int) {
  Handle& handle = of(raw);
  if (!handle.owner->process.step()) return SQLITE_IOERR_FSYNC;
  if (!handle.owner->machine.syncs()) {
    (*handle.file)->sync_failed(handle.owner->machine.rng());
    return SQLITE_IOERR_FSYNC;
  }
  (*handle.file)->sync();
  if (handle.sync_folder_of != nullptr) {
    handle.owner->machine.sync_folder(*handle.sync_folder_of);
    delete std::exchange(handle.sync_folder_of, nullptr);
  }
  return SQLITE_OK;
}

int file_size(sqlite3_file* raw, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>((*of(raw).file)->data().size());
  return SQLITE_OK;
}

int lock(sqlite3_file* raw, int wanted) {
  Handle& handle = of(raw);
  if (handle.owner->process.dead()) return SQLITE_IOERR_LOCK;
  auto& level = (*handle.file)->locks.level;
  const int mine = level.contains(&handle) ? level[&handle] : SQLITE_LOCK_NONE;
  if (mine >= wanted) return SQLITE_OK;
  int others = SQLITE_LOCK_NONE;
  for (auto& [holder, theirs] : level) {
    if (holder != &handle) others = std::max(others, theirs);
  }
  if (wanted == SQLITE_LOCK_SHARED && others >= SQLITE_LOCK_PENDING) return SQLITE_BUSY;
  if (wanted == SQLITE_LOCK_RESERVED && others >= SQLITE_LOCK_RESERVED) return SQLITE_BUSY;
  if (wanted == SQLITE_LOCK_EXCLUSIVE) {
    if (others >= SQLITE_LOCK_RESERVED) return SQLITE_BUSY;
    if (others >= SQLITE_LOCK_SHARED) {
      level[&handle] = SQLITE_LOCK_PENDING;
      return SQLITE_BUSY;
    }
  }
  level[&handle] = wanted;
  return SQLITE_OK;
}

int unlock(sqlite3_file* raw, int wanted) {
  Handle& handle = of(raw);
  auto& level = (*handle.file)->locks.level;
  if (wanted == SQLITE_LOCK_NONE) {
    level.erase(&handle);
  } else if (level.contains(&handle)) {
    level[&handle] = std::min(level[&handle], wanted);
  }
  return SQLITE_OK;
}

int check_reserved(sqlite3_file* raw, int* out) {
  const auto& level = (*of(raw).file)->locks.level;
  *out = std::any_of(level.begin(), level.end(), [](auto& held) { return held.second >= SQLITE_LOCK_RESERVED; });
  return SQLITE_OK;
}

int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return 4096; }
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int shm_map(sqlite3_file* raw, int region, int size, int extend, void volatile** out) {
  Handle& handle = of(raw);
  if (handle.owner->process.dead()) return SQLITE_IOERR_SHMMAP;
  FileLocks& locks = (*handle.file)->locks;
  locks.sharing.insert(&handle);
  while (static_cast<int>(locks.shared.size()) <= region) {
    if (extend == 0) {
      *out = nullptr;
      return SQLITE_OK;
    }
    locks.shared.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
  }
  *out = locks.shared[static_cast<std::size_t>(region)].get();
  return SQLITE_OK;
}

int shm_lock(sqlite3_file* raw, int first, int count, int flags) {
  Handle& handle = of(raw);
  FileLocks& locks = (*handle.file)->locks;
  const bool shared = (flags & SQLITE_SHM_SHARED) != 0;
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    for (int slot = first; slot < first + count; ++slot) {
      if (shared) locks.shared_slots[slot].erase(&handle);
      if (auto held = locks.exclusive_slots.find(slot);
          held != locks.exclusive_slots.end() && held->second == &handle) {
        locks.exclusive_slots.erase(held);
      }
    }
    return SQLITE_OK;
  }
  if (handle.owner->process.dead()) return SQLITE_IOERR_SHMLOCK;
  for (int slot = first; slot < first + count; ++slot) {
    auto held = locks.exclusive_slots.find(slot);
    if (held != locks.exclusive_slots.end() && held->second != &handle) return SQLITE_BUSY;
    if (shared) continue;
    for (const void* holder : locks.shared_slots[slot]) {
      if (holder != &handle) return SQLITE_BUSY;
    }
  }
  for (int slot = first; slot < first + count; ++slot) {
    if (shared) {
      locks.shared_slots[slot].insert(&handle);
    } else {
      locks.exclusive_slots[slot] = &handle;
    }
  }
  return SQLITE_OK;
}

void shm_barrier(sqlite3_file*) {}

int shm_unmap(sqlite3_file* raw, int) {
  Handle& handle = of(raw);
  FileLocks& locks = (*handle.file)->locks;
  locks.sharing.erase(&handle);
  if (locks.sharing.empty()) locks.shared.clear();
  return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {
    2,         close,          read,         write,       truncate,        sync,    file_size, lock,
    unlock,    check_reserved, file_control, sector_size, characteristics, shm_map, shm_lock,  shm_barrier,
    shm_unmap, nullptr,        nullptr};

int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* raw, int flags, int* out_flags) {
  Vfs::Impl& impl = of(vfs);
  raw->pMethods = nullptr;
  if (!impl.process.step()) return SQLITE_IOERR;
  std::shared_ptr<File> file;
  if (name == nullptr) {
    file = std::make_shared<File>();
  } else {
    file = impl.machine.find(name);
    if (!file && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
    if (!file) file = impl.machine.find_or_make(name);
  }
  Handle& handle = of(raw);
  handle.owner = &impl;
  handle.file = new std::shared_ptr<File>(std::move(file));
  // As SQLite's own VFS on Unix does, whether the file was there or not.
  const bool log = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL)) != 0;
  handle.sync_folder_of = log && (flags & SQLITE_OPEN_CREATE) != 0 ? new std::string(name) : nullptr;
  raw->pMethods = &kMethods;
  impl.handles.insert(&handle);
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int remove(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  Vfs::Impl& impl = of(vfs);
  if (!impl.process.step()) return SQLITE_IOERR_DELETE;
  if (!impl.machine.find(name)) return SQLITE_IOERR_DELETE_NOENT;
  impl.machine.remove(name, sync_directory != 0);
  return SQLITE_OK;
}

int access(sqlite3_vfs* vfs, const char* name, int, int* out) {
  if (of(vfs).process.dead()) return SQLITE_IOERR_ACCESS;
  *out = of(vfs).machine.find(name) != nullptr;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs* vfs, int size, char* out) {
  for (int i = 0; i < size; ++i) out[i] = static_cast<char>(of(vfs).machine.rng().next());
  return size;
}

int sleep(sqlite3_vfs*, int us) { return us; }

int current_time_ms(sqlite3_vfs* vfs, sqlite3_int64* out) {
  // Julian days in ms: 1970-01-01 is day 2440587.5.
  *out = 210'866'760'000'000 + base::micros_of(true_time(of(vfs).scheduler)) / 1000;
  return SQLITE_OK;
}

int current_time(sqlite3_vfs* vfs, double* out) {
  sqlite3_int64 ms = 0;
  current_time_ms(vfs, &ms);
  *out = static_cast<double>(ms) / 86'400'000.0;
  return SQLITE_OK;
}

int last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

Vfs::Vfs(Machine& machine, Process& process, const Scheduler& scheduler)
    : impl_(std::make_unique<Impl>(machine, process, scheduler)) {
  impl_->name = fmt::format("sim-{}-{}", process.name(), machine.next_number());
  sqlite3_vfs& vfs = impl_->vfs;
  vfs.iVersion = 2;
  vfs.szOsFile = sizeof(Handle);
  vfs.mxPathname = 512;
  vfs.zName = impl_->name.c_str();
  vfs.pAppData = impl_.get();
  vfs.xOpen = open;
  vfs.xDelete = remove;
  vfs.xAccess = access;
  vfs.xFullPathname = full_path;
  vfs.xRandomness = randomness;
  vfs.xSleep = sleep;
  vfs.xCurrentTime = current_time;
  vfs.xCurrentTimeInt64 = current_time_ms;
  vfs.xGetLastError = last_error;
  MOVEOUT_ASSERT(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK);
}

Vfs::~Vfs() {
  MOVEOUT_ASSERT(impl_->handles.empty());
  sqlite3_vfs_unregister(&impl_->vfs);
}

const std::string& Vfs::name() const { return impl_->name; }

void Vfs::release() { impl_->machine.release(impl_->handles); }

}  // namespace moveout::sim
