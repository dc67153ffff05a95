"""Whole commands, measured by what the kernel says of each finished process: CPU seconds for a million items, items/s, RSS.

usage: bench/run [--items N] [--runs K] [--only WORD]        Every row says whether the output was complete.
"""

import argparse
import json
import os
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
ENV = {**{k: v for k, v in os.environ.items() if not k.startswith("AWS_")}, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


def measured(command, folder):
    """(cpu seconds, wall seconds, RSS in MiB) of one process that must succeed."""
    began = time.monotonic()
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=ENV, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
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


def distinct_written(endpoint):
    """How many distinct keys the endpoint was given."""
    request = urllib.request.Request(endpoint, b"{}", {"X-Amz-Target": "DynamoDB_20120810.Written"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["Distinct"]


def ways(endpoint):
    source = f"dynamodb://us-east-1/bench?endpoint={endpoint}"
    moveout, python = BUILD / "moveout", sys.executable
    boto3_way = ROOT / "bench" / "boto3_way.py"
    to = f"dynamodb://us-east-1/copied?endpoint={endpoint}"
    return [
        ("moveout copy → DynamoDB API (m4)", [moveout, "copy", "--from", source, "--to", to], endpoint, distinct_written, 1),
        ("moveout copy → DynamoDB API (m3)", [moveout, "copy", "--from", source, "--to", to, "--set", "target.mode=m3"],
         endpoint, distinct_written, 10),
        ("moveout scan → JSON lines", [moveout, "scan", "--from", source, "--to", "out.jsonl"], "out.jsonl", distinct_lines, 1),
        ("moveout copy → SQLite", [moveout, "copy", "--from", source, "--to", "sqlite:out.db"], "out.db", distinct_rows, 1),
        ("moveout run → SQLite (verified)", [moveout, "run", "--from", source, "--to", "sqlite:out.db", "--until", "in-sync"],
         "out.db", distinct_rows, 1),
        ("boto3 → JSON lines", [python, boto3_way, endpoint, "lines", "out.jsonl"], "out.jsonl", distinct_lines, 10),
        ("boto3 → SQLite", [python, boto3_way, endpoint, "sqlite", "out.db"], "out.db", distinct_rows, 10),
    ]


class Endpoint:
    def __init__(self, items, shape, more=()):
        self._process = subprocess.Popen(
            [BUILD / "bench" / "synthetic_dynamodb", "--items", str(items), "--shape", shape, *more], stdout=subprocess.PIPE, text=True)
        self.url = self._process.stdout.readline().strip()

    def __enter__(self):
        return self.url

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shapes", default="small,medium")
    parser.add_argument("--only", default="")
    parser.add_argument("--latency-ms", default="0")
    parser.add_argument("--faults", action="store_true", help="of the writes: throttles 5 %, errors 2 %, done in part 20 %")
    options = parser.parse_args()
    more = ["--latency-ms", options.latency_ms]
    if options.faults:
        more += ["--throttle", "5", "--error", "2", "--unprocessed", "20"]
    print(f"{'way':36} {'shape':7} {'items':>9} {'CPU-s/1M':>9} {'(min-max)':>13} {'items/s':>9} {'RSS MiB':>8}  complete")
    for shape in options.shapes.split(","):
        # Slow ways get a tenth of the table: their figure for a million does not depend on it.
        for name, _, _, _, _ in ways(""):
            if options.only not in name:
                continue
            index = [n for n, *_ in ways("")].index(name)
            items = options.items // ways("")[index][4]
            runs, count = [], 0
            for _ in range(options.runs):
                with Endpoint(items, shape, more) as endpoint, tempfile.TemporaryDirectory() as folder:
                    folder = pathlib.Path(folder)
                    _, command, output, distinct, _ = ways(endpoint)[index]
                    runs.append(measured(command, folder))
                    count = distinct(output if output.startswith("http") else folder / output)
                    shutil.rmtree(folder / ".moveout", ignore_errors=True)
            cpu = [run[0] * 1e6 / items for run in runs]
            rate = items / statistics.median(run[1] for run in runs)
            print(f"{name:36} {shape:7} {items:9} {statistics.median(cpu):9.2f} {min(cpu):6.2f}-{max(cpu):6.2f} {rate:9.0f} "
                  f"{max(run[2] for run in runs):8.0f}  {'yes' if count == items else f'NO: {count}'}", flush=True)


if __name__ == "__main__":
    main()
