// QuarantineFile: what was set aside, for people to read: one JSON object a line. The state's rows are the authority;
// the file follows them.
#pragma once

#include <string>
#include <vector>

#include "base/disk.h"
#include "base/error.h"
#include "base/task.h"
#include "base/worker.h"
#include "item/key.h"
#include "state/poison_store.h"

namespace moveout::state {

// One line: {"Table":…,"Reason":…,"Era":…,"Version":"band/t","Keys":{…},"Item":{…}}, Keys and Item in DynamoDB JSON; a
// delete has no Item. An item that nobody understands stands there as the source showed it.
std::string quarantine_line(std::string_view table, const item::KeySchema& schema, const PoisonRow& row);

// Single executor; the disk is used on the worker.
class QuarantineFile {
 public:
  QuarantineFile(base::Disk& disk, base::Worker& worker, std::string name);
  // Durable when it returns. Rows already there by an older version stay until the next rewrite.
  base::Task<base::Result<>> append(std::string lines);
  // The file holds these lines and nothing else; no lines: no file.
  base::Task<base::Result<>> rewrite(std::string lines);
  const std::string& name() const { return name_; }

 private:
  base::Disk& disk_;
  base::Worker& worker_;
  std::string name_;
};

}  // namespace moveout::state
