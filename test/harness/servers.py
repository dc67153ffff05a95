"""Real servers on free ports, each for the length of a `with` block.

    with dynamodb_local() as ddb:
        ddb.client().list_tables()
        ddb.rollover()

A server dies with the test process, whatever kills that. The boot scripts are tools/parts/*; `make setup` installs what they need.
"""

import ctypes
import os
import pathlib
import random
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager

import boto3
from botocore.config import Config

PARTS = pathlib.Path(__file__).resolve().parents[2] / "tools" / "parts"
REGION = "us-east-1"
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def free_port():
    """Below the ephemeral range, so that no outgoing connection takes it meanwhile."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(12000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """One process of tools/parts/<part>; start and stop may be called again and keep port and data."""

    def __init__(self, part, *, data=None, env=None):
        self.part = part
        self.port = free_port()
        self.control_port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._folder = tempfile.TemporaryDirectory(prefix=f"moveout-{part}-")
        self._data = data
        self._env = env or {}
        self._process = None

    @property
    def log(self):
        return pathlib.Path(self._folder.name) / "log"

    def start(self):
        command = [str(PARTS / self.part), "run", "--port", str(self.port), "--control", str(self.control_port)]
        command += ["--dir", self._folder.name]
        if self._data:
            command += ["--data", str(self._data)]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self._env},
                preexec_fn=die_with_parent)
        self._wait_until_open(self.port)
        return self

    def _wait_until_open(self, port, seconds=60):
        end = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise RuntimeError(f"{self.part} did not start:\n{self.log.read_text(errors='replace')[-2000:]}") from None
                time.sleep(0.05)

    def stop(self):
        """Stops the process at once; what was in memory is gone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self):
        """The server stays, holds its connections and answers nobody: what a partition looks like."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)

    def close(self):
        self.stop()
        self._folder.cleanup()


class DynamoDbServer(Server):
    access_key = "local"
    secret_key = "local-secret"

    def client(self, service="dynamodb", **config):
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(max_pool_connections=32, retries={"max_attempts": 10, "mode": "standard"}, **config))

    def streams(self):
        return self.client("dynamodbstreams")

    def url(self, table, **options):
        """The table as moveout names it: dynamodb://REGION/TABLE?endpoint=…"""
        options = {"endpoint": self.endpoint, **options}
        return f"dynamodb://{REGION}/{urllib.parse.quote(table)}?{urllib.parse.urlencode(options)}"

    def environment(self):
        """Credentials and nothing of the developer's own AWS settings; the endpoint is in the URL."""
        own = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return {**own, "AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key,
                "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


class DynamoDbLocal(DynamoDbServer):
    def start(self):
        super().start()
        self._wait_until_open(self.control_port)
        return self

    def _control(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control_port}{path}", timeout=60) as answer:
            assert answer.read() == b"ok\n"

    def rollover(self):
        """Closes every open shard of every stream and opens a child of each."""
        self._control("/rollover")

    def dilate(self, hours):
        """Makes every stream record that many hours older; over 24 they are trimmed."""
        self._control(f"/dilate?hours={hours}")


class S3Proxy(Server):
    access_key = "local-identity"
    secret_key = "local-credential"

    def client(self):
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key, config=Config(s3={"addressing_style": "path"}))


@contextmanager
def _serving(server):
    try:
        yield server.start()
    finally:
        server.close()


def dynamodb_local(data=None, heap="512m"):
    """DynamoDB Local with its control port. `data`: a folder to keep tables in over stop() and start() (slow: 45 puts/s)."""
    return _serving(DynamoDbLocal("dynamodb-local", data=data, env={"HEAP": heap}))


def dynalite(data=None):
    """Another server of the DynamoDB API, without streams."""
    return _serving(DynamoDbServer("dynalite", data=data))


def s3proxy(auth="aws-v4"):
    """S3 over a folder; it verifies signatures unless auth="none"."""
    return _serving(S3Proxy("s3proxy", env={"AUTH": auth}))
