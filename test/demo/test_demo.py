"""`make demo`, `make demo-dynamodb` and `make demo-export` as a newcomer runs them: each ends with its promise, and soon."""

import pathlib
import re
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def command_of(target, folder):
    """What `make TARGET` runs once everything is built and installed."""
    recipe = subprocess.run(["make", "--dry-run", "--no-print-directory", target], cwd=ROOT, capture_output=True, text=True, check=True)
    last = recipe.stdout.split("\n")[-2].split()
    assert last[0] == "test/demo/run", recipe.stdout
    return [ROOT / last[0], *last[1:], "--folder", folder]


def ends_in_sync(command):
    began = time.monotonic()
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    last = ran.stdout.rstrip().splitlines()[-1]
    assert re.fullmatch(r"in sync: \d{4,} items, 0 missing, 0 extra, 0 different", last), ran.stdout[-2000:]
    assert time.monotonic() - began < 120
    return ran.stdout


@pytest.mark.parametrize("target", ["demo", "demo-dynamodb"])
def test_the_demo_ends_in_sync_in_under_two_minutes(tmp_path, target):
    told = ends_in_sync(command_of(target, tmp_path / "demo"))
    assert "kill -9" in told and re.search(r"shards were replaced [1-9]", told), told[-3000:]


def test_the_demo_of_exports_reads_nothing_for_the_copy(tmp_path):
    told = ends_in_sync(command_of("demo-export", tmp_path / "demo"))
    assert "reads of the table for the copy: 0" in told, told[-3000:]


def test_the_demo_moves_to_a_server_of_another_make(tmp_path):
    ends_in_sync([ROOT / "test" / "demo" / "run", "--to", "dynalite", "--folder", tmp_path / "demo"])
