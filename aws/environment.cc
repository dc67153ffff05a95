#include "aws/environment.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

extern char** environ;

namespace moveout::aws {
namespace {

base::Result<std::string> read_whole_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return base::fail(base::ErrorKind::NotFound, path + " does not exist");
    return base::fail(base::ErrorKind::Usage, path + " cannot be opened: " + std::strerror(errno));
  }
  std::string text;
  std::array<char, 4096> piece;
  while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), file.get())) text.append(piece.data(), got);
  if (std::ferror(file.get()) != 0) {
    return base::fail(base::ErrorKind::Usage, path + " cannot be read: " + std::strerror(errno));
  }
  return text;
}

// Through a file beside it, which mkstemp makes for this user only.
base::Result<> replace_file(const std::string& path, const std::string& text) {
  std::string beside = path + ".XXXXXX";
  const auto refuse = [&](const char* why) {
    return base::fail(base::ErrorKind::Usage, path + " cannot be written: " + why);
  };
  const int fd = ::mkstemp(beside.data());
  if (fd < 0) return refuse(std::strerror(errno));
  std::FILE* file = ::fdopen(fd, "wb");
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = std::fclose(file) == 0;
  if (written && closed && std::rename(beside.c_str(), path.c_str()) == 0) return {};
  const int why = errno;
  std::remove(beside.c_str());
  return refuse(std::strerror(why));
}

base::Task<base::Result<std::string>> run_on(base::Worker& worker, base::Clock& clock, std::vector<std::string> argv,
                                             base::Millis time_limit) {
  co_return co_await worker.call([&] { return run_program(argv, time_limit, clock); });
}

}  // namespace

std::string Environment::get(const std::string& name) const {
  const auto found = vars.find(name);
  return found == vars.end() ? std::string() : found->second;
}

bool Environment::flag(const std::string& name) const {
  std::string text = get(name);
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text == "true";
}

Environment system_environment(base::Worker& worker, base::Clock& clock) {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    environment.vars.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  environment.read_file = read_whole_file;
  environment.write_file = replace_file;
  environment.run = [&worker, &clock](std::vector<std::string> argv, base::Millis time_limit) {
    return run_on(worker, clock, std::move(argv), time_limit);
  };
  return environment;
}

base::Result<std::vector<std::string>> split_command(std::string_view line) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == '\\' && quote != '\'' && i + 1 < line.size() &&
               (quote == 0 || line[i + 1] == '"' || line[i + 1] == '\\')) {
      words.back() += line[++i];
    } else {
      words.back() += c;
    }
  }
  if (quote != 0) return base::fail(base::ErrorKind::Usage, "a quote is not closed");
  if (words.empty()) return base::fail(base::ErrorKind::Usage, "the command is empty");
  return words;
}

}  // namespace moveout::aws
