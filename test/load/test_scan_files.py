"""Scan files: what the AWS CLI writes goes in, what moveout writes is what the AWS CLI would have, and nothing stops halfway."""

import gzip
import json
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import time

import pytest

from harness import compare, tables

SCHEMA = (("id", "S"), ("n", "N"))
KEY = "id:S,n:N"
# Debian's; a pip-made one may stand before it in PATH.
AWS = "/usr/bin/aws" if pathlib.Path("/usr/bin/aws").exists() else shutil.which("aws")


@pytest.fixture(scope="module")
def table(dynamodb):
    client = dynamodb.client()
    name = f"files_{os.getpid()}"
    tables.create_table(client, name, SCHEMA, stream=None)
    tables.fill(client, name, 1200, SCHEMA)
    yield name
    client.delete_table(TableName=name)


def aws_scan(dynamodb, table, *more):
    env = {**os.environ, **dynamodb.environment(), "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": ""}
    return subprocess.run([AWS, "dynamodb", "scan", "--table-name", table, "--endpoint-url", dynamodb.endpoint, "--output", "json",
                           *more], env=env, check=True, capture_output=True, timeout=300).stdout


@pytest.fixture(scope="module")
def aws_file(dynamodb, table):
    version = subprocess.run([AWS, "--version"], check=True, capture_output=True, text=True).stdout
    assert version.startswith("aws-cli/2.9"), version
    return aws_scan(dynamodb, table)


def pack(path, data):
    if path.name.endswith(".gz"):
        data = gzip.compress(data)
    elif path.name.endswith(".zst"):
        data = subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout
    path.write_bytes(data)


def unpack(path):
    data = path.read_bytes()
    if path.name.endswith(".gz"):
        return gzip.decompress(data)
    if path.name.endswith(".zst"):
        return subprocess.run(["zstd", "-qdc"], input=data, capture_output=True, check=True).stdout
    return data


def lines(count, width=200):
    return [json.dumps({"Item": {"id": {"S": f"k{i}"}, "n": {"N": str(i)}, "t": {"S": "x" * (i % width)}}}) for i in range(count)]


def rows(path, table):
    with sqlite3.connect(path) as db:
        return db.execute(f'SELECT id, n FROM "{table}" ORDER BY n').fetchall()


@pytest.mark.parametrize("name", ["t.json", "t.json.gz", "t.json.zst", "lines.jsonl", "bare.jsonl.gz", "query.json"])
def test_a_file_goes_into_sqlite_equal_to_its_table(moveout, dynamodb, table, aws_file, tmp_path, name):
    items = json.loads(aws_file)["Items"]
    text = {"lines": "\n".join(json.dumps({"Item": i}) for i in items), "bare": "\n".join(json.dumps(i) for i in items),
            "query": json.dumps(items, indent=4)}.get(name.split(".")[0])
    pack(tmp_path / name, aws_file if text is None else text.encode())
    done = moveout.run("load", "--from", name, "--to", f"sqlite:out.db?table={table}", "--key", KEY)
    assert done.exit_code == 0, str(done)
    assert done.result["items"] == len(items) and done.result["bytes"] > 0 and done.phases == ["backfill"]
    compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")
    again = moveout.run("load", "--from", name, "--to", f"sqlite:out.db?table={table}", "--key", KEY)
    assert again.exit_code == 0 and again.result["items"] == len(items), str(again)
    finished = moveout.run("finish", "--state", f".moveout/{name.split('.')[0]}")
    assert finished.exit_code == 0, str(finished)
    with sqlite3.connect(tmp_path / "out.db") as db:
        assert db.execute("SELECT name FROM sqlite_schema WHERE name LIKE '\\_moveout%' ESCAPE '\\' AND type = 'table'").fetchall() == []
    compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")


def test_a_file_goes_into_a_dynamodb_api(moveout, dynamodb, table, aws_file, tmp_path):
    (tmp_path / "t.json").write_bytes(aws_file)
    copy = f"{table}_copy"
    done = moveout.run("load", "--from", "t.json", "--to", dynamodb.url(copy), "--key", KEY)
    assert done.exit_code == 0, str(done)
    try:
        compare.compare_tables(dynamodb.client(), table, dynamodb.client(), copy)
        assert compare.read_source(dynamodb.client(), copy) == compare.read_source(dynamodb.client(), table)
    finally:
        dynamodb.client().delete_table(TableName=copy)


@pytest.mark.parametrize("name", ["out.json", "out.json.gz", "out.json.zst", "-"])
def test_scan_writes_what_the_aws_cli_writes(moveout, dynamodb, table, aws_file, tmp_path, name):
    if name == "-":
        done = moveout.run("scan", "--from", dynamodb.url(table), "--to", "-", "--format", "aws")
        data = done.stdout.encode()
    else:
        done = moveout.run("scan", "--from", dynamodb.url(table), "--to", name)
        data = unpack(tmp_path / name)
    assert done.exit_code == 0, str(done)
    order = lambda item: (item["id"]["S"], float(item["n"]["N"]))
    ours, theirs = json.loads(data), json.loads(aws_file)
    assert list(ours) == list(theirs) == ["Items", "Count", "ScannedCount", "ConsumedCapacity"]
    # The same bytes, but for the order of the items.
    for document in (ours, theirs):
        document["Items"].sort(key=order)
    assert json.dumps(ours, indent=4, ensure_ascii=False) == json.dumps(theirs, indent=4, ensure_ascii=False)
    assert data.decode() == json.dumps(json.loads(data), indent=4, ensure_ascii=False) + "\n"
    assert aws_file.decode() == json.dumps(json.loads(aws_file), indent=4, ensure_ascii=False) + "\n"


def test_an_empty_table_is_written_as_the_aws_cli_writes_it_and_loaded(moveout, dynamodb, tmp_path, table_name):
    tables.create_table(dynamodb.client(), table_name, SCHEMA, stream=None)
    done = moveout.run("scan", "--from", dynamodb.url(table_name), "--to", "e.json")
    assert done.exit_code == 0, str(done)
    assert (tmp_path / "e.json").read_bytes() == aws_scan(dynamodb, table_name)
    done = moveout.run("load", "--from", "e.json", "--to", "sqlite:e.db", "--table", "e", "--key", KEY)
    assert done.exit_code == 0 and done.result["items"] == 0, str(done)
    assert rows(tmp_path / "e.db", "e") == []


def test_standard_input_is_loaded(moveout, tmp_path):
    text = "\n".join(lines(500)).encode()
    for number, data in enumerate((text, gzip.compress(text))):
        done = subprocess.run([moveout.binary, "load", "--json", "--from", "-", "--to", f"sqlite:o{number}.db", "--table", "t", "--key",
                               KEY, "--state", f"s{number}"], cwd=tmp_path, env=moveout.env, input=data, capture_output=True, timeout=60)
        assert done.returncode == 0, done
        assert json.loads(done.stdout.splitlines()[-1])["items"] == 500
        assert len(rows(tmp_path / f"o{number}.db", "t")) == 500


def test_the_key_and_the_name_come_from_the_target_or_the_user_or_the_load_is_refused(moveout, tmp_path):
    (tmp_path / "t.jsonl").write_text("\n".join(lines(20)))

    def load(*more, to="sqlite:out.db"):
        return moveout.run("load", "--from", "t.jsonl", "--to", to, *more)

    for done, word in ((load("--key", KEY), "--table"), (load("--table", "t"), "--key"), (load("--table", "t", "--key", "id:X"), "NAME:S"),
                       (load("--table", "u", "--key", KEY, to="sqlite:out.db?table=t"), "--table u"),
                       (load("--table", "t", "--key", KEY, to="x.jsonl"), "database")):
        assert done.exit_code == 2 and word in done.error["message"], str(done)
    with sqlite3.connect(tmp_path / "out.db") as db:
        db.execute("CREATE TABLE t(id TEXT NOT NULL, n ANY NOT NULL, attributes TEXT, PRIMARY KEY(id, n)) STRICT")
    done = load("--table", "t", "--key", "id:S")
    assert done.exit_code == 2 and "another key" in done.error["message"], str(done)
    done = load("--table", "t")
    assert done.exit_code == 0, str(done)
    assert len(rows(tmp_path / "out.db", "t")) == 20
    # Populated, and a new state.
    done = load("--table", "t", "--state", "other")
    assert done.exit_code == 2, str(done)
    assert moveout.run("load", "--from", "none.json", "--to", "sqlite:x.db", "--table", "t", "--key", KEY).exit_code == 2
    assert not (tmp_path / "x.db").exists()


def test_a_broken_file_keeps_what_came_before_and_a_mended_one_goes_on(moveout, tmp_path):
    good = lines(3000)
    path = tmp_path / "t.jsonl"
    before = "\n".join(good[:2000]) + "\n"
    path.write_text(before + good[2000][:26] + "\n" + "\n".join(good[2001:]))
    load = ("load", "--from", "t.jsonl", "--to", "sqlite:out.db", "--table", "t", "--key", KEY)
    done = moveout.run(*load)
    assert done.exit_code == 3 and done.error["name"] == "corrupt", str(done)
    assert f"item 2001: expected no raw control character in a string at byte {len(before) + 26}" in done.error["message"]
    assert done.result["items"] == 2000 and len(rows(tmp_path / "out.db", "t")) == 2000
    path.write_text("\n".join(good))
    done = moveout.run(*load)
    assert done.exit_code == 0 and done.result["items"] == 3000, str(done)
    assert [n for _, n in rows(tmp_path / "out.db", "t")] == list(range(3000))
    # Another file under the same name is no longer that one.
    path.write_text("\n".join(lines(4000)))
    done = moveout.run(*load)
    assert done.exit_code == 2 and "another one" in done.error["message"], str(done)


def test_items_that_nobody_understands_are_set_aside(moveout, tmp_path):
    bad = '{"Item":{"id":{"S":"bad"},"n":{"N":"9"},"x":{"S":"\\ud800"}}}'
    (tmp_path / "t.jsonl").write_text("\n".join(lines(10) + [bad]))
    load = ("load", "--from", "t.jsonl", "--to", "sqlite:out.db", "--table", "t", "--key", KEY)
    done = moveout.run(*load)
    assert done.exit_code == 3 and done.error["name"] == "quarantine", str(done)
    assert len(rows(tmp_path / "out.db", "t")) == 10
    assert '"bad"' in (tmp_path / ".moveout" / "t" / "quarantine-t.jsonl").read_text()
    done = moveout.run(*load, "--accept-quarantine")
    assert done.exit_code == 0 and done.result["items"] == 11, str(done)


def test_a_key_that_stands_twice_is_told(moveout, tmp_path):
    (tmp_path / "t.jsonl").write_text("\n".join(lines(10) + lines(5)))
    done = moveout.run("load", "--from", "t.jsonl", "--to", "sqlite:out.db", "--table", "t", "--key", KEY)
    assert done.exit_code == 0 and len(rows(tmp_path / "out.db", "t")) == 10, str(done)
    assert any("5 items had a key" in notice["message"] for notice in done.named("notice"))


def cycles():
    wanted = os.environ.get("LOAD_CYCLES", "5")
    return range(25) if wanted == "all" else range(int(wanted))


@pytest.mark.parametrize("number", cycles())
def test_a_killed_load_goes_on_and_every_item_stands_once(moveout, tmp_path, number):
    chance = random.Random(f"{number}/{time.time() // 86400}")
    text = ("\n".join(lines(60000, 600))).encode()
    path = tmp_path / chance.choice(("t.jsonl", "t.jsonl.gz", "t.jsonl.zst"))
    pack(path, text)
    load = ("load", "--from", path.name, "--to", "sqlite:out.db", "--table", "t", "--key", KEY, "--state", "s")
    for _ in range(4):
        running = moveout.start(*load)
        time.sleep(chance.uniform(0.02, 0.5))
        running.kill9()
    done = moveout.run(*load)
    assert done.exit_code == 0 and done.result["items"] == 60000, str(done)
    assert [n for _, n in rows(tmp_path / "out.db", "t")] == list(range(60000))
