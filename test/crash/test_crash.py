"""Real kill −9 under live writes: whatever is lost at whatever moment, the move ends in sync and equal.

A cycle:   create, fill ─ writer starts ─ run ─────┬ kill −9 ─ rollover ─ run ─ writer stops ─ in sync ─ compare
                                                   └ in the phase the cycle names, after a random delay

CRASH_CYCLES picks cycles: a number rotates that many by the day, "all" takes the whole matrix.
"""

import random
import sqlite3
import time

import pytest

from harness import compare, cycles, tables
from harness.moveout import Moveout

SCHEMA = (("id", "S"), ("n", "N"))
ITEMS = 1500
PHASES = ("capture", "backfill", "replay", "verify")
# Seconds after the phase event at which the process dies: up to about the length of the phase here.
DELAY_MAX = {"capture": 0.4, "backfill": 2.0, "replay": 2.0, "verify": 1.2}
ALL = [(phase, number) for number in range(7) for phase in PHASES]


def wait_for_log(running, event, timeout=60):
    end = time.monotonic() + timeout
    while event not in running.stderr:
        assert time.monotonic() < end, f"no log line {event}:\n{running.stderr}"
        time.sleep(0.05)


def checkpoints(path):
    """How many positions the target has committed; a reader beside the dead process."""
    if not path.exists():
        return 0
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        try:
            return db.execute("SELECT count(*) FROM _moveout_checkpoint").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


@pytest.mark.parametrize("phase, number", cycles.chosen(ALL, 8), ids=lambda value: str(value))
def test_a_killed_move_goes_on_and_ends_equal(dynamodb, tmp_path, phase, number):
    chance = random.Random(f"{phase}/{number}/{cycles.seed()}")
    client = dynamodb.client()
    table = f"crash-{phase}-{number}-{random.SystemRandom().randrange(10**9)}"
    view = chance.choice((None, "NEW_AND_OLD_IMAGES", "NEW_IMAGE", "KEYS_ONLY"))
    tables.create_table(client, table, SCHEMA, stream=view)
    tables.fill(client, table, ITEMS, SCHEMA, seed=number)
    path = tmp_path / "out.db"
    moveout = Moveout(tmp_path, dynamodb.environment())
    command = ["run", "--from", dynamodb.url(table), "--to", f"sqlite:{path}", "--until", "in-sync"]

    with tables.LiveWriter(dynamodb.client, table, SCHEMA, ITEMS, seed=number, threads=2, rate=60) as writer:
        if phase == "replay":
            # Beside a writer the first `replay` is over at once; after a restart in the middle of a verified move it lasts.
            first = moveout.start(*command)
            first.wait_for_phase("verify", timeout=90)
            wait_for_log(first, "verify.pass")
            first.kill9()
        killed, delay_max = None, DELAY_MAX[phase]
        for _ in range(12):  # the last tries at once: a capture of a stream that stands lasts some milliseconds
            running = moveout.start(*command, "--max-rcu", "50")
            running.wait_for_phase(phase, timeout=90)
            time.sleep(chance.uniform(0, delay_max))
            done = running.kill9()
            assert done.exit_code == -9, f"it ended before it was killed:\n{done}"
            if done.phases[-1] == phase:
                killed = done
                break
            # A back-fill that is over cannot be hit again.
            assert phase != "backfill", f"the back-fill was over after less than {delay_max} s\n{done}"
            delay_max /= 2
        assert killed, f"no kill hit the phase {phase}"
        committed = checkpoints(path)
        if chance.random() < 0.5:
            dynamodb.rollover()
        writes = writer.writes
        last = moveout.start(*command)
        last.wait_for_phase("replay", timeout=90)
        time.sleep(chance.uniform(0, 3))
        assert writer.writes > writes, "nothing was written while the move went on"
        done, _ = moveout.in_sync_behind(last, writer.stop)

    assert done.exit_code == 0, str(done)
    assert done.result["phase"] == "in_sync"
    found = compare.compare(client, table, path)
    assert found.equal, str(found)
    assert done.result["items"] == found.items
    print(f"killed in {phase} with {committed} checkpoints; {writer.writes} writes; {found}")
    client.delete_table(TableName=table)
