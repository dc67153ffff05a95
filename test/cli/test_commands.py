"""Every command as its user meets it: what it prints, what it leaves, what the closing event says."""

import base64
import gzip
import json
import os
import signal
import sqlite3
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness import compare, tables


@pytest.fixture
def table(filled):
    return filled(300)


def rows(path, table, where):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute(f'SELECT count(*) FROM "{table}" WHERE {where}').fetchone()[0]


def count(dynamodb, table):
    return len(compare.read_source(dynamodb.client(), table)[0])


def test_run_until_in_sync_says_each_phase_and_closes_with_a_result(moveout, dynamodb, table, tmp_path):
    done = moveout.run("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--until", "in-sync")
    assert done.exit_code == 0, str(done)
    assert done.phases == ["capture", "backfill", "replay", "verify", "in_sync"]
    assert done.result["tables"] == 1 and done.result["phase"] == "in_sync"
    assert done.result["items"] == compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")
    assert all(event["ts"].endswith("Z") for event in done.events)
    assert all(event["table"] == table for event in done.named("phase"))
    assert [e["table"] for e in done.named("table_result")] == [table]


@pytest.mark.parametrize("schema", [(("k", "S"),), (("k", "N"),), (("k", "B"),), (("a", "B"), ("b", "N")), (("a", "N"), ("b", "B"))],
                         ids=lambda s: "+".join(t for _, t in s))
def test_keys_of_every_type(moveout, dynamodb, table_name, tmp_path, schema):
    client = dynamodb.client()
    tables.create_table(client, table_name, schema)
    tables.fill(client, table_name, 150, schema)
    done = moveout.run("run", "--from", dynamodb.url(table_name), "--to", "sqlite:out.db?table=moved", "--until", "in-sync")
    assert done.exit_code == 0, str(done)
    assert compare.assert_equal(client, table_name, tmp_path / "out.db", "moved") == done.result["items"]
    client.delete_table(TableName=table_name)


def test_an_empty_table_is_in_sync_too(moveout, dynamodb, table_name, tmp_path):
    client = dynamodb.client()
    tables.create_table(client, table_name, tables.SCHEMA, stream=None)
    done = moveout.run("run", "--from", dynamodb.url(table_name), "--to", "sqlite:out.db", "--until", "in-sync")
    assert done.exit_code == 0, str(done)
    assert done.result["items"] == 0
    assert any("stream" in event["message"] for event in done.named("notice"))
    assert client.describe_table(TableName=table_name)["Table"]["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    client.delete_table(TableName=table_name)


@pytest.mark.parametrize("view", ["KEYS_ONLY", "OLD_IMAGE", "NEW_IMAGE"])
def test_a_stream_of_another_view_is_kept_and_enough(moveout, dynamodb, table_name, tmp_path, view):
    client = dynamodb.client()
    tables.create_table(client, table_name, tables.SCHEMA, stream=view)
    tables.fill(client, table_name, 100, tables.SCHEMA)
    running = moveout.start("run", "--from", dynamodb.url(table_name), "--to", "sqlite:out.db", "--until", "in-sync")
    with tables.LiveWriter(dynamodb.client, table_name, tables.SCHEMA, 100, rate=60) as writer:
        running.wait_for_phase("verify")
    assert writer.writes > 0
    done = running.finish()
    assert done.exit_code == 0, str(done)
    assert compare.assert_equal(client, table_name, tmp_path / "out.db") == done.result["items"]
    assert client.describe_table(TableName=table_name)["Table"]["StreamSpecification"]["StreamViewType"] == view
    client.delete_table(TableName=table_name)


def test_run_follows_after_in_sync_until_it_is_told_to_stop(moveout, dynamodb, table, tmp_path):
    client = dynamodb.client()
    running = moveout.start("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db")
    running.wait_for_phase("in_sync")
    client.put_item(TableName=table, Item={"id": {"S": "late"}, "n": {"N": "1"}, "total": {"N": "5"}})
    end = time.monotonic() + 20
    while not rows(tmp_path / "out.db", table, "id = 'late'") and time.monotonic() < end:
        time.sleep(0.1)
    running.signal(signal.SIGTERM)
    done = running.finish()
    assert done.exit_code == 4 and done.error["name"] == "stopped", str(done)
    assert "goes on" in done.error["message"]
    compare.assert_equal(client, table, tmp_path / "out.db")
    again = moveout.run("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--until", "in-sync")
    assert again.exit_code == 0, str(again)
    assert again.phases[0] == "capture" and "backfill" not in again.phases and again.phases[-1] == "in_sync"


def test_several_tables_in_one_move(moveout, dynamodb, table_name, tmp_path):
    client = dynamodb.client()
    names = [f"{table_name}-a", f"{table_name}-b", f"{table_name}-c"]
    for number, name in enumerate(names):
        tables.create_table(client, name, tables.SCHEMA, stream=None)
        tables.fill(client, name, 100 + number, tables.SCHEMA, seed=number)
    (tmp_path / "move.yaml").write_text(f"""
move: several
source: {{url: "dynamodb://us-east-1?endpoint={dynamodb.endpoint}", max_rcu: 1000}}
target: {{url: "sqlite:all.db"}}
capture: {{tip_wait: auto}}
tables:
  - {{name: {names[0]}, to: first, columns: none}}
  - {{name: {names[1]}}}
  - {{name: {names[2]}}}
""")
    assert moveout.run("config", "check", "move.yaml").exit_code == 0
    done = moveout.run("run", "move.yaml", "--until", "in-sync")
    assert done.exit_code == 0, str(done)
    assert done.result["tables"] == 3
    assert sorted(e["table"] for e in done.named("table_result")) == names
    total = sum(compare.assert_equal(client, n, tmp_path / "all.db", t) for n, t in zip(names, ("first", names[1], names[2])))
    assert done.result["items"] == total
    assert (tmp_path / ".moveout" / "several").is_dir()
    for name in names:
        client.delete_table(TableName=name)


def test_copy_says_that_nothing_was_captured_and_can_be_repeated(moveout, dynamodb, table, tmp_path):
    args = ["copy", "--from", dynamodb.url(table), "--to", "sqlite:out.db"]
    done = moveout.run(*args)
    assert done.exit_code == 0, str(done)
    assert any("captures nothing" in event["message"] for event in done.named("notice"))
    items = compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")
    assert done.result["items"] == items and done.result["bytes"] > 0 and done.result["consumed_rcu"] > 0
    with sqlite3.connect(tmp_path / "out.db") as db:
        assert [n for (n,) in db.execute("SELECT name FROM sqlite_schema WHERE type='index' AND sql LIKE '%UNIQUE%'")] == [f"_moveout_key_{table}"]
    again = moveout.run(*args)
    assert again.exit_code == 0 and again.result["items"] == items, str(again)


def read_lines(data):
    return [json.loads(line)["Item"] for line in data.splitlines()]


def scanned(dynamodb, table):
    return sorted(json.dumps(item, sort_keys=True) for item in read_items(dynamodb, table))


def read_items(dynamodb, table):
    """The items in DynamoDB JSON, as they come over the wire."""
    def wire(value):
        (kind, inner), = value.items()
        if kind == "B":
            return {"B": base64.b64encode(inner).decode()}
        if kind == "BS":
            return {"BS": sorted(base64.b64encode(each).decode() for each in inner)}
        if kind == "L":
            return {"L": [wire(each) for each in inner]}
        if kind == "M":
            return {"M": {name: wire(each) for name, each in inner.items()}}
        if kind in ("SS", "NS"):
            return {kind: sorted(inner)}
        return value

    pages = dynamodb.client().get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [{name: wire(value) for name, value in item.items()} for page in pages for item in page["Items"]]


def sets_sorted(value):
    if isinstance(value, dict):
        return {k: sorted(v) if k in ("SS", "NS", "BS") and isinstance(v, list) else sets_sorted(v) for k, v in value.items()}
    return [sets_sorted(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_scan_writes_every_item_as_a_json_line(moveout, dynamodb, table, tmp_path, name):
    done = moveout.run("scan", "--from", dynamodb.url(table), "--to", name)
    assert done.exit_code == 0, str(done)
    data = (tmp_path / name).read_bytes()
    items = read_lines(gzip.decompress(data) if name.endswith(".gz") else data)
    assert done.result["items"] == len(items) == count(dynamodb, table)
    assert sorted(json.dumps(sets_sorted(i), sort_keys=True) for i in items) == scanned(dynamodb, table)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]
    assert moveout.run("scan", "--from", dynamodb.url(table), "--to", name).exit_code == 2
    (tmp_path / name).unlink()
    assert moveout.run("scan", "--from", dynamodb.url(table), "--to", name).result["items"] == len(items)


def test_scan_to_stdout_keeps_events_on_stderr(moveout, dynamodb, table):
    done = moveout.run("scan", "--from", dynamodb.url(table), "--to", "-")
    assert done.exit_code == 0, str(done)
    assert len(read_lines(done.stdout)) == count(dynamodb, table)
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert events[-1]["event"] == "result"


def damage(path, table, statement):
    with sqlite3.connect(path) as db:
        db.execute(statement.format(t=table))


@pytest.mark.parametrize("statement, kind", [
    ('DELETE FROM "{t}" WHERE rowid IN (SELECT rowid FROM "{t}" LIMIT 1)', "missing"),
    ('UPDATE "{t}" SET attributes = NULL, customer = \'somebody else\' WHERE id = (SELECT min(id) FROM "{t}")', "different"),
    ('INSERT INTO "{t}" (id, n) VALUES (\'nobody put this\', 1)', "extra"),
])
def test_verify_finds_what_is_wrong_on_either_side(moveout, dynamodb, table, tmp_path, statement, kind):
    assert moveout.run("copy", "--from", dynamodb.url(table), "--to", "sqlite:out.db").exit_code == 0
    args = ["verify", "--from", dynamodb.url(table), "--to", "sqlite:out.db"]
    clean = moveout.run(*args)
    assert clean.exit_code == 0, str(clean)
    assert clean.result["matched"] == count(dynamodb, table)
    damage(tmp_path / "out.db", table, statement)
    done = moveout.run(*args)
    assert done.exit_code == 1 and done.error["name"] == "differences", str(done)
    counts = {k: done.result[k] for k in ("missing", "extra", "different")}
    assert counts[kind] > 0 and sum(counts.values()) == counts[kind], counts


def test_status_pause_resume_and_metrics_of_a_running_move(moveout, dynamodb, table):
    long_state = "s" * 100 + "/" + "t" * 100
    running = moveout.start("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--max-rcu", "10", "--state", long_state)
    running.wait_for_phase("backfill")
    listening = running.wait_for_event("listening")
    with urllib.request.urlopen(listening["url"] + "/metrics", timeout=10) as page:
        families = {family.name: family for family in text_string_to_metric_families(page.read().decode())}
    assert families["moveout_lag_seconds"].samples[0].labels == {"table": table}
    assert moveout.run("pause", "--state", long_state).exit_code == 0
    status = moveout.run("status", "--state", long_state)
    assert status.exit_code == 0, str(status)
    told = status.named("status")[0]
    assert told["running"] and told["tables"][0]["paused"] and told["tables"][0]["table"] == table
    assert moveout.run("resume", "--state", long_state).exit_code == 0
    running.wait_for_phase("in_sync")
    running.signal(signal.SIGINT)
    assert running.finish().exit_code == 4
    idle = moveout.run("status", "--state", long_state)
    assert idle.exit_code == 0 and not idle.named("status")[0]["running"], str(idle)
    assert moveout.run("pause", "--state", long_state).exit_code == 2


def test_finish_leaves_the_user_s_rows_and_the_key(moveout, dynamodb, table, tmp_path):
    state = ["--state", "s"]
    assert moveout.run("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--until", "in-sync", *state).exit_code == 0
    done = moveout.run("finish", *state)
    assert done.exit_code == 0, str(done)
    assert done.result["phase"] == "finish"
    with sqlite3.connect(tmp_path / "out.db") as db:
        tables_left = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type='table'")]
    assert tables_left == [table]
    compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")
    assert moveout.run("finish", *state).exit_code == 0
    again = moveout.run("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", *state)
    assert again.exit_code == 2 and "finished" in again.error["message"], str(again)


def test_people_read_words_and_scripts_read_json(moveout, dynamodb, table):
    done = moveout.run("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--until", "in-sync", json=False)
    assert done.exit_code == 0
    assert not done.events
    assert f"in sync: {count(dynamodb, table)} items, 0 missing, 0 extra, 0 different" in done.stdout
    assert os.path.exists(moveout.cwd / ".moveout" / table)


def test_no_item_data_and_no_secret_in_logs_and_events(moveout, dynamodb, table):
    dynamodb.client().put_item(TableName=table, Item={"id": {"S": "xyzzy-key"}, "n": {"N": "1"}, "note": {"S": "xyzzy-value"}})
    done = moveout.run("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--until", "in-sync", "--log-level", "debug")
    assert done.exit_code == 0
    for secret in ("xyzzy-key", "xyzzy-value", dynamodb.secret_key):
        assert secret not in done.stdout + done.stderr
