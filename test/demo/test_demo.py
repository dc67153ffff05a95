"""`make demo` as a newcomer runs it: it ends with its promise, and soon."""

import pathlib
import re
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_demo_ends_in_sync_in_under_two_minutes(tmp_path):
    began = time.monotonic()
    ran = subprocess.run(
        [ROOT / "test" / "demo" / "run", "--folder", tmp_path / "demo"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    last = ran.stdout.rstrip().splitlines()[-1]
    assert re.fullmatch(r"in sync: \d{5,} items, 0 missing, 0 extra, 0 different", last), ran.stdout[-2000:]
    assert time.monotonic() - began < 120
