"""Bad input and bad days: each ends with one clear error, its documented name and exit code, and nothing lost."""

import os
import sqlite3
import subprocess
import time

import pytest

from harness import compare, tables
from harness.meddler import Answer, crc, error, meddler, refuse
from harness.servers import dynamodb_local, free_port


@pytest.fixture
def table(filled):
    return filled(200)


def run(moveout, dynamodb, table, *more, to="sqlite:out.db", endpoint=None, env=None, command="run", timeout=120):
    url = dynamodb.url(table, **({"endpoint": endpoint} if endpoint else {}))
    until = ["--until", "in-sync"] if command == "run" else []
    return moveout.run(command, "--from", url, "--to", to, *until, *more, env=env, timeout=timeout)


def assert_error(done, name, code, *words):
    assert done.error["name"] == name, str(done)
    assert done.exit_code == code, str(done)
    for word in words:
        assert word in done.error["message"], f"\"{word}\" is not in: {done.error['message']}"
    assert done.result["event"] == "result"


@pytest.mark.parametrize("args, word", [
    (["run"], "--from"),
    (["run", "--from", "dynamodb://us-east-1/t"], "belong together"),
    (["run", "--from", "dynamodb://us-east-1/t", "--to", "mysql:x"], "unknown scheme"),
    (["run", "--from", "dynamodb://us-east-1/t", "--to", "cql://h/k.t"], "cannot serve"),
    (["run", "--from", "sqlite:a.db", "--to", "sqlite:b.db"], "source"),
    (["run", "--from", "dynamodb://us-east-1/t", "--to", "sqlite:b.db", "--colour"], "--colour"),
    (["run", "--from", "dynamodb://us-east-1/t", "--to", "sqlite:b.db", "--until", "tomorrow"], "until"),
    (["run", "--from", "dynamodb://us-east-1/t", "--to", "sqlite:b.db", "--retain", "sqs://r/q"], "only local"),
    (["run", "--from", "dynamodb://us-east-1/t", "--to", "sqlite:b.db", "--backfill", "file"], "--backfill file"),
    (["run", "--from", "dynamodb://us-east-1/t?password=sesame", "--to", "sqlite:b.db"], "password"),
    (["load", "--from", "dynamodb://us-east-1/t", "--to", "sqlite:x.db"], "copy"),
    (["load", "--from", "x.json"], "--to URL"),
    (["scan", "--from", "dynamodb://us-east-1/t", "--to", "sqlite:x.db"], "copy"),
    (["nonsense"], "nonsense"),
    (["status"], "--state"),
])
def test_a_wrong_request_is_refused_before_anything_is_done(moveout, tmp_path, args, word):
    done = moveout.run(*args)
    assert_error(done, "usage", 2, word)
    assert "sesame" not in done.stdout + done.stderr
    assert not os.listdir(tmp_path)


def test_an_unknown_table(moveout, dynamodb):
    assert_error(run(moveout, dynamodb, "no-such-table"), "not_found", 2, "no-such-table", "us-east-1")


def test_a_region_that_cannot_be_one(moveout, dynamodb, table):
    done = moveout.run("run", "--from", f"dynamodb://not a region/{table}", "--to", "sqlite:out.db")
    assert_error(done, "usage", 2, "region")


def test_no_credentials(moveout, dynamodb, table):
    done = run(moveout, dynamodb, table, env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nonexistent",
                                              "AWS_EC2_METADATA_DISABLED": "true"})
    assert_error(done, "usage", 2, "AWS_ACCESS_KEY_ID")


@pytest.mark.parametrize("operation", ["DescribeTable", "Scan", "DescribeStream", "GetShardIterator", "GetRecords"])
def test_a_refused_right_names_the_missing_action(moveout, dynamodb, table, operation):
    message = f"User: arn:aws:iam::1:user/u is not authorized to perform: dynamodb:{operation} on resource: x"
    with meddler(dynamodb, refuse(operation, 400, "AccessDeniedException", message)) as between:
        done = run(moveout, dynamodb, table, endpoint=between.endpoint)
    assert_error(done, "access_denied", 3, f"dynamodb:{operation}")


def test_an_endpoint_that_is_not_there(moveout, dynamodb, table):
    began = time.monotonic()
    done = run(moveout, dynamodb, table, endpoint=f"http://127.0.0.1:{free_port()}")
    assert_error(done, "endpoint_down", 5, "127.0.0.1")
    assert time.monotonic() - began < 60


def test_a_source_that_comes_back_is_only_waited_for(tmp_path, moveout):
    with dynamodb_local() as own:
        tables.create_table(own.client(), "tab", tables.SCHEMA)
        tables.fill(own.client(), "tab", 150, tables.SCHEMA, hostile=False)
        running = moveout.start("run", "--from", own.url("tab"), "--to", "sqlite:out.db", "--until", "in-sync", "--max-rcu", "5")
        running.wait_for_phase("backfill")
        own.pause()
        time.sleep(3)
        own.go_on()
        done = running.finish()
        assert done.exit_code == 0, str(done)
        assert compare.assert_equal(own.client(), "tab", tmp_path / "out.db") == 150


def test_a_target_that_is_not_sqlite(moveout, dynamodb, table, tmp_path):
    (tmp_path / "out.db").write_text("these are the voyages\n" * 100)
    assert_error(run(moveout, dynamodb, table), "usage", 2, "SQLite")
    assert (tmp_path / "out.db").read_text().startswith("these are")


def test_a_target_that_cannot_be_opened_says_why(moveout, dynamodb, table, tmp_path):
    (tmp_path / "folder").mkdir()
    assert_error(run(moveout, dynamodb, table, "--state", "a", to="sqlite:folder"), "usage", 2, "it is a folder")
    assert_error(run(moveout, dynamodb, table, "--state", "b", to="sqlite:nowhere/out.db"), "usage", 2, "No such file or directory")


def test_a_target_table_that_is_not_ours(moveout, dynamodb, table, tmp_path):
    with sqlite3.connect(tmp_path / "out.db") as db:
        db.execute(f'CREATE TABLE "{table}" (x)')
        db.execute(f'INSERT INTO "{table}" VALUES (1)')
    assert_error(run(moveout, dynamodb, table), "usage", 2, table)
    with sqlite3.connect(tmp_path / "out.db") as db:
        assert db.execute(f'SELECT * FROM "{table}"').fetchall() == [(1,)]


def test_a_populated_target_and_a_new_state(moveout, dynamodb, table, tmp_path):
    assert run(moveout, dynamodb, table).exit_code == 0
    assert_error(run(moveout, dynamodb, table, "--state", "another"), "usage", 2)
    assert compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db") > 200


def test_a_state_of_other_urls(moveout, dynamodb, table):
    assert run(moveout, dynamodb, table, "--state", "s").exit_code == 0
    assert_error(run(moveout, dynamodb, table, "--state", "s", to="sqlite:other.db"), "usage", 2, "--state")


def test_a_target_that_was_replaced_under_the_state(moveout, dynamodb, table, tmp_path):
    assert run(moveout, dynamodb, table).exit_code == 0
    for file in tmp_path.glob("out.db*"):
        file.unlink()
    assert_error(run(moveout, dynamodb, table), "target_changed", 3)


def test_two_processes_on_one_run(moveout, dynamodb, table):
    first = moveout.start("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--max-rcu", "5")
    first.wait_for_phase("backfill")
    assert_error(run(moveout, dynamodb, table), "run_locked", 3, str(first.pid))
    first.kill9()
    assert run(moveout, dynamodb, table).exit_code == 0


def test_a_key_schema_that_changed(moveout, dynamodb, table_name):
    client = dynamodb.client()
    tables.create_table(client, table_name, tables.SCHEMA)
    tables.fill(client, table_name, 20, tables.SCHEMA, hostile=False)
    assert run(moveout, dynamodb, table_name).exit_code == 0
    client.delete_table(TableName=table_name)
    tables.create_table(client, table_name, (("id", "S"),))
    assert_error(run(moveout, dynamodb, table_name), "schema_changed", 3, "key schema")
    client.delete_table(TableName=table_name)


def test_a_table_that_was_dropped_and_made_again_and_the_way_on(moveout, dynamodb, table_name, tmp_path):
    client = dynamodb.client()
    tables.create_table(client, table_name, tables.SCHEMA)
    tables.fill(client, table_name, 50, tables.SCHEMA, hostile=False)
    assert run(moveout, dynamodb, table_name).exit_code == 0
    client.delete_table(TableName=table_name)
    tables.create_table(client, table_name, tables.SCHEMA)
    tables.fill(client, table_name, 30, tables.SCHEMA, seed=2, hostile=False)
    assert_error(run(moveout, dynamodb, table_name), "stream_gap", 3, "--new-backfill")
    done = run(moveout, dynamodb, table_name, "--new-backfill")
    assert done.exit_code == 0, str(done)
    assert compare.assert_equal(client, table_name, tmp_path / "out.db") == 30
    client.delete_table(TableName=table_name)


def test_no_stream_and_none_allowed(moveout, dynamodb, table_name):
    client = dynamodb.client()
    tables.create_table(client, table_name, tables.SCHEMA, stream=None)
    assert_error(run(moveout, dynamodb, table_name, "--no-enable-stream"), "usage", 2, "stream")
    assert "StreamSpecification" not in client.describe_table(TableName=table_name)["Table"]
    client.delete_table(TableName=table_name)


def test_pages_with_a_wrong_checksum_are_asked_for_again(moveout, dynamodb, table, tmp_path):
    spoiled = []

    def spoil(operation, body, forward):
        answer = forward()
        if operation in ("Scan", "GetRecords") and answer.status == 200 and len(spoiled) < 6:
            spoiled.append(operation)
            answer.headers = {**answer.headers, "x-amz-crc32": crc(answer.body + b"x")}
        return answer

    with meddler(dynamodb, spoil) as between:
        done = run(moveout, dynamodb, table, endpoint=between.endpoint)
    assert len(spoiled) == 6
    assert done.exit_code == 0, str(done)
    compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")


def test_throttles_errors_and_cut_answers_lose_nothing(moveout, dynamodb, table, tmp_path):
    count = [0]

    def bad_day(operation, body, forward):
        count[0] += 1
        if count[0] % 7 == 0:
            return error(400, "ProvisionedThroughputExceededException", "slow down")
        if count[0] % 11 == 0:
            return error(500, "InternalServerError", "oops")
        if count[0] % 13 == 0:
            return None
        return forward()

    with meddler(dynamodb, bad_day) as between:
        done = run(moveout, dynamodb, table, endpoint=between.endpoint)
    assert done.exit_code == 0, str(done)
    compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")


def test_a_page_that_stays_malformed_stops_the_run(moveout, dynamodb, table, tmp_path):
    def cut(operation, body, forward):
        answer = forward()
        if operation != "Scan":
            return answer
        return Answer(200, answer.body[:len(answer.body) // 2])

    with meddler(dynamodb, cut) as between:
        done = run(moveout, dynamodb, table, "--set", "tables.0.columns=none", endpoint=between.endpoint)
    assert_error(done, "corrupt", 3)
    assert run(moveout, dynamodb, table, "--set", "tables.0.columns=none", "--state", "other", to="sqlite:b.db").exit_code == 0


def test_a_clock_that_is_off_is_named(moveout, dynamodb, table):
    def skewed(operation, body, forward):
        return error(400, "InvalidSignatureException", "Signature expired: 20200101T000000Z is now earlier than 20260101T000000Z")

    with meddler(dynamodb, skewed) as between:
        done = run(moveout, dynamodb, table, endpoint=between.endpoint)
    assert done.exit_code in (3, 5)
    assert "clock" in done.error["message"], str(done)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(moveout, dynamodb, table_name, small_disk):
    client = dynamodb.client()
    tables.create_table(client, table_name, tables.SCHEMA)
    tables.fill(client, table_name, 3000, tables.SCHEMA)
    done = run(moveout, dynamodb, table_name, to=f"sqlite:{small_disk}/out.db")
    assert_error(done, "disk_full", 5)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    done = run(moveout, dynamodb, table_name, to=f"sqlite:{small_disk}/out.db")
    assert done.exit_code == 0, str(done)
    compare.assert_equal(client, table_name, small_disk / "out.db")
    client.delete_table(TableName=table_name)
