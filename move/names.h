// Names: of a table's files and checkpoints.
#pragma once

#include <map>
#include <string>

namespace moveout::move {

// What a table's files are called. Table names are [a-zA-Z0-9_.-]{3,255}; an ARN's ':' and '/' must not become folders,
// and a file's name has 255 bytes at most, with what is put around it.
std::string file_name(const std::string& table);

// The checkpoints of one era that begin with `kind` ("segment/", "shard/", "file/"), without the era's prefix.
std::map<std::string, std::string> checkpoints_of(const std::map<std::string, std::string>& all, const std::string& era,
                                                  const std::string& kind);

}  // namespace moveout::move
