"""DynamoDB Local into another DynamoDB API, while moveout is killed and the target's server is too.

    create, fill ─ writer starts ─ run ─┬ the target dies, and comes back ─ kill −9 ─ rollover ─ run ─ the target dies once more ─ …
                                        └ in the phase the cycle names, after a random delay
    … ─ writer stops ─ in sync ─ compare ─ finish, killed on its way where there is something to take away ─ compare

CRASH_CYCLES picks cycles, as in test_crash.py. Two in five cycles have a proxy between moveout and the target that throttles, refuses,
loses answers, lets requests land late and leaves items unprocessed (harness/faults.py).
"""

import os
import random
import shutil
import tempfile
import time
from contextlib import ExitStack

import pytest

from harness import compare, cycles, tables
from harness.faults import Faults
from harness.meddler import meddler
from harness.moveout import Moveout
from harness.servers import dynalite, dynamodb_local

SCHEMA = (("id", "S"), ("n", "N"))
ITEMS = 300
PHASES = ("capture", "backfill", "replay", "verify")
SERVERS = {"dynamodb-local": dynamodb_local, "dynalite": dynalite}
# Any five in a row have both servers, both modes and all phases; all sixteen are in the first sixteen.
ALL = [(("dynamodb-local", "dynalite")[i % 2], ("m3", "m4")[i // 2 % 2], PHASES[(i + i // 4) % 4], i) for i in range(25)]


@pytest.fixture(scope="module")
def targets():
    """Servers that keep their tables when they die; in memory, for DynamoDB Local syncs each item it puts on a disk."""
    with ExitStack() as stack:
        started = {}

        def target(kind):
            if kind not in started:
                folder = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                started[kind] = stack.enter_context(SERVERS[kind](data=folder))
            return started[kind]

        yield target


def dies_and_comes_back(server, chance):
    server.stop()
    time.sleep(chance.uniform(0, 1.5))
    server.start()


def finished(moveout, chance, mode):
    """`finish`, where it has something to do also killed on its way."""
    if mode == "m3":
        running = moveout.start("finish", "--state", "state")
        time.sleep(chance.uniform(1.0, 3.0))  # it waits L, 2 s here, and then needs less than one
        assert running.kill9().exit_code in (-9, 0)
    done = moveout.run("finish", "--state", "state", timeout=240)
    assert done.exit_code == 0, str(done)


@pytest.mark.parametrize("kind, mode, phase, number", cycles.chosen(ALL, 5), ids=lambda value: str(value))
def test_a_move_outlives_its_own_death_and_the_targets(dynamodb, targets, tmp_path, kind, mode, phase, number):
    chance = random.Random(f"{kind}/{mode}/{phase}/{number}/{cycles.seed()}")
    server, client = targets(kind), dynamodb.client()
    table = f"die-{kind}-{mode}-{phase}-{number}-{random.SystemRandom().randrange(10**9)}"
    tables.create_table(client, table, SCHEMA, stream=chance.choice((None, "NEW_AND_OLD_IMAGES", "NEW_IMAGE", "KEYS_ONLY")))
    tables.fill(client, table, ITEMS, SCHEMA, seed=number)
    faults = Faults(random.Random(number))
    faults.on = chance.random() < 0.4
    moveout = Moveout(tmp_path, dynamodb.environment())

    with meddler(server, faults) as between:
        to = server.url(table, endpoint=between.endpoint if faults.on else server.endpoint)
        command = ["run", "--from", dynamodb.url(table), "--to", to, "--set", f"target.mode={mode}", "--state", "state",
                   "--until", "in-sync"]
        with tables.LiveWriter(dynamodb.client, table, SCHEMA, ITEMS, seed=number, threads=2, rate=40) as writer:
            running = moveout.start(*command, "--max-rcu", "20")
            running.wait_for_phase(phase, timeout=120)
            time.sleep(chance.uniform(0, 1))
            server.stop()
            time.sleep(chance.uniform(0, 1.5))
            killed = running.kill9() if chance.random() < 0.5 else None
            # Not from another thread: a server dies with the thread that started it.
            server.start()
            time.sleep(chance.uniform(0, 2))
            killed = killed or running.kill9()
            assert killed.exit_code == -9, f"it ended before it was killed:\n{killed}"
            if chance.random() < 0.5:
                dynamodb.rollover()
            writes = writer.writes
            last = moveout.start(*command)
            last.wait_for_phase("replay", timeout=240)
            time.sleep(chance.uniform(0, 2))
            dies_and_comes_back(server, chance)
            time.sleep(chance.uniform(0, 3))
            assert writer.writes > writes, "nothing was written while the move went on"
            done, again = moveout.in_sync_behind(last, writer.stop, timeout=240)
        assert done.exit_code == 0, str(done)
        assert done.result["phase"] == "in_sync"
        faults.settle()
        found = compare.before_finish(client, table, server.client())
        assert found.equal, str(found)
        # A run that resumed behind its comparison knows no number where the target keeps no count.
        assert again or done.result["items"] >= found.items * 0.9, f"{done.result} {found}"
        finished(moveout, chance, mode)
    found = compare.compare_tables(client, table, server.client())
    assert found.equal, str(found)
    print(f"killed in {killed.phases[-1]}; {writer.writes} writes; {dict(faults.counts)}; {found}")
    client.delete_table(TableName=table)
    server.client().delete_table(TableName=table)
