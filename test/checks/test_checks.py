"""The tree's rules have teeth: each is broken on purpose, in a small tree of its own, and must be named."""

import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAW = "base:\nitem: base\nnet: base\nmove: base item\nsim: base item move\napp: base item net move\n"


@pytest.fixture
def tree(tmp_path):
    """A tree that keeps every rule: tools/ as ours, two rooms."""
    root = tmp_path / "somewhere" / "tree"
    (root / "tools").mkdir(parents=True)
    (root / "tools" / "layers.txt").write_text(LAW)
    write(root, "base/rng.h", "#pragma once\n")
    write(root, "item/key.h", '#pragma once\n#include "base/rng.h"\nbase::Task<int> read(std::string name, int& count);\n')
    write(root, "net/socket.cc", '#include "base/rng.h"\n#include <sys/socket.h>\n#include <boost/beast/http.hpp>\n')
    return root


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def run(check, root):
    done = subprocess.run([sys.executable, ROOT / "tools" / check, root], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("check", ["check_layers.py", "check_coroutines.py", "check_text.py"])
def test_a_tree_that_keeps_the_rules_passes(tree, check):
    status, output = run(check, tree)
    assert status == 0, output


@pytest.mark.parametrize("check, path, text, said", [
    ("check_layers.py", "base/a.h", '#include "item/key.h"\n', 'base/ may not include "item/key.h"'),
    ("check_layers.py", "item/a_test.cc", '#include "net/socket.cc"\n', "item/ may not include"),
    ("check_layers.py", "item/a.cc", '#include "key.h"\n', "is not a path from the root"),
    ("check_layers.py", "other/a.cc", "int a;\n", "no room of tools/layers.txt"),
    ("check_layers.py", "item/a.cc", "#include <boost/beast/core.hpp>\n", "the only room with sockets"),
    ("check_layers.py", "move/a.cc", "auto t = std::chrono::system_clock::now();\n", "a seed would not replay"),
    ("check_layers.py", "sim/a.cc", "std::random_device chance;\n", "a seed would not replay"),
    ("check_coroutines.py", "item/a.h", "base::Task<int> f(int n, std::string_view name);\n", "may dangle"),
    ("check_coroutines.py", "item/a.h", "Task<Result<std::vector<int>>> A::f(\n    const std::string& name) {\n", "may dangle"),
    ("check_coroutines.py", "item/a.h", "Task<> f(std::span<const int> all);\n", "may dangle"),
    ("check_coroutines.py", "item/a.h", "Task<> f(std::vector<int>::iterator at);\n", "may dangle"),
    ("check_coroutines.py", "item/a.h", "Task<> f(Batch&& batch);\n", "may dangle"),
    ("check_coroutines.py", "item/a.cc", "auto f = [&x](int n) -> Task<> { co_await x.wait(n); };\n", "captures [&x]"),
    ("check_coroutines.py", "item/a.cc", "group.start([this]() -> Task<> { { co_return; } }());\n", "captures [this]"),
    ("check_text.py", "item/a.cc", "int a;\n" * 501, "501 lines"),
    ("check_text.py", "tools/long_files.txt", "item/key.h: because\n", "no longer long"),
    ("check_text.py", "item/a.cc", "// TO" "DO: later\n", "left open"),
    ("check_text.py", "tools/a.py", "# a st" "ub\n", "left open"),
    ("check_text.py", "item/a.cc", "void f() { try { g(); } catch (...) { /* fine */ } }\n", "empty catch"),
    ("check_text.py", "item/a.h", "int a;\n", "no #pragma once"),
    ("check_text.py", "tools/a.sh", "curl https" "://registry.npmjs.org/x\n", "package registry"),
    ("check_text.py", "tools/package-lock.json", "{}\n", "lock file"),
    ("check_text.py", "tools/run", "#!/usr/bin/env bash\nif true; then\n", "syntax error"),
])
def test_each_broken_rule_is_named(tree, check, path, text, said):
    write(tree, path, text)
    status, output = run(check, tree)
    assert status == 1 and said in output and path.split("/")[-1] in output, output


def test_a_path_of_this_machine_is_named(tree):
    write(tree, "tools/a.sh", f"cat {tree.parent}/notes\n")
    assert "a path of this machine" in run("check_text.py", tree)[1]


@pytest.mark.parametrize("check, path, text", [
    ("check_layers.py", "move/a.cc", "// std::random_device is refused here\nconst char* s = \"system_clock::now\";\n"),
    ("check_layers.py", "app/a.cc", "auto t = std::chrono::system_clock::now();\n"),
    ("check_coroutines.py", "item/a.h", "// outlives: the caller's frame owns it and awaits\nTask<> f(std::string_view name);\n"),
    ("check_coroutines.py", "item/a.h", "Result<int> f(std::string_view name);\nTask<int> g(const Clock& clock, std::vector<std::string> names);\n"),
    ("check_coroutines.py", "item/a.cc", "co_await worker.call([&] { return count(); });\nauto x = names[i](1);\n"),
    ("check_coroutines.py", "item/a_test.cc", "auto f = [&]() -> Task<> { co_return; };\n"),
])
def test_what_is_allowed_passes(tree, check, path, text):
    write(tree, path, text)
    status, output = run(check, tree)
    assert status == 0, output


@pytest.fixture
def build(tmp_path):
    """A copy of the tools in a tree of one room, with a compile database for it."""
    root = tmp_path / "tree"
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".clang-tidy", root)
    (root / "tools" / "layers.txt").write_text("base:\n")
    write(root, "base/good.h", "#pragma once\n#include <string>\ninline std::string good() { return {}; }\n")
    write(root, "base/good.cc", '#include "base/good.h"\nint use() { return static_cast<int>(good().size()); }\n')
    write(root, "build/compile_commands.json", f"""[{{"directory": "{root}", "file": "{root}/base/good.cc",
        "command": "/usr/bin/ccache clang++-19 -I{root} -std=c++23 -o good.o -c {root}/base/good.cc"}}]""")
    return root


def run_in(root, check, cache):
    done = subprocess.run([sys.executable, root / "tools" / check, root / "build"], capture_output=True, text=True, check=False,
                          env={"PATH": "/usr/bin:/bin", "MOVEOUT_CACHE": str(cache)})
    return done.returncode, done.stdout + done.stderr


def test_a_header_that_needs_another_first_is_named_and_a_good_one_is_tried_once(build, tmp_path):
    assert "1 come first in a source, 0 others" in run_in(build, "check_headers.py", tmp_path)[1]
    write(build, "base/alone.h", "#pragma once\n#include <vector>\nstd::vector<int> all();\n")
    assert "(1 tried now)" in run_in(build, "check_headers.py", tmp_path)[1]
    assert "(0 tried now)" in run_in(build, "check_headers.py", tmp_path)[1]
    write(build, "base/alone.h", "#pragma once\nstd::vector<int> all();\n")
    status, output = run_in(build, "check_headers.py", tmp_path)
    assert status == 1 and "base/alone.h does not compile alone" in output


def test_tidy_names_a_use_after_move_every_time_and_forgets_a_clean_file(build, tmp_path):
    assert run_in(build, "check_tidy.py", tmp_path) == (0, "tidy: 1 sources clean (1 tried now)\n")
    assert run_in(build, "check_tidy.py", tmp_path) == (0, "tidy: 1 sources clean (0 tried now)\n")
    write(build, "base/good.h", "#pragma once\n#include <string>\n#include <utility>\ninline std::string good() {\n"
          "  std::string a;\n  std::string b = std::move(a);\n  return a + b;\n}\n")
    for _ in range(2):
        status, output = run_in(build, "check_tidy.py", tmp_path)
        assert status == 1 and "bugprone-use-after-move" in output


def test_a_mutant_in_the_released_binary_is_named(tmp_path):
    sys.path.insert(0, str(ROOT / "tools"))
    from check_binary import traces
    name = "sequence_saved_without_prev"
    assert traces(b"\0nothing of it\0", [name]) == []
    assert traces(b"..\0sequence_saved_without_prev\0..", [name]) == [name]
    assert traces(b"_ZN7moveout4base13active_mutantEv", [name]) == ["active_mutant"]
