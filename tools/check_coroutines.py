#!/usr/bin/env python3
"""The rules of coroutines that a reader can miss: a lazily started frame outlives what its caller had on the stack.

  - no parameter of a function that returns Task<…> is a view, an iterator, an rvalue reference or a `const std::string&`
  - no lambda that is a coroutine captures anything (its captures die with the lambda object), outside of tests

A line whose comment says `// outlives: why` is allowed.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "checks"))
from check_layers import line_of, without_comments  # noqa: E402
from tree import files, finish, main_root, read  # noqa: E402

RETURNS_TASK = re.compile(r"\b(?:base::)?Task<")
DANGLES = re.compile(r"std::(basic_)?string_view\b|std::span<|::(const_)?iterator\b|std::initializer_list<|&&"
                     r"|\bconst\s+std::string\s*&|\bstd::string\s+const\s*&")
LAMBDA = re.compile(r"\[([^\[\]]*)\]\s*(?=\()")


def closing(text, start, opens, closes):
    """The position after the bracket that closes the one at `start`; len(text) if none does."""
    depth = 0
    for position in range(start, len(text)):
        if text[position] == opens:
            depth += 1
        elif text[position] == closes:
            depth -= 1
            if depth == 0:
                return position + 1
    return len(text)


def parameters(code):
    """(position, parameter list) of every function declared or defined to return Task<…>."""
    for found in RETURNS_TASK.finditer(code):
        after = closing(code, found.end() - 1, "<", ">")
        name = re.compile(r"\s+(?:[\w:]+(?:<[^<>()]*>)?::)?\w+\s*\(").match(code, after)
        if name:
            start = name.end() - 1
            yield found.start(), code[start + 1:closing(code, start, "(", ")") - 1]


def capturing_lambdas(code):
    """(position, captures) of every lambda with captures whose own body awaits or returns as a coroutine does."""
    for found in LAMBDA.finditer(code):
        if not found.group(1).strip() or re.search(r"[\w\])]\s*$", code[max(0, found.start() - 20):found.start()]):
            continue  # no capture, or an index
        after = closing(code, found.end(), "(", ")")
        body = re.compile(r"[^;{}()]*\{").match(code, after)
        if not body:
            continue
        inside = code[body.end():closing(code, body.end() - 1, "{", "}")]
        own = drop_inner_lambdas(inside)
        if re.search(r"\bco_(await|return|yield)\b", own):
            yield found.start(), found.group(1).strip()


def drop_inner_lambdas(text):
    for found in LAMBDA.finditer(text):
        after = closing(text, found.end(), "(", ")")
        body = re.compile(r"[^;{}()]*\{").match(text, after)
        if body:
            end = closing(text, body.end() - 1, "{", "}")
            return text[:found.start()] + drop_inner_lambdas(text[end:])
    return text


def check(root):
    problems = []
    for path in files(root, ".h", ".cc"):
        text = read(root, path)
        lines = text.splitlines()
        code = without_comments(text)

        def allowed(position):
            at = line_of(code, position) - 1
            return any("// outlives: " in line for line in lines[max(0, at - 1):at + 3])

        for position, listed in parameters(code):
            bad = DANGLES.search(listed)
            if bad and not allowed(position):
                problems.append(f"{path}:{line_of(code, position)}: a parameter `{bad.group()}` of a coroutine may dangle; take it by value")
        if path.name.endswith("_test.cc") or path.parts[0] == "test":
            continue
        problems += [f"{path}:{line_of(code, position)}: a coroutine lambda captures [{captures}]; pass parameters instead"
                     for position, captures in capturing_lambdas(code) if not allowed(position)]
    return problems


if __name__ == "__main__":
    tree = main_root()
    finish("coroutines", check(tree), "no view is held across co_await by a signature, no coroutine lambda captures")
