#!/usr/bin/env python3
"""Every header compiles alone. usage: check_headers.py BUILD_DIR

A header that is the first include of a source the build compiles has proved it there. The others are compiled here, each
as a file of its own; a result is kept by the content of all it includes, so the second run compiles what has changed.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "checks"))
from tree import ROOT, Includes, Passed, files, finish, read  # noqa: E402

ANY_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(["<][^">]+[">])', re.M)


def commands(build):
    """The compile commands of our own sources: path → argument list without output and input."""
    made = {}
    for entry in json.loads(pathlib.Path(build, "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if path.is_relative_to(ROOT):
            made[str(path.relative_to(ROOT))] = shlex.split(entry["command"])
    return made


def flags_of(arguments):
    """What decides how a file is read: language level, macros, include paths, warnings; not where the object goes."""
    kept, rest = [], iter(arguments[1:])
    for argument in rest:
        if argument in ("-o", "-c"):
            next(rest)
        elif argument.endswith(("clang++-19", "ccache", "c++")):
            continue
        else:
            kept.append(argument)
    return kept


def proved_by_the_build(built):
    """Headers that come first in a compiled source, before any other include."""
    firsts = (ANY_INCLUDE.search(read(ROOT, path)) for path in built)
    return {found.group(1).strip('"') for found in firsts if found and found.group(1)[0] == '"'}


def compile_alone(header, flags):
    ran = subprocess.run(
        ["clang++-19", *flags, "-fsyntax-only", "-Wno-pragma-once-outside-header", "-x", "c++", "-include", header, "/dev/null"],
        cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stderr if ran.returncode else ""


def main():
    built = commands(sys.argv[1])
    flags = flags_of(next(iter(built.values())))
    includes, passed = Includes(ROOT), Passed("headers")
    proved = proved_by_the_build(built)
    left = {str(h): includes.digest(h, *flags) for h in files(ROOT, ".h") if str(h) not in proved}
    pending = [h for h, digest in left.items() if digest not in passed]
    problems = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, errors in zip(pending, pool.map(lambda h: compile_alone(h, flags), pending)):
            if errors:
                problems.append(f"{header} does not compile alone:\n{errors[:2000]}")
            else:
                passed.add(left[header])
    finish("headers", problems, f"{len(proved)} come first in a source, {len(left)} others compile alone ({len(pending)} tried now)")


if __name__ == "__main__":
    main()
