"""The probe program: built by `ninja -C build/mutants sigv4_probe`, or named by MOVEOUT_SIGV4_PROBE."""

import json
import os
import pathlib
import subprocess

from harness.servers import die_with_parent

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("MOVEOUT_SIGV4_PROBE", str(ROOT / "build" / "mutants" / "test" / "sigv4_probe"))


class Probe:
    program = PROGRAM

    def __enter__(self):
        self._process = subprocess.Popen([self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        assert self._process.wait(timeout=30) == 0

    def ask(self, question):
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the probe ended with {self._process.wait(timeout=30)} at {question}"
        return json.loads(line)
