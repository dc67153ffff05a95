"""A table that is written all the time has no tip: it must get in sync all the same, stay so, and be right at the end."""

import signal
import time

from harness import compare, tables

SCHEMA = (("id", "S"), ("n", "N"))
ITEMS = 3000


# DynamoDB Local floors creation times to the minute: up to 65 s pass until a record is known to be newer than the start.
def test_a_table_whose_writers_never_pause_gets_in_sync_and_stays_so(dynamodb, moveout, tmp_path, table_name):
    client = dynamodb.client()
    tables.create_table(client, table_name, SCHEMA)
    tables.fill(client, table_name, ITEMS, SCHEMA)
    path = tmp_path / "out.db"
    with tables.LiveWriter(dynamodb.client, table_name, SCHEMA, ITEMS, threads=2, rate=80) as writer:
        running = moveout.start("run", "--from", dynamodb.url(table_name), "--to", f"sqlite:{path}")
        running.wait_for_phase("in_sync", timeout=150)
        said = len(running.events)
        writes = writer.writes
        time.sleep(15)
        assert writer.writes > writes + 100, "the writer paused: nothing was shown"
        ended = [event for event in running.events[said:] if event["event"] == "phase"]
        assert ended == [], f"it did not stay in sync: {ended}"
    time.sleep(8)  # the last writes are read, applied and compared
    running.signal(signal.SIGTERM)
    done = running.finish()
    assert done.exit_code == 4, str(done)
    found = compare.compare(client, table_name, path)
    assert found.equal, str(found)
    client.delete_table(TableName=table_name)
