#!/usr/bin/env python3
"""The law of includes: every #include of one of our files is allowed by tools/layers.txt, and rooms that the simulator
runs take time, chance, threads and sockets only through the seams."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "checks"))
from tree import INCLUDE, files, finish, law, main_root, read  # noqa: E402

FREE = {"test", "bench", "tools"}
SYSTEM = re.compile(r"^[ \t]*#[ \t]*include[ \t]+<([^>]+)>", re.M)

# Only net/ has sockets; Beast and TLS are expensive to compile as well.
SOCKETS = re.compile(r"boost/beast|boost/asio/(ip/|ssl|local/|connect|read\b|write\b|signal_set|steady_timer|system_timer)"
                     r"|sys/(socket|un|epoll)\.h|netinet/|arpa/|netdb\.h|openssl/ssl\.h|curl/")
# What would make two runs of one seed differ.
CHANCE = re.compile(r"std::random_device|\b(system|steady|high_resolution)_clock::now|std::(jthread|thread|async)\b|std::this_thread"
                    r"|\b(std::)?(rand|srand|getenv|localtime|gettimeofday|clock_gettime)\s*\(|\btime\s*\(\s*(nullptr|NULL|0)\s*\)")
COMMENT_OR_TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)


def without_comments(text):
    """The same text with comments and string literals blanked, line for line."""
    return COMMENT_OR_TEXT.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def check(root):
    rooms = law(root)
    problems = []
    above = set()
    for room, below in rooms.items():
        problems += [f"tools/layers.txt: {room} names {b}, which does not stand above it" for b in below if b not in above]
        above.add(room)
    simulated = set(rooms.get("sim", [])) | {"sim"}

    for path in files(root, ".h", ".cc"):
        room = path.parts[0]
        text = read(root, path)
        if room not in rooms and room not in FREE:
            problems.append(f"{path}: {room}/ is no room of tools/layers.txt")
            continue
        allowed = {room, *rooms.get(room, [])}
        is_test = path.name.endswith("_test.cc") or room in FREE
        for found in INCLUDE.finditer(text):
            included = found.group(1)
            at = f"{path}:{line_of(text, found.start())}"
            if not (root / included).is_file():
                problems.append(f'{at}: "{included}" is not a path from the root')
            elif room not in FREE and included.split("/")[0] not in allowed | ({"test"} if is_test else set()):
                problems.append(f'{at}: {room}/ may not include "{included}"')
        if room not in ("net", *FREE):
            problems += [f"{path}:{line_of(text, s.start())}: <{s.group(1)}> belongs in net/, the only room with sockets"
                         for s in SYSTEM.finditer(text) if SOCKETS.search(s.group(1))]
        if room in simulated and not is_test:
            code = without_comments(text)
            problems += [f"{path}:{line_of(code, c.start())}: `{c.group().strip()}` is not behind a seam; "
                         "a seed would not replay (base::Clock, base::Rng, base::Worker, http::Transport)"
                         for c in CHANCE.finditer(code) if not seam(path)]
    return problems


def seam(path):
    """The real thing behind a seam, which app/ constructs and the simulator replaces."""
    return path.name.startswith(("posix_", "system_"))


if __name__ == "__main__":
    tree = main_root()
    finish("law of includes", check(tree), f"{len(files(tree, '.h', '.cc'))} files keep it")
