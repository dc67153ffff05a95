"""`moveout verify`: beside a run, without one, stopped in the middle, and what scripts read of it."""

import signal
import sqlite3
import time

import pytest

from harness import tables
from harness.servers import free_port

SCHEMA = (("id", "S"), ("n", "N"))
FIGURES = ("matched", "missing", "extra", "different", "hot", "expired", "quarantined")


@pytest.fixture
def table(dynamodb, table_name):
    client = dynamodb.client()
    tables.create_table(client, table_name, SCHEMA)
    yield table_name
    client.delete_table(TableName=table_name)


def verify(moveout, dynamodb, table, *more, to="sqlite:out.db", timeout=300, **kinds):
    return moveout.run("verify", "--from", dynamodb.url(table), "--to", to, *more, timeout=timeout, **kinds)


def change(path, statement, *values):
    with sqlite3.connect(path, timeout=30) as db:
        return db.execute(statement, values).rowcount


def tamper(path, table):
    """One row less, one changed, one more: rows of keys that the writer leaves alone."""
    quiet = "substr(id, 1, 5) = 'quiet'"
    assert change(path, f'DELETE FROM "{table}" WHERE {quiet} AND n = 1') == 1
    assert change(path, f'UPDATE "{table}" SET attributes = \'{{"odd":{{"BOOL":true}}}}\' WHERE {quiet} AND n = 2') == 1
    assert change(path, f'INSERT INTO "{table}" (id, n) VALUES (\'quiet\', 1000)') == 1


def put_quiet(client, table, count=50, size=0):
    tables.put_all(client, table, [{"id": {"S": "quiet"}, "n": {"N": str(n)}, "note": {"S": f"note {n}" + "x" * size}}
                                   for n in range(count)])


def assert_differences(done, **counts):
    assert done.exit_code == 1 and done.error["name"] == "differences", str(done)
    found = {k: done.result[k] for k in ("missing", "extra", "different")}
    assert found == {"missing": 0, "extra": 0, "different": 0, **counts}, str(done)


def applied(done):
    (result,) = done.named("table_result")
    return result["applied"]


def test_beside_a_run_under_live_writes_nothing_is_accused_and_everything_wrong_is_found(moveout, dynamodb, table, tmp_path):
    client = dynamodb.client()
    tables.fill(client, table, 1500, SCHEMA, hostile=False)
    put_quiet(client, table)
    running = moveout.start("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--state", "state")
    running.wait_for_phase("verify", timeout=120)
    with tables.LiveWriter(dynamodb.client, table, SCHEMA, keys=1500, threads=2, rate=60) as writer:
        time.sleep(3)
        for more in ([], ["--state", "state"]):
            before = writer.writes
            done = verify(moveout, dynamodb, table, *more)
            assert done.exit_code == 0, str(done)
            assert applied(done) == "run", str(done)
            assert done.result["missing"] + done.result["extra"] + done.result["different"] == 0
            assert done.result["matched"] > 1000
            assert writer.writes > before
        tamper(tmp_path / "out.db", table)
        done = verify(moveout, dynamodb, table)
        assert applied(done) == "run", str(done)
        assert_differences(done, missing=1, extra=1, different=1)
    running.signal(signal.SIGTERM)
    running.finish()


def test_a_change_that_a_slow_run_has_not_applied_yet_is_waited_for(moveout, dynamodb, table):
    client = dynamodb.client()
    put_quiet(client, table, 400)
    running = moveout.start("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--state", "state")
    running.wait_for_phase("in_sync", timeout=120)
    # Stopped for less than it takes to be believed dead: what is written meanwhile is on its way.
    running.signal(signal.SIGSTOP)
    tables.put_all(client, table, [{"id": {"S": "quiet"}, "n": {"N": str(n)}, "note": {"S": "new"}} for n in range(100)])
    beside = moveout.start("verify", "--from", dynamodb.url(table), "--to", "sqlite:out.db")
    time.sleep(3)
    running.signal(signal.SIGCONT)
    done = beside.finish(300)
    assert done.exit_code == 0 and done.result["matched"] == 400, str(done)
    running.signal(signal.SIGTERM)
    running.finish()


def test_a_run_that_stands_still_is_told_as_such_and_what_it_lacks_is_found(moveout, dynamodb, table):
    client = dynamodb.client()
    put_quiet(client, table, 200)
    running = moveout.start("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--state", "state")
    running.wait_for_phase("in_sync", timeout=120)
    running.kill9()
    for n in range(7):
        client.put_item(TableName=table, Item={"id": {"S": "quiet"}, "n": {"N": str(1000 + n)}})
    client.delete_item(TableName=table, Key={"id": {"S": "quiet"}, "n": {"N": "0"}})
    done = verify(moveout, dynamodb, table)
    assert applied(done) == "stopped", str(done)
    assert_differences(done, missing=7, extra=1)
    words = verify(moveout, dynamodb, table, json=False)
    assert "stands still" in words.stdout and "7 missing, 1 extra" in words.stdout, str(words)
    # The same run goes on, and then both sides agree.
    again = moveout.run("run", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--state", "state", "--until", "in-sync")
    assert again.exit_code == 0, str(again)
    assert verify(moveout, dynamodb, table).exit_code == 0


def test_without_a_run_a_difference_is_read_again_after_five_seconds(moveout, dynamodb, table, tmp_path):
    put_quiet(dynamodb.client(), table)
    assert moveout.run("copy", "--from", dynamodb.url(table), "--to", "sqlite:out.db").exit_code == 0
    clean = verify(moveout, dynamodb, table)
    assert clean.exit_code == 0 and applied(clean) == "none", str(clean)
    tamper(tmp_path / "out.db", table)
    done = verify(moveout, dynamodb, table)
    assert_differences(done, missing=1, extra=1, different=1)
    assert done.seconds >= 5


@pytest.mark.parametrize("end, code", [("kill", None), ("term", 4)])
def test_stopped_in_the_middle_it_goes_on_from_there(moveout, dynamodb, table, tmp_path, end, code):
    put_quiet(dynamodb.client(), table, 450, size=3500)  # a unit each to read
    assert moveout.run("copy", "--from", dynamodb.url(table), "--to", "sqlite:out.db").exit_code == 0
    tamper(tmp_path / "out.db", table)
    args = ["verify", "--from", dynamodb.url(table), "--to", "sqlite:out.db"]
    whole = moveout.run(*args)
    # So slow that it is stopped in the middle. Progress is written every 10 s, and at a clean stop.
    slow = moveout.start(*args, "--max-rcu", "10")
    slow.wait_for(lambda e: e["event"] == "progress" and e["items"] > (170 if end == "kill" else 70), timeout=60)
    if end == "kill":
        slow.kill9()
    else:
        slow.signal(signal.SIGTERM)
        stopped = slow.finish()
        assert stopped.exit_code == code and stopped.error["name"] == "stopped", str(stopped)
        assert "the same command goes on" in stopped.error["message"]
        assert stopped.result["phase"] == "verify" and all(name in stopped.result for name in FIGURES), str(stopped)
    # What was read is not read again: at this pace nobody reads so many items in a second.
    again = moveout.start(*args, "--max-rcu", "10")
    assert again.wait_for_event("progress")["items"] > 60
    again.kill9()
    done = moveout.run(*args)
    assert_differences(done, missing=1, extra=1, different=1)
    assert done.result["matched"] == whole.result["matched"]
    # And it left nothing that another one would go on from: the target is mended, and that is seen.
    assert change(tmp_path / "out.db", f'DELETE FROM "{table}" WHERE n = 1000 AND id = \'quiet\'') == 1
    assert_differences(moveout.run(*args), missing=1, different=1)


def test_progress_with_another_target_is_not_continued(moveout, dynamodb, table, tmp_path):
    client = dynamodb.client()
    put_quiet(client, table, 450, size=3500)
    for name in ("one", "two"):
        done = moveout.run("copy", "--from", dynamodb.url(table), "--to", f"sqlite:{name}.db", "--state", name)
        assert done.exit_code == 0, str(done)
    gone = change(tmp_path / "two.db", f'DELETE FROM "{table}" WHERE rowid < 300')
    assert gone > 200
    slow = moveout.start("verify", "--from", dynamodb.url(table), "--to", "sqlite:one.db", "--max-rcu", "10", "--state", "s")
    slow.wait_for(lambda e: e["event"] == "progress" and e["items"] > 170, timeout=60)
    slow.kill9()
    assert_differences(verify(moveout, dynamodb, table, "--state", "s", to="sqlite:two.db"), missing=gone)


def test_an_expired_item_on_one_side_only_is_a_class_of_its_own(moveout, dynamodb, table):
    client = dynamodb.client()
    put_quiet(client, table)
    past, future = str(int(time.time()) - 1000), str(int(time.time()) + 100_000)
    for n, expires in ((2000, past), (2001, past), (2002, future), (2003, None)):
        item = {"id": {"S": "quiet"}, "n": {"N": str(n)}, **({"expires": {"N": expires}} if expires else {})}
        client.put_item(TableName=table, Item=item)
    assert moveout.run("copy", "--from", dynamodb.url(table), "--to", "sqlite:out.db").exit_code == 0
    for n in (2000, 2001, 2002, 2003):
        client.delete_item(TableName=table, Key={"id": {"S": "quiet"}, "n": {"N": str(n)}})
    assert_differences(verify(moveout, dynamodb, table), extra=4)
    client.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"})
    done = verify(moveout, dynamodb, table)
    assert_differences(done, extra=2)
    assert done.result["expired"] == 2, str(done)
    words = verify(moveout, dynamodb, table, json=False)
    assert "2 extra" in words.stdout and "2 expired and on one side only" in words.stdout, str(words)


@pytest.mark.parametrize("args, code, phase", [
    (["--from", "dynamodb://us-east-1/t"], 2, "capture"),
    (["--from", "dynamodb://us-east-1/t", "--to", "sqlite:o.db", "--colour"], 2, "capture"),
    (["--from", "dynamodb://us-east-1/t", "--to", "file:o.jsonl"], 2, "capture"),
    (["--from", "dynamodb://us-east-1/no-such-table?endpoint={ddb}", "--to", "sqlite:o.db"], 2, "verify"),
    (["--from", "dynamodb://us-east-1/t?endpoint=http://127.0.0.1:{free}", "--to", "sqlite:o.db"], 5, "verify"),
])
def test_whatever_is_wrong_the_last_line_has_every_field(moveout, dynamodb, args, code, phase):
    done = moveout.run("verify", *[arg.format(ddb=dynamodb.endpoint, free=free_port()) for arg in args])
    assert done.exit_code == code, str(done)
    assert done.error["exit"] == code
    assert all(done.result[name] == 0 for name in FIGURES), str(done)
    assert done.result["phase"] == phase, str(done)


def test_a_target_that_is_not_there_or_no_database_is_a_wrong_request(moveout, dynamodb, table, tmp_path):
    (tmp_path / "text.db").write_text("this is not a database, however long it may be " * 100)
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE other (x)").connection.commit()
    for name in ("absent.db", "text.db", "empty.db"):
        done = verify(moveout, dynamodb, table, to=f"sqlite:{name}")
        assert done.exit_code == 2, str(done)
        assert all(field in done.result for field in FIGURES)
    assert not (tmp_path / "absent.db").exists()


def test_two_verifications_in_one_state_do_not_mix(moveout, dynamodb, table):
    client = dynamodb.client()
    tables.fill(client, table, 600, SCHEMA, hostile=False)
    assert moveout.run("copy", "--from", dynamodb.url(table), "--to", "sqlite:out.db").exit_code == 0
    slow = moveout.start("verify", "--from", dynamodb.url(table), "--to", "sqlite:out.db", "--max-rcu", "5")
    slow.wait_for_phase("verify")
    second = verify(moveout, dynamodb, table)
    assert second.exit_code == 3 and second.error["name"] == "run_locked", str(second)
    slow.signal(signal.SIGINT)
    assert slow.finish().exit_code == 4
    assert verify(moveout, dynamodb, table).exit_code == 0
