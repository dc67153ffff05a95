#include "test/contract/faulty_vfs.h"

#include <sqlite3.h>

#include <cstring>
#include <new>

namespace moveout::test {
namespace {

struct Fault {
  int left = 0;  // calls until it strikes; 0: never
  int code = 0;
  bool lasting = false;
  bool struck = false;

  int strike() {
    if (struck && lasting) return code;
    if (left == 0 || --left > 0) return SQLITE_OK;
    struck = true;
    return code;
  }
};

Fault write_fault, sync_fault;  // SQLite's VFS is one for the process

struct File {
  sqlite3_file base;
  sqlite3_file* real;
};

sqlite3_file* real_of(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real; }
const sqlite3_io_methods& of(sqlite3_file* file) { return *real_of(file)->pMethods; }

int x_close(sqlite3_file* file) {
  const int code = of(file).xClose(real_of(file));
  sqlite3_free(real_of(file));
  return code;
}
int x_read(sqlite3_file* file, void* out, int size, sqlite3_int64 at) {
  return of(file).xRead(real_of(file), out, size, at);
}
int x_write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
  if (const int code = write_fault.strike(); code != SQLITE_OK) return code;
  return of(file).xWrite(real_of(file), bytes, size, at);
}
int x_truncate(sqlite3_file* file, sqlite3_int64 size) { return of(file).xTruncate(real_of(file), size); }
int x_sync(sqlite3_file* file, int flags) {
  if (const int code = sync_fault.strike(); code != SQLITE_OK) return code;
  return of(file).xSync(real_of(file), flags);
}
int x_size(sqlite3_file* file, sqlite3_int64* out) { return of(file).xFileSize(real_of(file), out); }
int x_lock(sqlite3_file* file, int level) { return of(file).xLock(real_of(file), level); }
int x_unlock(sqlite3_file* file, int level) { return of(file).xUnlock(real_of(file), level); }
int x_reserved(sqlite3_file* file, int* out) { return of(file).xCheckReservedLock(real_of(file), out); }
int x_control(sqlite3_file* file, int what, void* with) { return of(file).xFileControl(real_of(file), what, with); }
int x_sector(sqlite3_file* file) { return of(file).xSectorSize(real_of(file)); }
int x_traits(sqlite3_file* file) { return of(file).xDeviceCharacteristics(real_of(file)); }
int x_map(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
  return of(file).xShmMap(real_of(file), page, size, extend, out);
}
int x_shm_lock(sqlite3_file* file, int at, int count, int flags) {
  return of(file).xShmLock(real_of(file), at, count, flags);
}
void x_barrier(sqlite3_file* file) { of(file).xShmBarrier(real_of(file)); }
int x_unmap(sqlite3_file* file, int forget) { return of(file).xShmUnmap(real_of(file), forget); }

const sqlite3_io_methods kMethods{
    .iVersion = 2,
    .xClose = x_close,
    .xRead = x_read,
    .xWrite = x_write,
    .xTruncate = x_truncate,
    .xSync = x_sync,
    .xFileSize = x_size,
    .xLock = x_lock,
    .xUnlock = x_unlock,
    .xCheckReservedLock = x_reserved,
    .xFileControl = x_control,
    .xSectorSize = x_sector,
    .xDeviceCharacteristics = x_traits,
    .xShmMap = x_map,
    .xShmLock = x_shm_lock,
    .xShmBarrier = x_barrier,
    .xShmUnmap = x_unmap,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

sqlite3_vfs faulty;

int x_open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* real_vfs = static_cast<sqlite3_vfs*>(vfs->pAppData);
  auto* mine = reinterpret_cast<File*>(file);
  mine->base.pMethods = nullptr;
  mine->real = static_cast<sqlite3_file*>(sqlite3_malloc(real_vfs->szOsFile));
  if (mine->real == nullptr) return SQLITE_NOMEM;
  std::memset(mine->real, 0, static_cast<std::size_t>(real_vfs->szOsFile));
  const int code = real_vfs->xOpen(real_vfs, name, mine->real, flags, out_flags);
  if (code != SQLITE_OK) {
    sqlite3_free(mine->real);
    return code;
  }
  mine->base.pMethods = &kMethods;
  return SQLITE_OK;
}

}  // namespace

FaultyVfs::FaultyVfs() {
  heal();
  sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
  faulty = *system;
  faulty.pNext = nullptr;
  faulty.zName = "faulty";
  faulty.szOsFile = sizeof(File);
  faulty.pAppData = system;
  faulty.xOpen = x_open;
  sqlite3_vfs_register(&faulty, 0);
}

FaultyVfs::~FaultyVfs() {
  heal();
  sqlite3_vfs_unregister(&faulty);
}

void FaultyVfs::fail_write(int nth, int code, bool lasting) { write_fault = {nth, code, lasting, false}; }
void FaultyVfs::fail_sync(int nth, int code, bool lasting) { sync_fault = {nth, code, lasting, false}; }
void FaultyVfs::heal() { write_fault = sync_fault = Fault(); }
bool FaultyVfs::struck() const { return write_fault.struck || sync_fault.struck; }

}  // namespace moveout::test
