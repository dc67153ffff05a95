"""A server that verifies signatures takes ours: s3proxy with AWS signatures switched on."""

import time
import urllib.parse

import pytest

from harness import sigv4_probe
from harness.servers import REGION, s3proxy

KEYS = ["plain.txt", "with space/and+plus.txt", "ümlaut/中文.json", "odd/!'()*&$@=;:,.bin", "~tilde/a//b"]


@pytest.fixture(scope="module")
def server():
    with s3proxy() as running:
        running.client().create_bucket(Bucket="bucket")
        yield running


@pytest.fixture(scope="module")
def probe():
    with sigv4_probe.Probe() as running:
        yield running


def ask(probe, server, method, target, body=b"", headers=(), **changes):
    return probe.ask({
        "do": "send", "method": method, "endpoint": server.endpoint, "target": target, "headers": list(headers), "body": body.hex(),
        "access_key_id": server.access_key, "secret_access_key": server.secret_key, "session_token": "", "region": REGION,
        "service": "s3", "micros": int(time.time()) * 1_000_000, **changes})


@pytest.mark.parametrize("key", KEYS)
def test_an_object_put_with_our_signature_comes_back_to_us_and_to_another_client(probe, server, key):
    target = "/bucket/" + urllib.parse.quote(key, safe="/-_.~")
    body = f"the body of {key}".encode() * 1000
    assert ask(probe, server, "PUT", target, body, [["Content-Type", "text/plain"], ["X-Amz-Meta-Note", "a   b"]])["status"] == 200
    mine = ask(probe, server, "GET", target)
    assert (mine["status"], bytes.fromhex(mine["body"])) == (200, body)
    assert server.client().get_object(Bucket="bucket", Key=key)["Body"].read() == body


def test_a_listing_with_odd_characters_in_its_query_is_accepted(probe, server):
    for number in range(3):
        assert ask(probe, server, "PUT", f"/bucket/list%20me/{number}", b"x")["status"] == 200
    first = ask(probe, server, "GET", "/bucket?list-type=2&prefix=list%20me%2F&delimiter=%2F&max-keys=2&start-after=%21%2A%27%28%29")
    assert first["status"] == 200, bytes.fromhex(first["body"])
    assert b"<IsTruncated>true</IsTruncated>" in bytes.fromhex(first["body"])
    odd = urllib.parse.quote("a&b=c+d é?%/\"", safe="-_.~")
    none = ask(probe, server, "GET", f"/bucket?prefix={odd}&list-type=2")
    assert none["status"] == 200, bytes.fromhex(none["body"])
    assert b"<KeyCount>0</KeyCount>" in bytes.fromhex(none["body"])


def test_the_server_does_verify(probe, server):
    assert ask(probe, server, "GET", "/bucket?list-type=2")["status"] == 200
    refused = ask(probe, server, "GET", "/bucket?list-type=2", secret_access_key="guess")
    assert refused["status"] == 403
    assert b"SignatureDoesNotMatch" in bytes.fromhex(refused["body"])
