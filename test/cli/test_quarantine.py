"""Items that nobody understands: set aside under their key, with the reason, and nothing else is lost."""

import json
import os
import sqlite3

import pytest

from harness import compare, tables
from harness.meddler import meddler

SCHEMA = (("id", "S"), ("n", "N"))
MARK = "what stands here becomes a lone surrogate"


def spoil(operation, body, forward):
    """DynamoDB Local holds no lone surrogate: it gets into its answers here."""
    answer = forward()
    if operation in ("Scan", "BatchGetItem", "GetRecords") and MARK.encode() in answer.body:
        answer.body = answer.body.replace(MARK.encode(), b"x\\ud800y")
        answer.headers = {k: v for k, v in answer.headers.items() if k.lower() != "x-amz-crc32"}
    return answer


def odd(number):
    return {"id": {"S": f"odd{number}"}, "n": {"N": "1"}, "note": {"S": MARK}}


@pytest.fixture
def table(request, dynamodb, table_name):
    client = dynamodb.client()
    tables.create_table(client, table_name, SCHEMA, stream=getattr(request, "param", "NEW_AND_OLD_IMAGES"))
    tables.fill(client, table_name, 120, SCHEMA, hostile=False)
    for number in range(3):
        client.put_item(TableName=table_name, Item=odd(number))
    yield table_name
    client.delete_table(TableName=table_name)


def set_aside(path):
    return {line["Keys"]["id"]["S"]: line for line in map(json.loads, path.read_text().splitlines())}


@pytest.mark.parametrize("table", ["NEW_AND_OLD_IMAGES", "KEYS_ONLY"], indirect=True)
def test_what_nobody_understands_is_set_aside_and_the_rest_of_its_page_arrives(moveout, dynamodb, table, tmp_path):
    client = dynamodb.client()
    file = tmp_path / "s" / f"quarantine-{table}.jsonl"
    with meddler(dynamodb, spoil) as between:
        args = ["run", "--from", dynamodb.url(table, endpoint=between.endpoint), "--to", "sqlite:out.db", "--state", "s", "--until", "in-sync"]
        done = moveout.run(*args)
        assert done.exit_code == 3 and done.error["name"] == "quarantine", str(done)
        assert file.name in done.error["message"] and "--accept-quarantine" in done.error["message"]
        assert sorted(set_aside(file)) == ["odd0", "odd1", "odd2"]
        assert os.stat(file).st_mode & 0o777 == 0o600
        line = set_aside(file)["odd1"]
        assert line["Table"] == table and "surrogate" in line["Reason"]
        assert line["Item"]["note"]["S"] == "x\ud800y"
        with sqlite3.connect(tmp_path / "out.db") as db:
            assert db.execute(f'SELECT count(*) FROM "{table}"').fetchone() == (120,)
        # One is mended, one deleted, one stays: each key stands once in the file, or not at all.
        client.put_item(TableName=table, Item={**odd(0), "note": {"S": "mended"}})
        client.delete_item(TableName=table, Key={k: odd(1)[k] for k in ("id", "n")})
        client.put_item(TableName=table, Item={**odd(2), "more": {"N": "2"}})
        done = moveout.run(*args)
        assert done.exit_code == 3 and done.error["name"] == "quarantine", str(done)
        assert list(set_aside(file)) == ["odd2"]
        assert len(file.read_text().splitlines()) == 1
        done = moveout.run(*args, "--accept-quarantine")
        assert done.exit_code == 0 and done.phases[-1] == "in_sync", str(done)
        assert done.named("table_result")[0]["quarantined"] == 1
        # The last one is mended: nothing is left to accept, and no file.
        client.put_item(TableName=table, Item={**odd(2), "note": {"S": "mended"}})
        done = moveout.run(*args)
        assert done.exit_code == 0, str(done)
    assert not file.exists()
    assert compare.assert_equal(client, table, tmp_path / "out.db") == 122


def test_what_is_set_aside_leaves_nothing_older_behind_and_verify_knows_it(moveout, dynamodb, table, tmp_path):
    client = dynamodb.client()
    with meddler(dynamodb, spoil) as between:
        sides = ["--from", dynamodb.url(table, endpoint=between.endpoint), "--to", "sqlite:out.db", "--state", "s"]
        assert moveout.run("run", *sides, "--until", "in-sync", "--accept-quarantine").exit_code == 0
        # A row that was fine becomes one that nobody understands; more are made than a report names.
        ((name, n),) = sqlite3.connect(tmp_path / "out.db").execute(f'SELECT id, n FROM "{table}" LIMIT 1').fetchall()
        client.put_item(TableName=table, Item={"id": {"S": name}, "n": {"N": str(n)}, "note": {"S": MARK}})
        tables.put_all(client, table, [odd(number) for number in range(1200)])
        done = moveout.run("run", *sides, "--until", "in-sync", "--accept-quarantine")
        assert done.exit_code == 0 and done.phases[-1] == "in_sync", str(done)
        assert done.named("table_result")[0]["quarantined"] == 1201
        with sqlite3.connect(tmp_path / "out.db") as db:
            assert db.execute(f'SELECT count(*), sum(id = ? AND n = ?) FROM "{table}"', (name, n)).fetchone() == (119, 0)
        assert len(set_aside(tmp_path / "s" / f"quarantine-{table}.jsonl")) == 1201
        done = moveout.run("verify", *sides)
        assert done.exit_code == 0, str(done)
        assert {k: done.result[k] for k in ("matched", "missing", "quarantined")} == {"matched": 119, "missing": 0, "quarantined": 1201}
        # Without the run's state nobody knows why they are missing.
        done = moveout.run("verify", *sides[:-1], "elsewhere")
        assert done.exit_code == 1 and done.result["missing"] == 1201 and done.result["quarantined"] == 0, str(done)


def test_a_key_that_nobody_understands_stops_and_is_named_by_its_place(moveout, dynamodb, table, tmp_path):
    dynamodb.client().put_item(TableName=table, Item={**odd(9), "id": {"S": MARK}})
    with meddler(dynamodb, spoil) as between:
        done = moveout.run("copy", "--from", dynamodb.url(table, endpoint=between.endpoint), "--to", "sqlite:out.db")
    assert done.exit_code == 3 and done.error["name"] == "corrupt", str(done)
    for word in (table, "segment", "page", "key"):
        assert word in done.error["message"]


def test_copy_and_scan_end_with_quarantine_until_it_is_accepted(moveout, dynamodb, table, tmp_path):
    with meddler(dynamodb, spoil) as between:
        url = dynamodb.url(table, endpoint=between.endpoint)
        for args in (["copy", "--from", url, "--to", "sqlite:out.db"], ["scan", "--from", url, "--to", "out.jsonl"]):
            done = moveout.run(*args)
            assert done.exit_code == 3 and done.error["name"] == "quarantine", str(done)
            done = moveout.run(*args, "--accept-quarantine")
            assert done.exit_code == 0 and done.result["items"] == 123, str(done)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 120
    assert list((tmp_path / ".moveout" / "scan-out.jsonl").glob("quarantine-*"))
