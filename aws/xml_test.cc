#include "aws/xml.h"

#include <doctest/doctest.h>

#include <string>

using namespace moveout;
using namespace moveout::aws;

TEST_CASE("elements, attributes, prefixes, entities and blanks are read") {
  const auto root = parse_xml(
      "\xEF\xBB\xBF<?xml version=\"1.0\" encoding='UTF-8'?>\n<a xmlns='x' b = \"c>d\">\n <n:k>&lt;1 &amp; 2&gt;</n:k>"
      "<k>second</k><e/><u>&#x20AC;&#65;&#128512;</u></a >\n");
  REQUIRE(root.has_value());
  CHECK(root->name == "a");
  REQUIRE(root->children.size() == 4);
  CHECK(root->text_of("k") == "<1 & 2>");
  CHECK(root->children[1].text == "second");
  CHECK(root->child("e") != nullptr);
  CHECK(root->text_of("e").empty());
  CHECK(root->text_of("u") == "€A😀");
  CHECK(root->child("absent") == nullptr);
}

TEST_CASE("what is not one plain well-formed element is refused and not quoted") {
  for (const char* text : {"", "hunter2", "<a>", "<a></b>", "<a></a", "<a><b></a></b>", "<a></a><b></b>", "<a/>hunter2",
                           "<a b></a>", "<a><!-- hunter2 --></a>", "<a><![CDATA[hunter2]]></a>", "<a><?p?></a>",
                           "< a></a>", "<html><body><br>hunter2</body></html>", "<?xml <a/>"}) {
    CAPTURE(text);
    const auto root = parse_xml(text);
    REQUIRE(!root.has_value());
    CHECK(root.error().kind == base::ErrorKind::Corrupt);
    CHECK(root.error().what.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("depth is bounded, and every cut of a document is refused") {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "<a>";
  CHECK(!parse_xml(deep).has_value());
  const std::string whole = "<r x='y'><a>&amp;b</a><c/></r>";
  CHECK(parse_xml(whole).has_value());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(!parse_xml(std::string_view(whole).substr(0, size)).has_value());
  }
}
