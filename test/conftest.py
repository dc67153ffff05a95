"""What every test that spans processes shares: a DynamoDB Local, the program, and the rule that a skip is a failure."""

import os
import pathlib

import pytest

from harness import tables
from harness.moveout import Moveout
from harness.servers import dynamodb_local

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def dynamodb():
    """One DynamoDB Local, in memory, with a control port, for the whole session: name your tables uniquely."""
    with dynamodb_local() as server:
        yield server


@pytest.fixture
def moveout(tmp_path, dynamodb):
    """The program, run in the test's own folder with the environment a user of `dynamodb` would have."""
    program = Moveout(cwd=tmp_path, env=dynamodb.environment())
    yield program
    program.stop_all()


@pytest.fixture(scope="session")
def minutes():
    """How long tests marked long may go on, all together; each takes its share."""
    return float(os.environ.get("MOVEOUT_MINUTES", "1"))


@pytest.fixture
def table_name(request):
    """A table name of the test's own."""
    clean = "".join(c if c.isalnum() else "_" for c in request.node.name)
    return f"{clean[:80]}_{os.getpid()}"


@pytest.fixture
def filled(dynamodb, table_name):
    """filled(300): the test's own table, of tables.SCHEMA, with so many items of every kind; hostile=False leaves the odd ones out."""
    client = dynamodb.client()
    made = []

    def fill(count, **kinds):
        tables.create_table(client, table_name)
        made.append(table_name)
        tables.fill(client, table_name, count, tables.SCHEMA, **kinds)
        return table_name

    yield fill
    for name in made:
        client.delete_table(TableName=name)


def pytest_collection_modifyitems(config, items):
    """Tests marked long run only where they are asked for by -m; deselected is said, skipped is not used."""
    if "long" in (config.option.markexpr or ""):
        return
    chosen = [item for item in items if "long" not in item.keywords]
    config.hook.pytest_deselected(items=[item for item in items if "long" in item.keywords])
    items[:] = chosen


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    left_out = [r for kind in ("skipped", "xfailed", "xpassed") for r in reporter.stats.get(kind, [])]
    if left_out and exitstatus == 0:
        reporter.write_line(f"{len(left_out)} tests were skipped or expected to fail: that counts as a failure", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
