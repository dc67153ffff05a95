"""The comparison sees what it is for: each way to be wrong, made on purpose."""

import json
import random
import sqlite3
import sys
import time

import base64
import pytest

from harness import tables
from harness.compare import MappingBroken, compare, number, plain, read_source
from harness.moveout import Moveout

KEY = (("id", "S"), ("n", "N"))
COLUMNS = {"id": "TEXT", "n": "ANY", "total": "ANY", "paid": "INTEGER", "photo": "BLOB", "customer": "TEXT"}


def as_column(declared, value):
    (kind, content), = value.items()
    if {"TEXT": "S", "ANY": "N", "BLOB": "B", "INTEGER": "BOOL"}[declared] != kind:
        return None
    if kind == "N":
        exact = number(content)
        return int(exact) if exact == int(exact) and -2**63 <= exact < 2**63 else plain(exact)
    return int(content) if kind == "BOOL" else content


def as_json(value):
    (kind, content), = value.items()
    if kind == "B":
        return {"B": base64.b64encode(content).decode()}
    if kind == "BS":
        return {"BS": [base64.b64encode(b).decode() for b in content]}
    if kind == "L":
        return {"L": [as_json(v) for v in content]}
    if kind == "M":
        return {"M": {n: as_json(v) for n, v in content.items()}}
    return value


def write_by_the_mapping(client, table, path):
    with sqlite3.connect(path) as db:
        db.execute(f"CREATE TABLE {table} ({', '.join(f'{n} {t}' for n, t in COLUMNS.items())}, attributes TEXT, PRIMARY KEY (id, n)) STRICT")
        for page in client.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                row = {n: as_column(t, item[n]) for n, t in COLUMNS.items() if n in item}
                row = {n: v for n, v in row.items() if v is not None}
                rest = {n: as_json(v) for n, v in item.items() if n not in row}
                row["attributes"] = json.dumps(rest) if rest else None
                db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


@pytest.fixture(scope="module")
def moved(dynamodb, tmp_path_factory):
    client = dynamodb.client()
    tables.create_table(client, "harness_compare", KEY)
    tables.fill(client, "harness_compare", 300, KEY, seed=3)
    path = tmp_path_factory.mktemp("harness") / "t.db"
    write_by_the_mapping(client, "harness_compare", path)
    return client, path


def broken(moved, tmp_path, *statements):
    client, path = moved
    copy = tmp_path / "broken.db"
    with sqlite3.connect(path) as whole, sqlite3.connect(copy) as db:
        whole.backup(db)
        for statement in statements:
            changed = db.execute(statement).rowcount
            assert changed != 0, statement
    db.close()
    return compare(client, "harness_compare", copy)


def test_a_faithful_copy_is_equal(moved):
    client, path = moved
    found = compare(client, "harness_compare", path)
    assert found.equal, str(found)
    assert found.items == 300 + len(tables.hostile_items(KEY))


@pytest.mark.parametrize("statement, kind", [
    ("DELETE FROM harness_compare WHERE rowid = 7", "missing"),
    ("INSERT INTO harness_compare (id, n) VALUES ('nobody', 1)", "extra"),
    ("UPDATE harness_compare SET n = CAST(n + 500000 AS INTEGER) WHERE rowid = 9", "extra"),
    ("UPDATE harness_compare SET customer = customer || ' ' WHERE rowid = (SELECT min(rowid) FROM harness_compare WHERE customer <> '')", "different"),
    ("UPDATE harness_compare SET photo = CAST(photo || x'00' AS BLOB) WHERE rowid = (SELECT min(rowid) FROM harness_compare WHERE photo IS NOT NULL)", "different"),
    ("UPDATE harness_compare SET paid = 1 - paid WHERE rowid = (SELECT min(rowid) FROM harness_compare WHERE paid IS NOT NULL)", "different"),
    ("UPDATE harness_compare SET attributes = NULL WHERE rowid = (SELECT min(rowid) FROM harness_compare WHERE attributes IS NOT NULL)", "different"),
    ("UPDATE harness_compare SET attributes = replace(attributes, '\"NULL\": true', '\"BOOL\": true') WHERE rowid = (SELECT min(rowid) FROM harness_compare WHERE attributes LIKE '%\"NULL\": true%')", "different"),
    ("UPDATE harness_compare SET attributes = replace(attributes, '\"SS\"', '\"BS\"') WHERE attributes LIKE '%\"SS\": [\"plain\"]%'", MappingBroken),
    ("UPDATE harness_compare SET total = total || '0' WHERE rowid = (SELECT min(rowid) FROM harness_compare WHERE typeof(total) = 'text')", MappingBroken),
    ("UPDATE harness_compare SET total = CAST(total AS REAL) WHERE rowid = (SELECT min(rowid) FROM harness_compare WHERE typeof(total) = 'text')", MappingBroken),
    ("UPDATE harness_compare SET total = CAST(total AS TEXT) WHERE rowid = (SELECT min(rowid) FROM harness_compare WHERE typeof(total) = 'integer')", MappingBroken),
    ("UPDATE harness_compare SET attributes = '{}' WHERE rowid = (SELECT min(rowid) FROM harness_compare WHERE attributes IS NULL)", MappingBroken),
    ("UPDATE harness_compare SET attributes = '{\"id\": {\"S\": \"again\"}}' WHERE rowid = 3", MappingBroken),
])
def test_each_way_to_be_wrong_is_seen(moved, tmp_path, statement, kind):
    if kind is MappingBroken:
        with pytest.raises((MappingBroken, ValueError)):
            broken(moved, tmp_path, statement)
        return
    found = broken(moved, tmp_path, statement)
    assert not found.equal and len(getattr(found, kind)) == 1, str(found)


def test_numbers_are_compared_by_value_and_never_by_double():
    assert number("1.50") == number("1.5") and plain(number("1E+2")) == "100"
    assert number("9007199254740993") != number("9007199254740992")
    assert number("-0") == number("0") and plain(number("-0")) == "0"
    assert plain(number("1E-130")) == "0." + "0" * 129 + "1"


def test_a_rollover_closes_the_shard_and_opens_its_child(dynamodb):
    client, streams = dynamodb.client(), dynamodb.streams()
    tables.create_table(client, "harness_rollover", KEY)
    arn = client.describe_table(TableName="harness_rollover")["Table"]["LatestStreamArn"]
    client.put_item(TableName="harness_rollover", Item=tables.make_key(KEY, 1))
    dynamodb.rollover()
    client.put_item(TableName="harness_rollover", Item=tables.make_key(KEY, 2))
    parent, child = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    assert child["ParentShardId"] == parent["ShardId"]
    assert "EndingSequenceNumber" in parent["SequenceNumberRange"] and "EndingSequenceNumber" not in child["SequenceNumberRange"]


def test_the_live_writer_puts_updates_and_deletes(dynamodb):
    client = dynamodb.client()
    tables.create_table(client, "harness_writer", KEY)
    tables.fill(client, "harness_writer", 50, KEY, hostile=False)
    before, _ = read_source(client, "harness_writer")
    with tables.LiveWriter(dynamodb.client, "harness_writer", KEY, keys=50) as writer:
        end = time.monotonic() + 20
        while min(writer.counts.values()) < 3 and time.monotonic() < end:
            time.sleep(0.01)
    assert min(writer.counts.values()) >= 3, writer.counts
    after, _ = read_source(client, "harness_writer")
    assert before != after


def test_events_exit_code_and_kill9_are_seen_as_they_happen(tmp_path):
    script = tmp_path / "speaks.py"
    script.write_text(f"""#!{sys.executable}
import json, sys, time
print(json.dumps({{"event": "phase", "phase": "capture"}}), flush=True)
print("a log line", file=sys.stderr, flush=True)
if "hang" in sys.argv: time.sleep(60)
print(json.dumps({{"event": "result", "tables": 1, "phase": "capture", "items": 0}}), flush=True)
sys.exit(3)
""")
    script.chmod(0o755)
    program = Moveout(cwd=tmp_path, binary=str(script))
    done = program.run("go")
    assert (done.exit_code, done.phases, done.result["tables"], done.stderr) == (3, ["capture"], 1, "a log line\n")
    hanging = program.start("hang")
    hanging.wait_for_phase("capture")
    with pytest.raises(AssertionError, match="nothing in 0.2 s"):
        hanging.wait_for_phase("backfill", timeout=0.2)
    assert hanging.kill9().exit_code == -9
    with pytest.raises(AssertionError, match="the run ended"):
        hanging.wait_for_phase("backfill")


def test_every_random_and_hostile_item_is_accepted_and_reads_back_the_same(dynamodb):
    client = dynamodb.client()
    for schema in ((("id", "S"),), (("id", "B"), ("n", "N")), (("id", "N"), ("n", "S"))):
        name = "harness_" + "_".join(t for _, t in schema)
        tables.create_table(client, name, schema, stream=None)
        tables.fill(client, name, 60, schema, seed=random.Random(name).random())
        found, read_schema = read_source(client, name)
        assert read_schema == list(schema) and len(found) == 60 + len(tables.hostile_items(schema))
