// Xml: what STS and S3 answer in, parsed by pugixml. Elements and text only; no DOCTYPE, comments, CDATA or processing
// instructions, so that nothing can expand. An entity of another name than XML's own stays as it is written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace moveout::aws {

struct XmlElement {
  std::string name;  // without its prefix
  std::string text;  // of this element itself, entities resolved
  std::vector<XmlElement> children;

  // The first child of that name, or null.
  const XmlElement* child(std::string_view wanted) const;
  // child(…)->text; empty when there is none.
  std::string text_of(std::string_view wanted) const;
};

// The root. Corrupt, quoting nothing, for anything else than one well-formed element after an optional <?xml …?>, and
// for more than 16 levels.
base::Result<XmlElement> parse_xml(std::string_view text);

}  // namespace moveout::aws
