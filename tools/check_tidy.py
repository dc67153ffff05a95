#!/usr/bin/env python3
"""clang-tidy over the product's sources, by .clang-tidy. usage: check_tidy.py BUILD_DIR

A clean result is kept by the content of the source, all it includes of ours, the flags and the rules.
"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "checks"))
from check_headers import commands, flags_of  # noqa: E402
from tree import ROOT, Includes, Passed, finish, law, read  # noqa: E402


def tidy(path, flags):
    ran = subprocess.run(
        ["clang-tidy-19", "--quiet", path, "--", "clang++-19", *flags], cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode == 0 and ": warning:" not in ran.stdout:
        return ""
    return ran.stdout or ran.stderr


def main():
    built = commands(sys.argv[1])
    rules = read(ROOT, ".clang-tidy")
    includes, passed = Includes(ROOT), Passed("tidy")
    rooms = set(law(ROOT))
    flags = {path: flags_of(arguments) for path, arguments in built.items()
             if path.split("/")[0] in rooms and not path.endswith("_test.cc")}
    digests = {path: includes.digest(path, rules, *flags[path]) for path in flags}
    # The largest first, so that no core waits for one long file at the end.
    pending = sorted((p for p in flags if digests[p] not in passed), key=lambda p: -os.path.getsize(ROOT / p))
    problems = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, said in zip(pending, pool.map(lambda p: tidy(p, flags[p]), pending)):
            if said:
                problems.append(said.strip())
            else:
                passed.add(digests[path])
    finish("tidy", problems, f"{len(flags)} sources clean ({len(pending)} tried now)")


if __name__ == "__main__":
    main()
