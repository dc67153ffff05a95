// A probe: a program that tests in another language talk to, one JSON object a line on stdin, one on stdout.
#pragma once

#include <iostream>
#include <string>

#include "base/json.h"

namespace moveout::test {

// `answer`: json::object → json::object. Until stdin ends.
template <class Answer>
int answer_lines(Answer answer) {
  for (std::string line; std::getline(std::cin, line);) {
    const auto parsed = base::parse_json(line);
    MOVEOUT_ASSERT(parsed);
    std::cout << base::json::serialize(answer(parsed->as_object())) << std::endl;
  }
  return 0;
}

}  // namespace moveout::test
