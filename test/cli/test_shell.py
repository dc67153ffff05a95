"""What a shell, a script or a tired person does to a program: closed descriptors, broken pipes, limits, early signals."""

import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import time

import pytest

from harness import compare, tables


@pytest.fixture
def table(filled):
    return filled(300)


def shell(moveout, command, **more):
    return subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=moveout.cwd, env=moveout.env, capture_output=True,
                          timeout=120, text=True, **more)


def last_events(text, count):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{\"ts\"")][-count:]


def test_a_scan_into_a_pipe_that_breaks_ends_with_a_result_and_begins_anew(moveout, dynamodb, table):
    scan = f"{moveout.binary} scan --json --from '{dynamodb.url(table)}' --to -"
    done = shell(moveout, f"{scan} | head -n 1")
    assert done.returncode == 5, done
    error, result = last_events(done.stderr, 2)
    assert error["name"] == "endpoint_down" and error["exit"] == 5 and result["event"] == "result"
    done = shell(moveout, f"{scan} | wc -l")
    assert done.returncode == 0 and int(done.stdout) == len(compare.read_source(dynamodb.client(), table)[0]), done
    assert not any(pathlib.Path(moveout.cwd, ".moveout").iterdir())


def test_a_reader_of_events_that_goes_away_does_not_stop_a_move(moveout, dynamodb, table, tmp_path):
    done = shell(moveout, f"{moveout.binary} run --json --until in-sync --from '{dynamodb.url(table)}' --to sqlite:out.db | head -n 1")
    assert done.returncode == 0, done
    compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")


def test_closed_descriptors_are_never_written_to(moveout, dynamodb, table, tmp_path):
    done = shell(moveout, f"{moveout.binary} scan --json --from '{dynamodb.url(table)}' --to - >&-")
    assert done.returncode == 2 and "stdout is closed" in done.stderr, done
    done = shell(moveout, f"{moveout.binary} run --until in-sync --from '{dynamodb.url(table)}' --to sqlite:out.db <&- >&- 2>&-")
    assert done.returncode == 0, done
    compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")


@pytest.mark.parametrize("command, target", [("copy", "sqlite:out.db"), ("scan", "out.jsonl")])
def test_a_file_at_its_limit_is_a_full_disk(moveout, dynamodb, table, command, target):
    args = [command, "--json", "--from", dynamodb.url(table), "--to", target]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    done = subprocess.run([moveout.binary, *args], cwd=moveout.cwd, env=moveout.env, capture_output=True, text=True, preexec_fn=limit, timeout=60)
    assert done.returncode == 5, done
    error, result = last_events(done.stdout, 2)
    assert error["name"] == "disk_full" and result["event"] == "result"
    again = moveout.run(*args[:1], *args[2:])
    assert again.exit_code == 0 and again.result["items"] == len(compare.read_source(dynamodb.client(), table)[0]), str(again)


@pytest.mark.parametrize("command", ["run", "copy", "verify"])
def test_a_signal_while_the_first_answer_is_awaited_is_told_too(moveout, command):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"dynamodb://us-east-1/log-*?endpoint=http://127.0.0.1:{silent.getsockname()[1]}"
        running = moveout.start(command, "--from", url, "--to", "sqlite:out.db")
        silent.accept()
        running.signal(signal.SIGINT)
        done = running.finish()
    assert done.exit_code == 4 and done.error["name"] == "stopped" and done.result["phase"] == "capture", str(done)


def test_a_second_signal_stops_at_once_and_loses_nothing(moveout, dynamodb, table, tmp_path):
    args = ["run", "--from", dynamodb.url(table), "--to", "sqlite:out.db"]
    running = moveout.start(*args, "--max-rcu", "20")
    running.wait_for_phase("backfill")
    time.sleep(0.5)
    running.signal(signal.SIGINT)
    running.signal(signal.SIGINT)
    assert running.finish().exit_code == 4
    done = moveout.run(*args, "--until", "in-sync")
    assert done.exit_code == 0, str(done)
    compare.assert_equal(dynamodb.client(), table, tmp_path / "out.db")


def test_what_the_state_folder_holds_is_closed_to_others(moveout, dynamodb, table, tmp_path):
    (tmp_path / "made-before").mkdir(mode=0o755)
    for state in ("made-before", "fresh"):
        done = moveout.run("run", "--from", dynamodb.url(table), "--to", f"sqlite:{state}.db", "--until", "in-sync", "--state", state)
        assert done.exit_code == 0, str(done)
        assert os.stat(tmp_path / state).st_mode & 0o777 == 0o700
        for path in (tmp_path / state).rglob("*"):
            assert os.stat(path).st_mode & 0o077 == 0, path


def test_names_of_255_bytes_fit(moveout, dynamodb, tmp_path):
    name = "n" * 255
    client = dynamodb.client()
    tables.create_table(client, name, tables.SCHEMA)
    tables.fill(client, name, 20, tables.SCHEMA)
    done = moveout.run("run", "--from", dynamodb.url(name), "--to", "sqlite:out.db?table=short", "--until", "in-sync")
    assert done.exit_code == 0, str(done)
    compare.assert_equal(client, name, tmp_path / "out.db", "short")
    assert moveout.run("scan", "--from", dynamodb.url(name), "--to", "f" * 230 + ".jsonl").exit_code == 0
    client.delete_table(TableName=name)


def test_config_check_and_wrong_flags_end_with_one_result_too(moveout, tmp_path):
    (tmp_path / "move.yaml").write_text("move: m\nsource: {url: 'dynamodb://us-east-1'}\ntarget: {url: 'sqlite:x.db'}\ntables: [{name: orders}]\n")
    done = moveout.run("config", "check", "move.yaml")
    assert done.exit_code == 0 and done.result["tables"] == 1, str(done)
    done = moveout.run("config", "check", "move.yaml", "--set", "limits.memory_mb=1")
    assert done.exit_code == 2 and "--set limits.memory_mb=1" in done.error["message"], str(done)
    for args in (["run", "--nonsense"], ["--nonsense"], ["copy", "--max-rcu", "nan", "--from", "a", "--to", "b"]):
        done = moveout.run(*args)
        assert done.exit_code == 2 and done.error["name"] == "usage" and done.result["tables"] == 0, str(done)


def test_finish_makes_no_folder_where_nothing_was_begun(moveout, tmp_path):
    done = moveout.run("finish", "--state", "nowhere")
    assert done.exit_code == 2 and "nowhere" in done.error["message"], str(done)
    assert not os.listdir(tmp_path)


def test_too_little_memory_for_so_many_tables_is_said_before_anything_is_done(moveout, dynamodb, table, tmp_path):
    listed = "".join(f"  - {{name: {table}{i}}}\n" for i in range(9))
    (tmp_path / "move.yaml").write_text(
        f"move: m\nsource: {{url: '{dynamodb.url('').replace('/?', '?')}'}}\ntarget: {{url: 'sqlite:x.db'}}\nlimits: {{memory_mb: 64}}\ntables:\n{listed}")
    done = moveout.run("copy", "move.yaml")
    assert done.exit_code == 2 and "limits.memory_mb" in done.error["message"], str(done)
