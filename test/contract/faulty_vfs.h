// FaultyVfs: the system's SQLite VFS whose writes and syncs can be made to fail.
#pragma once

#include <string>

namespace moveout::test {

// Registered as "faulty" while it lives; one at a time.
class FaultyVfs {
 public:
  FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;
  ~FaultyVfs();

  // The n-th write (or sync) from now on, counted from 1, fails with this SQLite code; and, while `lasting`, all after
  // it. A sync that fails has written nothing more down, but what was written may be read back all the same.
  void fail_write(int nth, int code, bool lasting = false);
  void fail_sync(int nth, int code, bool lasting = false);
  void heal();
  bool struck() const;

  static std::string name() { return "faulty"; }
};

}  // namespace moveout::test
