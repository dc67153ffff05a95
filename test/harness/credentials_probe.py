"""The probe program: built by `ninja -C build/mutants credentials_probe`, or named by MOVEOUT_CREDENTIALS_PROBE."""

import os

from harness import sigv4_probe

PROGRAM = os.environ.get("MOVEOUT_CREDENTIALS_PROBE", str(sigv4_probe.ROOT / "build" / "mutants" / "test" / "credentials_probe"))


class Probe(sigv4_probe.Probe):
    program = PROGRAM
