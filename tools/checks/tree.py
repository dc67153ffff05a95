"""What the checks share: the tree's files, who includes whom, and results kept by the content they depend on."""

import hashlib
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOT_OURS = {"build", "demo-out", "__pycache__", "node_modules"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)


def files(root, *endings):
    """Every file of the tree with one of the endings (all without), sorted; what is built or hidden is left out."""
    found = []
    for folder, below, names in os.walk(root):
        below[:] = [b for b in below if b not in NOT_OURS and (not b.startswith(".") or b == ".ci")]
        found += [pathlib.Path(folder, n).relative_to(root) for n in names if not endings or n.endswith(endings)]
    return sorted(found)


def read(root, path):
    return pathlib.Path(root, path).read_text(encoding="utf-8", errors="replace")


def law(root):
    """room → the rooms it may include, from tools/layers.txt; a room may use only those that stand above it there."""
    rooms = {}
    for line in read(root, "tools/layers.txt").splitlines():
        if line.strip() and not line.startswith("#"):
            room, _, below = line.partition(":")
            rooms[room] = below.split()
    return rooms


class Includes:
    """The quoted includes of the tree, and the closure of a file under them."""

    def __init__(self, root):
        self.root = root
        self._direct = {}

    def direct(self, path):
        path = str(path)
        if path not in self._direct:
            self._direct[path] = INCLUDE.findall(read(self.root, path))
        return self._direct[path]

    def closure(self, path):
        seen, pending = set(), [str(path)]
        while pending:
            current = pending.pop()
            if current not in seen and pathlib.Path(self.root, current).is_file():
                seen.add(current)
                pending += self.direct(current)
        return sorted(seen)

    def digest(self, path, *more):
        """A hash over the file, all it includes of ours, and what else the result depends on."""
        made = hashlib.sha256("\0".join(more).encode())
        for each in self.closure(path):
            made.update(each.encode() + b"\0" + pathlib.Path(self.root, each).read_bytes() + b"\0")
        return made.hexdigest()


class Passed:
    """Names of results that were good once, kept in the cache outside the tree. Only good ones are kept."""

    def __init__(self, check):
        cache = os.environ.get("MOVEOUT_CACHE") or os.path.expanduser("~/.cache/moveout")
        self._folder = pathlib.Path(cache, "checks", check)
        self._folder.mkdir(parents=True, exist_ok=True)

    def __contains__(self, digest):
        return (self._folder / digest).exists()

    def add(self, digest):
        (self._folder / digest).touch()


def finish(check, problems, good):
    """Prints what was found, one line each, and ends the process: 0 when nothing was."""
    for problem in problems:
        print(problem)
    print(f"{check}: {len(problems)} problems" if problems else f"{check}: {good}")
    sys.exit(1 if problems else 0)


def main_root():
    """The tree to check: this one, or the one given as the first argument."""
    return pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
