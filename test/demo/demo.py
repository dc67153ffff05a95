"""A live DynamoDB table moves into an SQLite file, or into another DynamoDB API, while an application writes to it. See docs/demo.md.

usage: test/demo/run [--to sqlite|dynamodb-local|dynalite] [--items N] [--folder DIR]
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import sqlite3
import sys
import threading
import time
from contextlib import contextmanager

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import compare, tables  # noqa: E402
from harness.moveout import BINARY, Moveout  # noqa: E402
from harness.servers import dynalite, dynamodb_local  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = (("order", "S"), ("line", "N"))
TABLE = "orders"
BEGAN = time.monotonic()


def say(text=""):
    print(f"[{time.monotonic() - BEGAN:5.1f} s] {text}" if text else "", flush=True)


class Rollovers:
    """Closes and replaces every stream shard every few seconds, as DynamoDB does every few hours."""

    def __init__(self, dynamodb, every):
        self._dynamodb, self._every = dynamodb, every
        self._stop = threading.Event()
        self._problem = None
        self.count = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while not self._stop.wait(self._every):
                self._dynamodb.rollover()
                self.count += 1
        except OSError as problem:  # raised again where the demo ends
            self._problem = problem

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        if self._problem:
            raise self._problem


def narrate(event, rest):
    """One event of the program, in words."""
    if event["event"] == "phase":
        words = {"capture": "opening the capture of every change, before anything is copied", "backfill": "copying what is there (back-fill)",
                 "replay": "the copy is complete; changes are applied as they come", "verify": "comparing both sides, item by item",
                 "in_sync": "IN SYNC: both sides are equal, and stay so"}
        say(f"  moveout: {words.get(event['phase'], event['phase'])}")
    elif event["event"] == "progress" and event["stage"] == "backfill":
        say(f"  moveout: {event['items']:,} of about {rest:,} items copied, {event['changes_applied']:,} changes applied")
    elif event["event"] == "notice":
        say(f"  moveout: {event['message']}")


class Narrator:
    """Prints a run's events as they come."""

    def __init__(self, running, items):
        self._running, self._items, self._seen = running, items, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(0.2):
            self._tell()

    def _tell(self):
        events = self._running.events
        for event in events[self._seen:]:
            narrate(event, self._items)
        self._seen = len(events)

    def stop(self):
        self._stop.set()
        self._thread.join()
        self._tell()


def killed_in_the_middle(move, items):
    """Lets a run copy a part of the table, then kill -9."""
    running = move()
    narrator = Narrator(running, items)
    running.wait_for(lambda e: e["event"] == "progress" and e["stage"] == "backfill" and items * 0.2 < e["items"], timeout=60)
    say("  kill -9 of moveout, in the middle of the copy")
    done = running.kill9()
    narrator.stop()
    return done


class IntoSqlite:
    """The file `orders.db`."""

    words = "an SQLite file"
    second_reader = "Python, boto3 and sqlite3"

    def __init__(self, folder):
        self._path = folder / "orders.db"
        self.url, self.shown = f"sqlite:{self._path}", "sqlite:orders.db"

    def compare(self, client):
        return compare.compare(client, TABLE, self._path)

    def show(self):
        query = 'SELECT "order", "line", "customer", "total", "attributes" FROM "orders" LIMIT 3'
        with sqlite3.connect(f"file:{self._path}?mode=ro", uri=True) as db:
            rows = db.execute(query).fetchall()
            count = db.execute('SELECT count(*) FROM "orders"').fetchone()[0]
        print(f"""The result: an SQLite file, {self._path} ({self._path.stat().st_size / 1e6:.1f} MB), {count:,} rows
  sqlite3 {self._path} '{query}'""")
        for row in rows:
            print("    " + " | ".join(str(v) if v is None or len(str(v)) < 60 else str(v)[:57] + "…" for v in row))


class IntoDynamoDb:
    """A table `orders_2` of another server of the DynamoDB API."""

    second_reader = "Python and boto3"
    TARGET = f"{TABLE}_2"

    def __init__(self, server, words):
        self._server, self.words = server, words
        self.url, self.shown = server.url(self.TARGET), f"\"dynamodb://us-east-1/{self.TARGET}?endpoint={server.endpoint}\""

    def compare(self, client):
        return compare.compare_tables(client, TABLE, self._server.client(), self.TARGET)

    def show(self):
        client = self._server.client()
        print(f"The result: a table \"{self.TARGET}\" of {self.words}, with the user's items and nothing of moveout's")
        for item in client.scan(TableName=self.TARGET, Limit=3)["Items"]:
            key = {name: item.pop(name) for name, _ in SCHEMA}
            text = json.dumps({**key, **item}, ensure_ascii=False, default=lambda b: base64.b64encode(b).decode())
            print("    " + (text if len(text) < 120 else text[:117] + "…"))


@contextmanager
def destination(kind, folder):
    if kind == "sqlite":
        yield IntoSqlite(folder)
        return
    words = "a second DynamoDB Local" if kind == "dynamodb-local" else "dynalite, another server of the DynamoDB API"
    say(f"starting {words}, for the target")
    with dynamodb_local() if kind == "dynamodb-local" else dynalite() as server:
        yield IntoDynamoDb(server, words)


def show(into, found, done, writer, rollovers):
    copied = max((e["consumed_rcu"] for e in done.events if e["event"] == "progress"), default=0)
    say()
    print(f"""What happened
  the application wrote {sum(writer.values()):,} times during the move ({writer['put']:,} puts, {writer['update']:,} updates, {writer['delete']:,} deletes)
  the stream's shards were replaced {rollovers} times; moveout was killed once and went on where it was
  read capacity used: {copied:,.0f} RCU, in {time.monotonic() - BEGAN:.0f} s in all
""")
    into.show()
    print(f"""
Compared once more, by another program ({into.second_reader}; none of moveout's code): {found}
""")


def in_sync_behind(program, running, narrator, writer):
    """Ends with an *in sync* that the application's last write is in; how it ended."""
    say("  the application stops writing, so that there is a last write to be in sync with")
    done, again = program.in_sync_behind(running, writer.stop, timeout=100)
    narrator.stop()
    if done.exit_code != 0:
        sys.exit(f"the move did not end in sync:\n{done}")
    if again:
        say("  moveout was in sync before the last write: the same command again, and in sync anew")
    return done


def verdict(folder, found, done, aside=""):
    """The last line, or the reason why there is none."""
    (folder / "events.json").write_text("\n".join(json.dumps(event) for event in done.events))
    if aside or not found.equal or done.result["items"] != found.items:
        sys.exit(f"moveout said {done.result['items']} items are in sync; the comparison says {found}{aside}")
    print(f"in sync: {found.items} items, {len(found.missing)} missing, {len(found.extra)} extra, {len(found.different)} different")


def clean_folder(options):
    options.add_argument("--folder", type=pathlib.Path, default=ROOT / "demo-out")
    options = options.parse_args()
    options.folder = options.folder.resolve()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    return options


def move_live(dynamodb, into, folder, items):
    client = dynamodb.client()
    tables.create_table(client, TABLE, SCHEMA, stream=None)
    say(f"filling the table \"{TABLE}\" with {items:,} items of every type")
    tables.fill(client, TABLE, items, SCHEMA)
    program = Moveout(folder, dynamodb.environment())

    def move():
        # The ceiling stretches the copy of a small table to a few seconds, so that there is something to see and to kill.
        return program.start("run", "--from", dynamodb.url(TABLE), "--to", into.url, "--until", "in-sync", "--max-rcu", "100")

    say("an application starts to write to it: puts, updates and deletes without pause")
    say(f"moveout run --from dynamodb://us-east-1/{TABLE} --to {into.shown} --until in-sync")
    with tables.LiveWriter(dynamodb.client, TABLE, SCHEMA, items, threads=2, rate=60) as writer, \
            Rollovers(dynamodb, every=4) as rollovers:
        killed_in_the_middle(move, items)
        say("  the same command again: it goes on from its checkpoints")
        running = move()
        narrator = Narrator(running, items)
        running.wait_for_phase("verify", timeout=100)
        time.sleep(3)
        done = in_sync_behind(program, running, narrator, writer)
    found = into.compare(client)
    show(into, found, done, writer.counts, rollovers.count)
    verdict(folder, found, done)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--to", choices=("sqlite", "dynamodb-local", "dynalite"), default="sqlite")
    options.add_argument("--items", type=int, default=20_000)
    options = clean_folder(options)
    say("starting DynamoDB Local, Amazon's own stand-in for DynamoDB")
    with dynamodb_local() as dynamodb, destination(options.to, options.folder) as into:
        move_live(dynamodb, into, options.folder, options.items)


if __name__ == "__main__":
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"{BINARY} is not built; `make` builds it")
    main()
