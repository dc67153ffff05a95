#include "item/value.h"

namespace moveout::item {

const char* tag_of(Type type) {
  switch (type) {
    case Type::S:
      return "S";
    case Type::N:
      return "N";
    case Type::B:
      return "B";
    case Type::Bool:
      return "BOOL";
    case Type::Null:
      return "NULL";
    case Type::L:
      return "L";
    case Type::M:
      return "M";
    case Type::SS:
      return "SS";
    case Type::NS:
      return "NS";
    case Type::BS:
      return "BS";
  }
  return "";
}

}  // namespace moveout::item
