"""`moveout load` from exports: what stands in the target, how it goes on, and what it refuses."""

import json
import os
import random
import sqlite3
import time

import pytest

from harness import compare, tables
from harness.exports import ExportService

SCHEMA = (("id", "S"), ("n", "N"))
KEY = ("--key", "id:S,n:N")


def export(moveout, exports, table, bucket, *more, prefix="p"):
    done = moveout.run("export", "request", "--from", exports.url(table), "--to", f"s3://{bucket}/{prefix}", "--enable-pitr", "--wait", *more)
    assert done.exit_code == 0, str(done)
    return done.result["arn"]


def s3_url(bucket, prefix="p"):
    return f"s3://{bucket}/{prefix}?region=us-east-1"


@pytest.fixture
def exact(exports):
    """Tables that nobody writes to: their exports are what they are."""
    exports.fuzz_s = 0.0
    return exports


@pytest.mark.parametrize("form", ["DYNAMODB_JSON", "ION"])
@pytest.mark.parametrize("place", ["s3", "folder", "arn"])
def test_a_full_export_is_loaded_from_wherever_it_lies(moveout, exact, dynamodb, table, bucket, tmp_path, form, place):
    arn = export(moveout, exact, table, bucket, "--format", form)
    if place == "folder":
        assert moveout.run("export", "fetch", "--from", exact.url(table), "--to", "copy").exit_code == 0
    source = {"s3": s3_url(bucket), "folder": "copy", "arn": f"{arn}?endpoint={exact.endpoint}"}[place]
    done = moveout.run("load", "--from", source, "--to", "sqlite:out.db", *(() if place == "arn" else KEY))
    assert done.exit_code == 0, str(done)
    assert compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db") == done.result["items"]
    again = moveout.run("load", "--from", source, "--to", "sqlite:out.db", *(() if place == "arn" else KEY))
    assert again.exit_code == 0 and again.result["items"] == done.result["items"], str(again)


def test_without_a_key_from_anywhere_the_load_asks_for_one(moveout, exact, table, bucket):
    export(moveout, exact, table, bucket)
    done = moveout.run("load", "--from", s3_url(bucket), "--to", "sqlite:out.db")
    assert done.exit_code == 2 and "--key" in done.error["message"], str(done)


@pytest.mark.parametrize("form, view", [("DYNAMODB_JSON", "NEW_AND_OLD_IMAGES"), ("ION", "NEW_IMAGE")])
def test_a_full_export_and_its_windows_make_the_table(moveout, exports, dynamodb, table, bucket, tmp_path, form, view):
    client = dynamodb.client()
    exports.fuzz_s = 0.5
    moveout.run("export", "request", "--from", exports.url(table), "--to", f"s3://{bucket}/none", "--enable-pitr", "--wait")
    began = int(time.time()) + 1
    time.sleep(max(0, began + 1.2 - time.time()))
    with tables.LiveWriter(dynamodb.client, table, SCHEMA, 400, seed=random.randrange(10**6), threads=2, rate=60) as writer:
        time.sleep(1)
        export(moveout, exports, table, bucket, "--format", form)
        time.sleep(1)
    ends = [int(time.time()) + 1]
    # Not what came and went within a window: the full export is off by half a second and may hold it.
    victim = client.scan(TableName=table, Limit=1)["Items"][0]
    time.sleep(max(0, ends[0] + 0.1 - time.time()))
    client.delete_item(TableName=table, Key={name: victim[name] for name, _ in SCHEMA})
    tables.put_all(client, table, [tables.random_item(random.Random(9), SCHEMA, n) for n in range(900, 930)])
    ends.append(int(time.time()) + 1)
    time.sleep(max(0, ends[1] + 0.1 - time.time()))
    for since, until in ((began, ends[0]), (ends[0], ends[1])):
        export(moveout, exports, table, bucket, "--format", form, "--since", iso(since), "--until", iso(until), "--view", view)
    done = moveout.run("load", "--from", s3_url(bucket), "--to", "sqlite:out.db", "--chain", "--set", "export.margin=1s")
    assert done.exit_code == 0, str(done)
    found = compare.compare(client, table, tmp_path / "out.db")
    assert not found.missing and not found.different, str(found)
    assert len(found.extra) <= 3, f"more than what came and went: {found}"
    assert writer.writes > 50
    assert "came and went" in json.dumps(done.named("notice")), str(done)


def test_a_hole_between_windows_is_named(moveout, exports, table, bucket):
    export(moveout, exports, table, bucket, prefix="none")
    began = int(time.time()) + 1
    time.sleep(max(0, began + 4.1 - time.time()))
    for since, until in ((began, began + 1), (began + 2, began + 3)):
        export(moveout, exports, table, bucket, "--since", iso(since), "--until", iso(until))
    done = moveout.run("load", "--from", s3_url(bucket), "--to", "sqlite:out.db", "--chain", *KEY)
    assert done.exit_code == 2 and iso(began + 1) in done.error["message"] and iso(began + 2) in done.error["message"], str(done)
    one = moveout.run("load", "--from", s3_url(bucket), "--to", "sqlite:out.db", *KEY)
    assert one.exit_code == 2 and "2 exports" in one.error["message"], str(one)


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def damage(tree):
    key = max((k for k in tree if k.endswith(".json.gz")), key=lambda k: len(tree[k]))
    tree[key] = tree[key][:100] + bytes([tree[key][100] ^ 1]) + tree[key][101:]


def drop(tree):
    del tree[next(k for k in tree if k.endswith(".json.gz"))]


def add(tree):
    tree[next(k for k in tree if k.endswith(".json.gz")).replace(".json.gz", "x.json.gz")] = b"x"


def only_started(tree):
    for key in [k for k in tree if not k.endswith("_started")]:
        del tree[key]


@pytest.mark.parametrize("meddle, exit_code, said", [(damage, 3, "MD5"), (drop, 2, "is not there"), (add, 3, "does not list"), (only_started, 2, "not complete")])
def test_a_tree_that_is_not_as_its_manifest_says_is_refused(moveout, exact, table, bucket, tmp_path, meddle, exit_code, said):
    exact.file_items = 1000
    exact.meddle = meddle
    if meddle is only_started:
        arn = moveout.run("export", "request", "--from", exact.url(table), "--to", f"s3://{bucket}/p", "--enable-pitr")
        assert arn.exit_code == 0
        time.sleep(2)
    else:
        export(moveout, exact, table, bucket)
    done = moveout.run("load", "--from", s3_url(bucket), "--to", "sqlite:out.db", *KEY)
    assert done.exit_code == exit_code and said in done.error["message"], str(done)
    if (tmp_path / "out.db").exists():
        with sqlite3.connect(tmp_path / "out.db") as db:
            names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE '\\_%' ESCAPE '\\'")]
            assert sum(db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names) == 0, "something of it was loaded"


def generated(folder, items, files, seed):
    """A tree as the service would write it, of made-up items, without any server."""
    chance = random.Random(seed)
    service = ExportService.__new__(ExportService)
    service.file_items, service.empty_files = items // files, 1
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/made/export/01795631615577-b241bdb0"
    records = [{"Item": {"id": {"S": f"key {n}"}, "v": {"N": str(chance.randrange(10**9))}, "pad": {"S": "p" * chance.randrange(400)}}}
               for n in range(items)]
    export = {"ExportFormat": "DYNAMODB_JSON", "TableArn": arn.rpartition("/export/")[0], "TableId": "t", "StartTime": 1.7e9, "ExportTime": 1.7e9,
              "S3Bucket": "b", "S3SseAlgorithm": "AES256"}
    for key, data in service.tree(arn, export, records, chance).items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return {r["Item"]["id"]["S"]: r["Item"] for r in records}


def test_a_load_that_is_killed_anywhere_goes_on_and_has_every_item_once(moveout, tmp_path):
    items = generated(tmp_path / "tree", 150_000, 5, 5)
    chance = random.Random(os.environ.get("CRASH_SEED", "3"))
    command = ["load", "--from", "tree", "--to", "sqlite:out.db", "--key", "id:S"]
    killed = 0
    for _ in range(5):
        running = moveout.start(*command)
        time.sleep(chance.uniform(0.02, 0.25))
        if running.process.poll() is None:
            killed += 1
        running.kill9()
    done = moveout.run(*command)
    assert done.exit_code == 0 and done.result["items"] == len(items), str(done)
    assert killed >= 2
    with sqlite3.connect(tmp_path / "out.db") as db:
        db.row_factory = sqlite3.Row
        rows = {row["id"]: row for row in db.execute('SELECT * FROM "made"')}
        assert db.execute('SELECT count(*) FROM "made"').fetchone()[0] == len(items)
    assert rows.keys() == items.keys()
    for key, item in items.items():
        assert str(rows[key]["v"]) == item["v"]["N"] and rows[key]["pad"] == item["pad"]["S"]
