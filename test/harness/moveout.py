"""The program as its users and their scripts meet it: arguments, events on stdout, logs on stderr, an exit code.

    done = moveout.run("run", "--from", ddb.url("orders"), "--to", "sqlite:orders.db", "--until", "in-sync")
    assert done.exit_code == 0 and done.result["phase"] == "in_sync"

    move = moveout.start("run", ...)
    move.wait_for_phase("backfill")
    move.kill9()
"""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

from harness.servers import die_with_parent

BINARY = os.environ.get("MOVEOUT", str(pathlib.Path(__file__).resolve().parents[2] / "build" / "moveout"))


@dataclass
class Finished:
    """A run that ended. exit_code is negative where a signal ended it."""

    args: list
    exit_code: int
    events: list
    stdout: str
    stderr: str
    seconds: float = field(compare=False, default=0.0)

    def named(self, name):
        return [event for event in self.events if event["event"] == name]

    @property
    def phases(self):
        return [event["phase"] for event in self.named("phase")]

    @property
    def result(self):
        """The closing event: the very last line, once."""
        assert len(self.named("result")) == 1 and self.events[-1]["event"] == "result", f"no closing result:\n{self}"
        return self.events[-1]

    @property
    def error(self):
        """The one error event; its exit is the process's."""
        errors = self.named("error")
        assert len(errors) == 1, f"not one error:\n{self}"
        assert errors[0]["exit"] == self.exit_code, f"the error event and the process disagree:\n{self}"
        return errors[0]

    def __str__(self):
        return (f"moveout {' '.join(self.args)} → {self.exit_code} after {self.seconds:.1f} s\n"
                f"--- stdout ends\n{self.stdout[-3000:]}\n--- stderr ends\n{self.stderr[-3000:]}")


class Running:
    """A process with its events as they come. Every wait has an end and says what was seen instead."""

    def __init__(self, args, process):
        self.args = args
        self.process = process
        self._began = time.monotonic()
        self._lines, self._errors = [], []
        self._events = []
        self._closed = False
        self._news = threading.Condition()
        self._readers = [threading.Thread(target=self._read_stdout, daemon=True),
                         threading.Thread(target=self._read_stderr, daemon=True)]
        for reader in self._readers:
            reader.start()

    def _read_stdout(self):
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line)
                if line.startswith("{"):
                    try:
                        event = json.loads(line)
                    except ValueError:  # a line cut short by kill -9 stays visible in stdout
                        event = None
                    if isinstance(event, dict) and "event" in event:
                        self._events.append(event)
                self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()

    def _read_stderr(self):
        for line in self.process.stderr:
            with self._news:
                self._errors.append(line)
                self._news.notify_all()

    @property
    def pid(self):
        return self.process.pid

    @property
    def events(self):
        with self._news:
            return list(self._events)

    @property
    def stderr(self):
        with self._news:
            return "".join(self._errors)

    def wait_for(self, matches, timeout=60, after=0):
        """The first event from number `after` on for which matches(event); AssertionError when the run ends or time is up first."""
        end = time.monotonic() + timeout
        seen = after
        with self._news:
            while True:
                while seen < len(self._events):
                    if matches(self._events[seen]):
                        return self._events[seen]
                    seen += 1
                left = end - time.monotonic()
                if self._closed or left <= 0:
                    why = "the run ended" if self._closed else f"nothing in {timeout} s"
                    raise AssertionError(
                        f"{why}: moveout {' '.join(self.args)}\n--- events\n" + "\n".join(map(str, self._events[-20:])) +
                        "\n--- stderr ends\n" + "".join(self._errors)[-3000:])
                self._news.wait(left)

    def wait_for_event(self, name, timeout=60, after=0, **fields):
        return self.wait_for(
            lambda e: e["event"] == name and all(e.get(k) == v for k, v in fields.items()), timeout, after)

    def wait_for_phase(self, phase, timeout=60, after=0):
        return self.wait_for_event("phase", timeout, after, phase=phase)

    def signal(self, number):
        self.process.send_signal(number)

    def kill9(self):
        """kill −9, and the process is gone when this returns."""
        self.process.send_signal(signal.SIGKILL)
        return self.finish()

    def finish(self, timeout=120):
        """Waits for the end by itself."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = None
        for reader in self._readers:
            reader.join()
        done = Finished(self.args, code, self.events, "".join(self._lines), self.stderr, time.monotonic() - self._began)
        assert code is not None, f"still running after {timeout} s, killed:\n{done}"
        return done


class Moveout:
    """The binary with a folder and an environment to run in. --json is added unless json=False."""

    def __init__(self, cwd, env=None, binary=BINARY):
        self.cwd = pathlib.Path(cwd)
        self.env = dict(os.environ if env is None else env)
        self.binary = binary
        self._started = []

    def start(self, *args, json=True, env=None):
        args = [str(a) for a in args] + (["--json"] if json else [])
        process = subprocess.Popen(
            [self.binary, *args], cwd=self.cwd, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", preexec_fn=die_with_parent)
        running = Running(args, process)
        self._started.append(running)
        return running

    def in_sync_behind(self, running, stop_writer, timeout=120):
        """Stops the writer, and ends with an *in sync* of its last write too; whether that took the same command again.

        A run under a writer may say *in sync*, rightly, before the last write. It is asked again then, whatever came first.
        """
        stop_writer()
        early = running.process.poll() is not None or any(
            event["event"] == "phase" and event["phase"] == "in_sync" for event in running.events)
        done = running.finish(timeout)
        if early and done.exit_code == 0:
            done = self.start(*running.args, json=False).finish(timeout)
        return done, early

    def run(self, *args, timeout=120, json=True, env=None):
        return self.start(*args, json=json, env=env).finish(timeout)

    def stop_all(self):
        """Nothing a test started outlives it."""
        for running in self._started:
            if running.process.poll() is None:
                running.kill9()
