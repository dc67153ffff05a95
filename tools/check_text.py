#!/usr/bin/env python3
"""What is true of the tree's text: sizes, nothing left open, no empty catch, no registry hosts, no paths of one machine."""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "checks"))
from check_layers import line_of, without_comments  # noqa: E402
from tree import ROOT, files, finish, main_root, read  # noqa: E402

CODE = (".cc", ".h", ".py", ".sh", ".java", ".cmake")
LINES_MAX = 500
# Spelt in pieces, so that this file is not its own finding.
LEFT_OPEN = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|(?i:not imple" r"mented|unimple" r"mented|stu" r"bs?))\b")
REGISTRY = re.compile(r"https?://[a-z0-9.-]*(npm|pypi|pythonhosted|maven[0-9.]|repo1|crates|golang|debian)", re.I)
LOCK_FILES = {"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "Pipfile.lock", "Cargo.lock", "uv.lock"}
EMPTY_CATCH = re.compile(r"\bcatch\s*\([^)]*\)\s*\{\s*\}")


def long_files(root):
    """path → reason, from tools/long_files.txt."""
    listed = root / "tools" / "long_files.txt"
    pairs = [line.partition(":") for line in listed.read_text().splitlines() if line.strip() and line[0] != "#"] if listed.exists() else []
    return {path.strip(): reason.strip() for path, _, reason in pairs}


def is_script(text):
    return text.startswith("#!") and ("bash" in text.split("\n", 1)[0] or "python" in text.split("\n", 1)[0])


def check(root):
    problems = []
    reasons = long_files(root)
    # A checkout right under a folder that every machine has says nothing of this one.
    here = None if str(root.parent) in ("/", "/tmp", "/var/tmp", "/root", "/home") else f"{root.parent}/"
    for path in files(root):
        text = read(root, path)
        if "\0" in text[:4000]:
            continue
        code = path.suffix in CODE or is_script(text)
        count = text.count("\n")
        if path.suffix in (".cc", ".h", ".py", ".sh", ".java") or is_script(text):
            if count > LINES_MAX and not reasons.get(str(path)):
                problems.append(f"{path}: {count} lines; split it, or give the reason in tools/long_files.txt")
            if count <= LINES_MAX and str(path) in reasons:
                problems.append(f"tools/long_files.txt: {path} is no longer long")
        if code:
            problems += [f"{path}:{line_of(text, m.start())}: left open: {m.group()}" for m in LEFT_OPEN.finditer(text)]
        if path.suffix in (".cc", ".h"):
            bare = without_comments(text)
            problems += [f"{path}:{line_of(bare, m.start())}: an empty catch" for m in EMPTY_CATCH.finditer(bare)]
            if path.suffix == ".h" and "#pragma once" not in text:
                problems.append(f"{path}: no #pragma once")
        if path.name in LOCK_FILES:
            problems.append(f"{path}: a lock file names a registry's host; pin exact versions in the manifest instead")
        problems += [f"{path}:{line_of(text, m.start())}: names a package registry's host" for m in REGISTRY.finditer(text)
                     if "maven.apache.org/POM" not in text[m.start():m.start() + 60]]
        if here and here in text:
            problems.append(f"{path}:{line_of(text, text.index(here))}: a path of this machine")
        if is_script(text) and "bash" in text.split("\n", 1)[0]:
            parsed = subprocess.run(["bash", "-n", root / path], capture_output=True, text=True, check=False)
            problems += [f"{path}: {line}" for line in parsed.stderr.splitlines()]
    for path in reasons:
        if not (root / path).is_file():
            problems.append(f"tools/long_files.txt: there is no {path}")
    return problems


def check_format(root):
    sources = [str(p) for p in files(root, ".h", ".cc")]
    if not sources:
        return []
    ran = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *sources], cwd=root, capture_output=True, text=True, check=False)
    found = [line for line in ran.stderr.splitlines() if ": error:" in line]
    return found if ran.returncode == 0 or found else [ran.stderr]


if __name__ == "__main__":
    if "--format" in sys.argv:
        finish("format", check_format(ROOT), "as clang-format-19 writes it (else: make format)")
    tree = main_root()
    finish("text", check(tree), f"{len(files(tree))} files")
