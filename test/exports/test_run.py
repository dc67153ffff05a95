"""`run --backfill export`: a live table moved without reading it for the copy, with an export as fuzzy as the real one."""

import random
import time

import pytest

from harness import compare, tables

SCHEMA = (("id", "S"), ("n", "N"))
ITEMS = 400


@pytest.fixture
def busy(dynamodb, table):
    with tables.LiveWriter(dynamodb.client, table, SCHEMA, ITEMS, seed=random.randrange(10**6), threads=2, rate=60) as writer:
        yield writer


def run(moveout, exports, table, bucket, *more, start=False, margin="4s"):
    return (moveout.start if start else moveout.run)(
        "run", "--from", exports.url(table), "--to", "sqlite:out.db", "--until", "in-sync", "--backfill", "export",
        "--set", f"export.bucket={bucket}", "--set", "export.prefix=p", "--set", f"export.margin={margin}",
        "--set", "export.enable_pitr=true", *more)


def test_a_live_table_is_moved_by_an_export_and_its_stream(moveout, exports, dynamodb, table, bucket, busy, tmp_path):
    running = run(moveout, exports, table, bucket, start=True)
    running.wait_for_phase("replay", timeout=60)
    asked = list(exports.asked)
    assert "Scan" not in asked and "BatchGetItem" not in asked, "the copy used read capacity"
    assert asked.index("DescribeStream") < asked.index("ExportTableToPointInTime"), "the export is older than the capture"
    end = time.monotonic() + 60
    while busy.writes <= 200 and time.monotonic() < end:
        time.sleep(0.1)
    done, _ = moveout.in_sync_behind(running, busy.stop, timeout=90)
    assert done.exit_code == 0, str(done)
    assert compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db") == done.result["items"]
    assert busy.writes > 200


def test_a_killed_run_goes_on_with_the_export_it_asked_for(moveout, exports, dynamodb, table, bucket, busy, tmp_path):
    exports.wait_s = 1.5
    for event, after in (("export.margin", 0.5), ("export.waiting", 0.3), ("export.waiting", 1.6)):
        running = run(moveout, exports, table, bucket, start=True)
        end = time.monotonic() + 30
        while event not in running.stderr:
            assert time.monotonic() < end, running.stderr
            time.sleep(0.02)
        time.sleep(after)
        running.kill9()
    busy.stop()
    done = run(moveout, exports, table, bucket)
    assert done.exit_code == 0, str(done)
    assert len(exports.exports) == 1, "an export was asked for twice"
    compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")


def test_an_export_that_is_older_than_the_capture_is_refused_and_a_fuzzy_one_is_too(moveout, exports, table, bucket, tmp_path):
    asked = moveout.run("export", "request", "--from", exports.url(table), "--to", f"s3://{bucket}/p", "--enable-pitr", "--wait")
    assert asked.exit_code == 0, str(asked)
    for named in (asked.result["arn"] + "?endpoint=" + exports.endpoint, f"s3://{bucket}/p"):
        done = run(moveout, exports, table, bucket, "--export", named, "--state", f"state-{len(named)}")
        assert done.exit_code == 2 and "captured only since" in done.error["message"], str(done)


def test_an_export_of_a_table_that_has_a_stream_for_long_is_adopted_from_a_folder(moveout, exports, dynamodb, table, bucket, tmp_path):
    client = dynamodb.client()
    client.update_table(TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    time.sleep(2.5)
    asked = moveout.run("export", "request", "--from", exports.url(table), "--to", f"s3://{bucket}/p", "--enable-pitr", "--wait")
    assert asked.exit_code == 0, str(asked)
    assert moveout.run("export", "fetch", "--from", exports.url(table), "--to", "copy").exit_code == 0
    tables.put_all(client, table, [tables.random_item(random.Random(5), SCHEMA, n) for n in range(50, 120)])
    done = run(moveout, exports, table, bucket, "--export", "copy", margin="1s")
    assert done.exit_code == 0, str(done)
    assert sum(operation == "ExportTableToPointInTime" for operation in exports.asked) == 1
    compare.assert_equal(client, table, tmp_path / "out.db")


def test_a_failed_export_stops_the_run_and_the_next_start_asks_anew(moveout, exports, dynamodb, table, bucket, tmp_path):
    exports.fail_next = ("S3AccessDenied", "no right to write there")
    done = run(moveout, exports, table, bucket)
    assert done.exit_code == 2 and "S3AccessDenied: no right" in done.error["message"], str(done)
    done = run(moveout, exports, table, bucket)
    assert done.exit_code == 0, str(done)
    compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")


def test_without_recovery_or_a_bucket_the_run_says_what_to_give(moveout, exports, table):
    done = moveout.run("run", "--from", exports.url(table), "--to", "sqlite:out.db", "--backfill", "export")
    assert done.exit_code == 2 and "export.bucket" in done.error["message"], str(done)
