#include "aws/profile.h"

namespace moveout::aws {
namespace {

struct File {
  std::string path;  // empty: no home folder to look in
  Ini ini;
  bool there = false;
};

std::string path_of(const Environment& environment, const std::string& variable, const std::string& under_home) {
  std::string path = environment.get(variable);
  const std::string home = environment.get("HOME");
  if (path.empty()) return home.empty() ? std::string() : home + under_home;
  if (path.starts_with("~/") && !home.empty()) path = home + path.substr(1);
  return path;
}

base::Result<File> load(const Environment& environment, std::string path) {
  File file;
  file.path = std::move(path);
  if (file.path.empty()) return file;
  const base::Result<std::string> text = environment.read_file(file.path);
  if (!text) {
    if (text.error().kind == base::ErrorKind::NotFound) return file;
    return base::fail(base::ErrorKind::Usage, text.error().what);
  }
  base::Result<Ini> ini = parse_ini(*text, file.path);
  if (!ini) return base::fail(ini.error());
  file.ini = std::move(*ini);
  file.there = true;
  return file;
}

std::string shown(const File& file, const std::string& variable) {
  if (file.path.empty()) return "no file (neither " + variable + " nor HOME is set)";
  return file.path + (file.there ? "" : " (does not exist)");
}

// In the config file all but the default carry the word; "profile default" goes before "default".
const Section* config_section(const Ini& ini, const std::string& name) {
  auto found = ini.find("profile " + name);
  if (found == ini.end() && name == "default") found = ini.find(name);
  return found == ini.end() ? nullptr : &found->second;
}

std::string names_in(const Ini& credentials, const Ini& config) {
  std::map<std::string, bool> names;
  for (const auto& [name, section] : credentials) names.emplace(name, true);
  for (const auto& [name, section] : config) {
    if (name == "default") names.emplace(name, true);
    if (name.starts_with("profile ")) names.emplace(name.substr(8), true);
  }
  std::string out;
  for (const auto& [name, there] : names) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none" : out;
}

}  // namespace

std::string Profile::get(const std::string& setting) const {
  for (const Section* section : {&config, &credentials}) {
    const auto found = section->find(setting);
    if (found != section->end() && !found->second.empty()) return found->second;
  }
  return {};
}

base::Result<Profile> load_profile(const Environment& environment, const std::string& chosen, std::string asked_by) {
  Profile profile;
  if (!chosen.empty()) {
    profile.name = chosen;
    profile.chosen = true;
  } else {
    asked_by.clear();
    for (const char* variable : {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}) {
      if (!asked_by.empty() || environment.get(variable).empty()) continue;
      profile.name = environment.get(variable);
      asked_by = std::string("asked for by ") + variable;
    }
  }
  const auto credentials = load(environment, path_of(environment, "AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials"));
  if (!credentials) return base::fail(credentials.error());
  const auto config = load(environment, path_of(environment, "AWS_CONFIG_FILE", "/.aws/config"));
  if (!config) return base::fail(config.error());
  profile.looked_at = {shown(*credentials, "AWS_SHARED_CREDENTIALS_FILE"), shown(*config, "AWS_CONFIG_FILE")};

  const auto in_credentials = credentials->ini.find(profile.name);
  const Section* in_config = config_section(config->ini, profile.name);
  if (in_credentials != credentials->ini.end()) profile.credentials = in_credentials->second;
  if (in_config != nullptr) profile.config = *in_config;
  if (!asked_by.empty() && in_credentials == credentials->ini.end() && in_config == nullptr) {
    return base::fail(base::ErrorKind::Usage, "profile \"" + profile.name + "\", " + asked_by + ", is neither in " +
                                                  profile.looked_at[0] + " nor in " + profile.looked_at[1] +
                                                  "; profiles there: " + names_in(credentials->ini, config->ini));
  }
  if (const std::string services = profile.get("services"); !services.empty()) {
    const auto found = config->ini.find("services " + services);
    if (found == config->ini.end()) {
      return base::fail(base::ErrorKind::Usage, config->path + ": profile \"" + profile.name + "\" names services \"" +
                                                    services + "\", and there is no [services " + services + "]");
    }
    profile.services = found->second;
  }
  const auto session = config->ini.find("sso-session " + profile.get("sso_session"));
  if (session != config->ini.end()) profile.sso_session = session->second;
  return profile;
}

}  // namespace moveout::aws
