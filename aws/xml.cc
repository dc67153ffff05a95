#include "aws/xml.h"

#include <pugixml.hpp>

namespace moveout::aws {
namespace {

constexpr int kDepthMax = 16;
// Whatever is more than elements and text becomes a node, so that it can be refused.
constexpr unsigned kParse = pugi::parse_default | pugi::parse_fragment | pugi::parse_comments | pugi::parse_pi |
                            pugi::parse_doctype | pugi::parse_declaration;

std::string plain_name(std::string_view name) { return std::string(name.substr(name.rfind(':') + 1)); }

bool take(const pugi::xml_node& node, XmlElement& into, int depth) {
  if (depth > kDepthMax) return false;
  into.name = plain_name(node.name());
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() == pugi::node_pcdata) {
      into.text += child.value();
    } else if (child.type() != pugi::node_element || !take(child, into.children.emplace_back(), depth + 1)) {
      return false;
    }
  }
  return true;
}

bool take_document(const pugi::xml_document& document, XmlElement& root) {
  bool found = false;
  for (const pugi::xml_node& node : document.children()) {
    if (node.type() == pugi::node_declaration && !found && node == document.first_child()) continue;
    if (node.type() != pugi::node_element || found || !take(node, root, 1)) return false;
    found = true;
  }
  return found;
}

}  // namespace

const XmlElement* XmlElement::child(std::string_view wanted) const {
  for (const XmlElement& each : children) {
    if (each.name == wanted) return &each;
  }
  return nullptr;
}

std::string XmlElement::text_of(std::string_view wanted) const {
  const XmlElement* found = child(wanted);
  return found == nullptr ? std::string() : found->text;
}

base::Result<XmlElement> parse_xml(std::string_view text) {
  XmlElement root;
  pugi::xml_document document;
  const auto parsed = document.load_buffer(text.data(), text.size(), kParse, pugi::encoding_utf8);
  if (!parsed || !take_document(document, root)) {
    return base::fail(base::ErrorKind::Corrupt, "not the XML that was expected");
  }
  return root;
}

}  // namespace moveout::aws
