"""Tables moved from one DynamoDB API into another, held against the source by an SDK that shares nothing with moveout."""

import time

import pytest

from harness import compare, tables
from harness.servers import dynalite, dynamodb_local


@pytest.fixture(scope="module", params=["dynamodb-local", "dynalite"])
def target(request):
    with dynamodb_local() if request.param == "dynamodb-local" else dynalite() as server:
        yield server


@pytest.fixture(scope="module")
def second_local():
    with dynamodb_local() as server:
        yield server


@pytest.fixture
def table(filled):
    return filled(400)


def indexed_table(client, name):
    client.create_table(
        TableName=name, ProvisionedThroughput={"ReadCapacityUnits": 7, "WriteCapacityUnits": 9},
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": a, "AttributeType": t} for a, t in (("id", "S"), ("n", "N"), ("buyer", "S"), ("due", "N"))],
        LocalSecondaryIndexes=[{"IndexName": "by_due", "Projection": {"ProjectionType": "KEYS_ONLY"},
                                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "due", "KeyType": "RANGE"}]}],
        GlobalSecondaryIndexes=[{"IndexName": "by_buyer", "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["total"]},
                                 "KeySchema": [{"AttributeName": "buyer", "KeyType": "HASH"}],
                                 "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}}])
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def shape(client, name):
    described = client.describe_table(TableName=name)["Table"]

    def indexes(kind):
        return {i["IndexName"]: (i["KeySchema"], i["Projection"].get("ProjectionType"), i["Projection"].get("NonKeyAttributes"))
                for i in described.get(kind, [])}

    throughput = described["ProvisionedThroughput"]
    return (sorted((a["AttributeName"], a["AttributeType"]) for a in described["AttributeDefinitions"]), described["KeySchema"],
            throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"],
            indexes("LocalSecondaryIndexes"), indexes("GlobalSecondaryIndexes"))


@pytest.mark.parametrize("mode", ["auto", "m4"])
def test_copy_adds_nothing_to_the_items(moveout, dynamodb, target, table, mode):
    done = moveout.run("copy", "--from", dynamodb.url(table), "--to", target.url(f"{table}_2"), "--set", f"target.mode={mode}")
    assert done.exit_code == 0, str(done)
    found = compare.compare_tables(dynamodb.client(), table, target.client(), f"{table}_2")
    assert found.equal, str(found)
    assert done.result["items"] == found.items
    verified = moveout.run("verify", "--from", dynamodb.url(table), "--to", target.url(f"{table}_2"))
    assert verified.exit_code == 0, str(verified)


@pytest.mark.parametrize("schema", [(("k", "N"),), (("a", "B"), ("b", "S"))], ids=lambda s: "+".join(t for _, t in s))
def test_keys_of_other_types(moveout, dynamodb, target, table_name, schema):
    client = dynamodb.client()
    tables.create_table(client, table_name, schema, stream=None)
    tables.fill(client, table_name, 150, schema)
    done = moveout.run("copy", "--from", dynamodb.url(table_name), "--to", target.url(table_name + "_2"))
    assert done.exit_code == 0, str(done)
    found = compare.compare_tables(client, table_name, target.client(), table_name + "_2")
    assert found.equal and found.items == done.result["items"], str(found)
    client.delete_table(TableName=table_name)


def test_guarded_items_carry_a_version_until_finish(moveout, dynamodb, target, table):
    to = target.url(f"{table}_2")
    done = moveout.run("copy", "--from", dynamodb.url(table), "--to", to, "--set", "target.mode=m3", "--state", "state")
    assert done.exit_code == 0, str(done)
    found = compare.compare_tables(dynamodb.client(), table, target.client(), f"{table}_2")
    assert len(found.different) == done.result["items"] and not found.missing and not found.extra
    found = compare.without_versions(found)
    assert found.equal, str(found)
    verified = moveout.run("verify", "--from", dynamodb.url(table), "--to", to)
    assert verified.exit_code == 0, str(verified)
    finished = moveout.run("finish", "--state", "state")
    assert finished.exit_code == 0, str(finished)
    found = compare.compare_tables(dynamodb.client(), table, target.client(), f"{table}_2")
    assert found.equal, str(found)


@pytest.mark.parametrize("indexes", ["with_table", "after_backfill"])
def test_the_table_is_made_like_the_source(moveout, dynamodb, second_local, table_name, indexes):
    client = dynamodb.client()
    indexed_table(client, table_name)
    tables.fill(client, table_name, 60, tables.SCHEMA, hostile=False)
    done = moveout.run("copy", "--from", dynamodb.url(table_name), "--to", second_local.url(table_name), "--set", f"target.indexes={indexes}")
    assert done.exit_code == 0, str(done)
    assert shape(second_local.client(), table_name) == shape(client, table_name)
    assert compare.compare_tables(client, table_name, second_local.client()).equal
    client.delete_table(TableName=table_name)


def test_a_table_with_other_items_is_refused(moveout, dynamodb, target, table):
    tables.create_table(target.client(), f"{table}_2", tables.SCHEMA, stream=None)
    target.client().put_item(TableName=f"{table}_2", Item={"id": {"S": "theirs"}, "n": {"N": "1"}})
    done = moveout.run("copy", "--from", dynamodb.url(table), "--to", target.url(f"{table}_2"))
    assert done.exit_code == 2 and "not empty" in done.error["message"], str(done)
    assert len(compare.read_source(target.client(), f"{table}_2")[0]) == 1


def test_a_table_with_another_key_is_refused(moveout, dynamodb, target, table):
    tables.create_table(target.client(), f"{table}_2", (("id", "S"),), stream=None)
    done = moveout.run("copy", "--from", dynamodb.url(table), "--to", target.url(f"{table}_2"))
    assert done.exit_code == 2 and "key" in done.error["message"], str(done)


def test_a_target_that_was_dropped_and_made_again_stops_the_copy(moveout, dynamodb, target, table):
    command = ["copy", "--from", dynamodb.url(table), "--to", target.url(f"{table}_2")]
    running = moveout.start(*command, "--max-rcu", "20")
    running.wait_for_event("progress", stage="backfill")
    assert running.kill9().exit_code == -9
    client = target.client()
    client.delete_table(TableName=f"{table}_2")
    client.get_waiter("table_not_exists").wait(TableName=f"{table}_2", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    done = moveout.run(*command)
    assert done.exit_code == 3 and done.error["name"] == "target_changed", str(done)
    time.sleep(1.1)  # creation times of whole seconds
    tables.create_table(client, f"{table}_2", tables.SCHEMA, stream=None)
    done = moveout.run(*command)
    assert done.exit_code == 3 and done.error["name"] == "target_changed", str(done)


def test_a_copy_that_was_killed_goes_on(moveout, dynamodb, target, table):
    command = ["copy", "--from", dynamodb.url(table), "--to", target.url(f"{table}_2")]
    running = moveout.start(*command, "--max-rcu", "20")
    running.wait_for_event("progress", stage="backfill")
    assert running.kill9().exit_code == -9
    done = moveout.run(*command)
    assert done.exit_code == 0, str(done)
    found = compare.compare_tables(dynamodb.client(), table, target.client(), f"{table}_2")
    assert found.equal and found.items == done.result["items"], str(found)


def test_an_item_that_the_version_makes_too_large_is_set_aside(moveout, dynamodb, second_local, table_name):
    client = dynamodb.client()
    tables.create_table(client, table_name, tables.SCHEMA, stream=None)
    tables.fill(client, table_name, 20, tables.SCHEMA, hostile=False)
    # id + n + their names + "t" come to 15 bytes beside the text.
    client.put_item(TableName=table_name, Item={"id": {"S": "big"}, "n": {"N": "1"}, "t": {"S": "x" * (400 * 1024 - 15)}})
    command = ["copy", "--from", dynamodb.url(table_name), "--to", second_local.url(table_name), "--set", "target.mode=m3"]
    done = moveout.run(*command)
    assert done.exit_code == 3 and done.error["name"] == "quarantine", str(done)
    found = compare.without_versions(compare.compare_tables(client, table_name, second_local.client()))
    assert len(found.missing) == 1 and not found.extra and not found.different, str(found)
    # Without a version on it, it fits.
    done = moveout.run("copy", "--from", dynamodb.url(table_name), "--to", second_local.url(table_name + "_m4"), "--state", "m4")
    assert done.exit_code == 0, str(done)
    assert compare.compare_tables(client, table_name, second_local.client(), table_name + "_m4").equal
    client.delete_table(TableName=table_name)


def test_an_endpoint_whose_lateness_is_not_known_is_refused(moveout, dynamodb, table):
    done = moveout.run("copy", "--from", dynamodb.url(table), "--to", "dynamodb://us-east-1/orders?endpoint=https://db.example.org")
    assert done.exit_code == 2 and "target.late" in done.error["message"], str(done)


# create, fill ─ writer starts ─ run ─ kill −9 in the named phase ─ rollover ─ run ─ writer stops ─ in sync ─ compare ─ finish ─ compare
@pytest.mark.parametrize("mode", ["m3", "m4"])
@pytest.mark.parametrize("phase", ["backfill", "replay", "verify"])
def test_a_run_survives_kill_9_under_writes(moveout, dynamodb, target, table_name, phase, mode):
    client = dynamodb.client()
    tables.create_table(client, table_name, tables.SCHEMA)
    tables.fill(client, table_name, 300, tables.SCHEMA)
    command = ["run", "--from", dynamodb.url(table_name), "--to", target.url(f"{table_name}_2"), "--set", f"target.mode={mode}",
               "--state", "state", "--until", "in-sync"]
    with tables.LiveWriter(dynamodb.client, table_name, tables.SCHEMA, 300, threads=2, rate=20) as writer:
        running = moveout.start(*command)
        running.wait_for_phase(phase, timeout=120)
        time.sleep(0.3)
        assert running.kill9().exit_code in (-9, 0)
        dynamodb.rollover()
        last = moveout.start(*command)
        last.wait_for_phase("replay", timeout=120)
        time.sleep(2)
        done, _ = moveout.in_sync_behind(last, writer.stop, timeout=240)
    assert done.exit_code == 0, str(done)
    found = compare.before_finish(client, table_name, target.client(), f"{table_name}_2")
    assert found.equal, str(found)
    finished = moveout.run("finish", "--state", "state", timeout=240)
    assert finished.exit_code == 0, str(finished)
    found = compare.compare_tables(client, table_name, target.client(), f"{table_name}_2")
    assert found.equal, str(found)
    client.delete_table(TableName=table_name)
