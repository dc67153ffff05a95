"""A target that throttles 5 % of the requests, fails 2 % (a part of them after it acted, or later), leaves a part of 20 % of the batches
unprocessed and takes up to 50 ms to answer: complete, every key once, and in good time."""

import random
from contextlib import ExitStack

import pytest

from harness import compare, tables
from harness.faults import Faults
from harness.meddler import meddler
from harness.servers import dynalite, dynamodb_local

SCHEMA = (("id", "S"), ("n", "N"))
ITEMS = 1000
SERVERS = {"dynamodb-local": dynamodb_local, "dynalite": dynalite}


@pytest.fixture(scope="module")
def targets():
    with ExitStack() as stack:
        started = {}

        def target(kind):
            if kind not in started:
                started[kind] = stack.enter_context(SERVERS[kind]())
            return started[kind]

        yield target


@pytest.fixture
def table(dynamodb, table_name):
    client = dynamodb.client()
    tables.create_table(client, table_name, SCHEMA)
    tables.fill(client, table_name, ITEMS, SCHEMA)
    yield table_name
    client.delete_table(TableName=table_name)


@pytest.mark.parametrize("kind, mode", [("dynamodb-local", "m3"), ("dynalite", "m4")])
def test_copy_is_complete(moveout, dynamodb, targets, table, kind, mode):
    target = targets(kind)
    faults = Faults(random.Random(mode))
    with meddler(target, faults) as between:
        to = target.url(f"{table}_2", endpoint=between.endpoint)
        done = moveout.run("copy", "--from", dynamodb.url(table), "--to", to, "--set", f"target.mode={mode}", "--state", "state", timeout=120)
        assert done.exit_code == 0, str(done)
        faults.settle()
    found = compare.without_versions(compare.compare_tables(dynamodb.client(), table, target.client(), f"{table}_2"))
    assert found.equal and found.items == done.result["items"], str(found)
    assert faults.counts["throttle"] and faults.counts["unprocessed" if mode == "m4" else "late"], faults.counts


@pytest.mark.parametrize("kind, mode", [("dynamodb-local", "m4"), ("dynalite", "m3")])
def test_a_run_under_writes_gets_in_sync(moveout, dynamodb, targets, table, kind, mode):
    target = targets(kind)
    faults = Faults(random.Random(mode))
    with meddler(target, faults) as between:
        to = target.url(f"{table}_2", endpoint=between.endpoint)
        command = ["run", "--from", dynamodb.url(table), "--to", to, "--set", f"target.mode={mode}", "--state", "state", "--until", "in-sync"]
        with tables.LiveWriter(dynamodb.client, table, SCHEMA, ITEMS, threads=2, rate=40):
            running = moveout.start(*command)
            running.wait_for_phase("replay", timeout=150)
            dynamodb.rollover()
        assert running.finish(timeout=200).exit_code == 0
        # What it said may have been of an instant before the last write.
        done = moveout.run(*command, timeout=200)
        assert done.exit_code == 0, str(done)
        faults.settle()
        finished = moveout.run("finish", "--state", "state", timeout=200)
        assert finished.exit_code == 0, str(finished)
    found = compare.compare_tables(dynamodb.client(), table, target.client(), f"{table}_2")
    assert found.equal, str(found)
    assert faults.counts["throttle"] and faults.counts["late"] + faults.counts["lost answer"], faults.counts
