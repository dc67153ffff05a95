"""Whole commands, measured by what the kernel says of each finished process: CPU seconds for a million items, items/s, RSS.

usage: bench/run [--only WORD] [--shapes small,medium,wide] [--items N] [--runs K] [--long] [--memory]
Every row says whether the output was complete: as many distinct keys as the source has items. One that is not fails the run.
"""

import argparse
import json
import os
import pathlib
import shutil
import sqlite3
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
ENV = {**{k: v for k, v in os.environ.items() if not k.startswith("AWS_")}, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
RSS_MAX = 64  # MiB: performance.md's limit for copy and scan
SHAPES = {"small": 1, "medium": 4, "wide": 30}  # and the share of the items that gives them about as many bytes
FAULTS = ("--throttle", "5", "--error", "2", "--unprocessed", "20")
SLOW = ("--latency-ms", "5")


class Row(NamedTuple):
    name: str
    way: str          # of Bench.command
    share: int = 1    # slow ways get a part of the table: their figure for a million does not depend on its size
    endpoint: tuple = ()
    tls: bool = False


ROWS = [
    Row("moveout copy → DynamoDB API (m4)", "m4"),
    Row("  at 5 ms", "m4", 1, SLOW),
    Row("  over TLS", "m4", 1, (), True),
    Row("  with faults", "m4", 1, FAULTS),
    Row("moveout copy → DynamoDB API (m3)", "m3", 10),
    Row("  at 5 ms", "m3", 10, SLOW),
    Row("  with faults", "m3", 20, FAULTS),
    Row("moveout scan → JSON lines", "scan"),
    Row("  at 5 ms", "scan", 1, SLOW),
    Row("  over TLS", "scan", 1, (), True),
    Row("moveout copy → SQLite", "sqlite"),
    Row("moveout run → SQLite (verified)", "run"),
    Row("Go SDK → BatchWriteItem", "go batch", 5),
    Row("  at 5 ms", "go batch", 10, SLOW),
    Row("  over TLS", "go batch", 5, (), True),
    Row("  with faults", "go batch", 10, FAULTS),
    Row("Go SDK → JSON lines", "go lines", 5),
    Row("boto3 → BatchWriteItem", "boto3 batch", 25),
    Row("boto3 → JSON lines", "boto3 lines", 10),
    Row("boto3 → SQLite", "boto3 sqlite", 25),
]


def measured(command, folder, env):
    """(cpu seconds, wall seconds, RSS in MiB) of one process that must succeed."""
    began = time.monotonic()
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{(folder / 'log').read_text()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024


def distinct_lines(path):
    with open(path, "rb") as lines:
        keys = set()
        for line in lines:
            at = line.index(b"user#")
            keys.add(line[at:at + 17])
        return len(keys)


def distinct_rows(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute("SELECT count(*) FROM (SELECT DISTINCT pk, sk FROM bench)").fetchone()[0]


class Endpoint:
    """A fresh synthetic DynamoDB."""

    def __init__(self, items, shape, row, certificate):
        command = [BUILD / "bench" / "synthetic_dynamodb", "--items", str(items), "--shape", shape, *row.endpoint]
        if row.tls:
            command += ["--certificate", certificate, "--key", certificate]
        self._tls = ssl.create_default_context(cafile=certificate) if row.tls else None
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self._process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def distinct_written(self):
        request = urllib.request.Request(self.url, b"{}", {"X-Amz-Target": "DynamoDB_20120810.Written"})
        with urllib.request.urlopen(request, context=self._tls) as answer:
            return json.load(answer)["Distinct"]


class Bench:
    def __init__(self, folder):
        self.certificate = str(folder / "certificate.pem")
        # In one file: the endpoint takes both from it, the clients the certificate alone.
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=synthetic", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.certificate,
                        "-out", f"{self.certificate}.crt"], check=True, capture_output=True)
        with open(self.certificate, "a", encoding="ascii") as both, open(f"{self.certificate}.crt", encoding="ascii") as crt:
            both.write(crt.read())
        self.go = os.environ.get("GO_WAY", "")
        self.env = {**ENV, "AWS_CA_BUNDLE": self.certificate}

    def missing(self, row):
        return row.way.startswith("go ") and not os.access(self.go, os.X_OK)

    def command(self, way, url):
        source = f"dynamodb://us-east-1/bench?endpoint={url}"
        table = f"dynamodb://us-east-1/copied?endpoint={url}"
        moveout, boto3 = str(BUILD / "moveout"), [sys.executable, str(ROOT / "bench" / "boto3_way.py"), url]
        return {
            "m4": [moveout, "copy", "--from", source, "--to", table],
            "m3": [moveout, "copy", "--from", source, "--to", table, "--set", "target.mode=m3"],
            "scan": [moveout, "scan", "--from", source, "--to", "out.jsonl"],
            "sqlite": [moveout, "copy", "--from", source, "--to", "sqlite:out.db"],
            "run": [moveout, "run", "--from", source, "--to", "sqlite:out.db", "--until", "in-sync"],
            "go batch": [self.go, url, "batch", "copied"],
            "go lines": [self.go, url, "lines", "out.jsonl"],
            "boto3 batch": [*boto3, "batch", "copied"],
            "boto3 lines": [*boto3, "lines", "out.jsonl"],
            "boto3 sqlite": [*boto3, "sqlite", "out.db"],
        }[way]

    def run(self, row, shape, items):
        """What measured() gives, and the distinct keys that arrived."""
        with Endpoint(items, shape, row, self.certificate) as endpoint, tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            run = measured(self.command(row.way, endpoint.url), folder, self.env)
            if (folder / "out.jsonl").exists():
                return run, distinct_lines(folder / "out.jsonl")
            if (folder / "out.db").exists():
                return run, distinct_rows(folder / "out.db")
            shutil.rmtree(folder / ".moveout", ignore_errors=True)
            return run, endpoint.distinct_written()

    def show(self, row, shape, items, runs):
        """Prints the row; what is wrong with it, or nothing."""
        seen, counts = [], set()
        for _ in range(runs):
            run, count = self.run(row, shape, items)
            seen.append(run)
            counts.add(count)
        cpu = [run[0] * 1e6 / items for run in seen]
        rss = max(run[2] for run in seen)
        complete = counts == {items}
        print(f"{row.name:36} {shape:7} {items:9} {statistics.median(cpu):9.2f} {min(cpu):7.2f}-{max(cpu):7.2f} "
              f"{items / statistics.median(run[1] for run in seen):9.0f} {rss:8.0f}  {'yes' if complete else f'NO: {counts}'}", flush=True)
        if not complete:
            return f"{row.name.strip()} ({shape}) is not complete"
        if row.way in ("m4", "m3", "scan") and rss > RSS_MAX:
            return f"{row.name.strip()} ({shape}) took {rss:.0f} MiB, over the limit of {RSS_MAX}"
        return None


def memory(bench, items_max):
    """The same ways over ever larger tables: what grows with the table shows."""
    wrong = []
    items = 100_000
    while items <= items_max:
        for row in (Row("copy → DynamoDB API (m4)", "m4"), Row("scan → JSON lines", "scan"), Row("copy → SQLite", "sqlite")):
            wrong.append(bench.show(row, "small", items, 1))
        items *= 10
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000, help="of the small shape; medium has a quarter, wide a thirtieth")
    parser.add_argument("--runs", type=int, default=1, help="of each row: the median and the extremes are shown")
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--only", default="", help="rows whose name holds this, and those below them")
    parser.add_argument("--long", action="store_true", help="three runs of each row, whole tables for all of moveout's")
    parser.add_argument("--memory", action="store_true", help="instead: tables of 100,000 to 10,000,000 items")
    options = parser.parse_args()
    runs = max(options.runs, 3) if options.long else options.runs
    print(f"{'way':36} {'shape':7} {'items':>9} {'CPU-s/1M':>9} {'(min-max)':>15} {'items/s':>9} {'RSS MiB':>8}  complete")
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pathlib.Path(folder))
        if options.memory:
            wrong = memory(bench, max(options.items, 10_000_000))
        for shape in () if options.memory else options.shapes.split(","):
            asked = False
            for row in ROWS:
                asked = options.only in row.name or (asked and row.name.startswith(" "))
                if not asked:
                    continue
                if bench.missing(row):
                    print(f"{row.name:36} {shape:7} (no Go program: is there a Go of 1.24 or later?)")
                    continue
                wrong.append(bench.show(row, shape, options.items // (1 if options.long else SHAPES[shape]) // row.share, runs))
    wrong = [each for each in wrong if each]
    print(*wrong, sep="\n", file=sys.stderr, end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
