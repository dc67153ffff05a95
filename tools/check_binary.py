#!/usr/bin/env python3
"""The released binary has no switch for mutants. usage: check_binary.py BINARY SIMULATOR

SIMULATOR was built with mutants: their names must be found there, else the search itself is broken.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "checks"))
from tree import ROOT, files, finish, law, read  # noqa: E402

NAME = re.compile(r'\bmutant\("([^"]+)"\)')


def mutant_names(root):
    rooms = set(law(root)) - {"sim"}
    return sorted({n for p in files(root, ".h", ".cc") if p.parts[0] in rooms and not p.name.endswith("_test.cc") for n in NAME.findall(read(root, p))})


def traces(binary, names):
    """What of the switch is in the file: a name as a whole string, the variable, the macro."""
    # Long names only: a string of up to 16 bytes is compared as a number and appears nowhere; a short word may be anyone's.
    found = [n for n in names if len(n) > 16 and re.search(rb"(?<![\w-])" + re.escape(n.encode()) + rb"(?![\w-])", binary)]
    return found + [w for w in ("active_mutant", "MOVEOUT_MUTANTS") if w.encode() in binary]


def check(root, release, simulator):
    names = mutant_names(root)
    problems = [f"{release}: has {t}" for t in traces(pathlib.Path(release).read_bytes(), names)]
    if names and not traces(pathlib.Path(simulator).read_bytes(), names):
        problems.append(f"{simulator}: has no mutant either, so this check sees nothing")
    return problems, names


if __name__ == "__main__":
    found, all_names = check(ROOT, *sys.argv[1:3])
    finish("release binary", found, f"none of the {len(all_names)} mutants, and no switch for them")
