"""Our signer and verifier against botocore's, on requests drawn at random and on the shapes of the public SigV4 cases."""

import datetime
import random
import string
import unittest.mock
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from harness import sigv4_probe

NOW = datetime.datetime(2015, 8, 30, 12, 36, 0, tzinfo=datetime.timezone.utc)
ODD = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" + string.ascii_letters + string.digits + "äß中文🚀\u00a0\u200b"
HEADER_TEXT = string.ascii_letters + string.digits + "   \t!#$%&'()*+,-./:;<=>?@[]^_`{|}~\""


@pytest.fixture(scope="module")
def probe():
    with sigv4_probe.Probe() as running:
        yield running


def micros(when):
    return int(when.timestamp()) * 1_000_000


def sign_with_botocore(request):
    """The headers botocore sends for the same request, names in lower case."""
    credentials = botocore.credentials.Credentials(
        request["access_key_id"], request["secret_access_key"], request["session_token"] or None)
    auth = botocore.auth.S3SigV4Auth if request["service"] == "s3" else botocore.auth.SigV4Auth
    headers = botocore.auth.HTTPHeaders()
    for name, value in request["headers"]:
        headers.add_header(name, value)
    aws = botocore.awsrequest.AWSRequest(
        method=request["method"], url=request["endpoint"] + request["target"], data=bytes.fromhex(request["body"]))
    aws.headers = headers
    when = datetime.datetime.fromtimestamp(request["micros"] / 1e6, datetime.timezone.utc)
    with unittest.mock.patch("botocore.auth.get_current_datetime", return_value=when):
        auth(credentials, request["service"], request["region"]).add_auth(aws)
    return {name.lower(): value for name, value in aws.headers.items()}


def plain(**changes):
    return {"method": "GET", "endpoint": "https://example.amazonaws.com", "target": "/", "headers": [], "body": "",
            "access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "session_token": "", "region": "us-east-1", "service": "service", "micros": micros(NOW), **changes}


def check_same(probe, request):
    theirs = sign_with_botocore(request)
    answer = probe.ask({"do": "sign", **request})
    ours = {name.lower(): value for name, value in answer["headers"]}
    assert ours["authorization"] == theirs["authorization"], request
    for name in ("x-amz-date", "x-amz-security-token", "x-amz-content-sha256"):
        assert ours.get(name) == theirs.get(name), request
    # And the other way: what botocore signed, our verifier takes.
    headers = [[name, value] for name, value in request["headers"] if name != "X-Amz-Content-SHA256"]
    headers += [[n, theirs[n]] for n in ("authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256") if n in theirs]
    if "host" not in theirs:
        headers.append(["Host", botocore.auth._host_from_url(request["endpoint"] + request["target"])])
    sent = {**request, "headers": headers}
    assert probe.ask({"do": "verify", **sent}) == {"refusal": ""}, sent


# The shapes of the public cases: each the same name and the same difficulty, with botocore as the judge.
CASES = {
    "get-vanilla": {},
    "post-vanilla": {"method": "POST"},
    "get-vanilla-empty-query-key": {"target": "/?Param1=value1"},
    "get-vanilla-query": {"target": "/"},
    "get-vanilla-query-order-key": {"target": "/?Param1=value2&Param1=Value1"},
    "get-vanilla-query-order-key-case": {"target": "/?Param2=value2&Param1=value1"},
    "get-vanilla-query-order-value": {"target": "/?Param1=value2&Param1=value1"},
    "get-vanilla-query-order-encoded": {"target": "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1"},
    "get-vanilla-query-unreserved": {"target": "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz="
                                               "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"},
    "get-vanilla-utf8-query": {"target": "/?%E1%88%B4=bar"},
    "get-unreserved": {"target": "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"},
    "get-utf8": {"target": "/%E1%88%B4"},
    "get-space": {"target": "/example%20space/"},
    "get-relative": {"target": "/example/.."},
    "get-relative-relative": {"target": "/example1/example2/../.."},
    "get-slash": {"target": "//"},
    "get-slash-dot-slash": {"target": "/./"},
    "get-slash-pointless-dot": {"target": "/./example"},
    "get-slashes": {"target": "//example//"},
    "get-header-key-duplicate": {"headers": [["My-Header1", "value2"], ["My-Header1", "value2"], ["My-Header1", "value1"]]},
    "get-header-value-order": {"headers": [["My-Header1", "value4"], ["My-Header1", "value1"], ["My-Header1", "value3"]]},
    "get-header-value-trim": {"headers": [["My-Header1", " value1"], ["My-Header2", ' "a   b   c"']]},
    "post-header-key-case": {"method": "POST", "headers": [["MY-HEADER1", "value1"]]},
    "post-header-key-sort": {"method": "POST", "headers": [["My-Header2", "b"], ["My-Header1", "a"], ["A", "c"]]},
    "post-header-value-case": {"method": "POST", "headers": [["My-Header1", "VALUE1"]]},
    "post-sts-header": {"method": "POST", "session_token": "AQoDYXdzEPT//////////wEXAMPLE=="},
    "post-vanilla-query": {"method": "POST", "target": "/?Param1=value1"},
    "post-vanilla-empty-query-value": {"method": "POST", "target": "/?Param1=value1&Param2="},
    "post-x-www-form-urlencoded": {"method": "POST", "headers": [["Content-Type", "application/x-www-form-urlencoded"]],
                                   "body": b"Param1=value1".hex()},
    "post-x-www-form-urlencoded-parameters": {"method": "POST", "body": b"Param1=value1".hex(), "headers": [
        ["Content-Type", "application/x-www-form-urlencoded; charset=utf8"]]},
    "no-path": {"target": "/?a=b"},
    "port": {"endpoint": "http://localhost:8000", "service": "dynamodb"},
    "default-port": {"endpoint": "http://localhost:80", "service": "dynamodb"},
    "ipv6": {"endpoint": "http://[::1]:8000", "service": "dynamodb"},
    "s3-not-normalised": {"service": "s3", "target": "/bucket/a/../b//c/./d%20e"},
    "s3-tilde": {"service": "s3", "target": "/bucket/~user%7E/%2B%24"},
    "hash-given": {"method": "PUT", "body": b"x".hex(), "headers": [
        ["X-Amz-Content-SHA256", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"]]},
    "hop-headers": {"headers": [["User-Agent", "a"], ["Connection", "close"], ["Expect", "100-continue"], ["TE", "b"],
                                ["X-Amzn-Trace-Id", "c"], ["Accept", "d"]]},
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_of_the_public_shapes_is_signed_as_botocore_signs_it(probe, name):
    check_same(probe, plain(**CASES[name]))


def random_request(chance):
    def text(alphabet, longest):
        return "".join(chance.choice(alphabet) for _ in range(chance.randrange(longest)))

    service = chance.choice(["dynamodb", "s3", "kinesis", "sqs", "sts", "execute-api"])
    segments = [chance.choice([text(ODD, 12), ".", "..", ""]) for _ in range(chance.randrange(5))]
    path = "/" + "/".join(urllib.parse.quote(s, safe=chance.choice(["-_.~", "-_.~!$'()*,:;=@"])) for s in segments)
    pairs = [(text(ODD, 8) or "k", text(ODD, 12)) for _ in range(chance.choice([0, 0, 1, 3, 6]))]
    query = "&".join(f"{urllib.parse.quote(k, safe='-_.~')}={urllib.parse.quote(v, safe='-_.~')}" for k, v in pairs)
    names = ["Content-Type", "X-Amz-Target", "X-Amz-Meta-" + text(string.ascii_letters, 9), "Accept", "Cache-Control", "x-custom"]
    headers = [[chance.choice(names), text(HEADER_TEXT, 30)] for _ in range(chance.randrange(6))]
    when = datetime.datetime.fromtimestamp(chance.randrange(1_000_000_000, 4_000_000_000), datetime.timezone.utc)
    return plain(
        method=chance.choice(["GET", "POST", "PUT", "HEAD", "DELETE"]), service=service, headers=headers,
        endpoint=chance.choice(["https://dynamodb.eu-west-1.amazonaws.com", "http://127.0.0.1:8000", "https://Example.COM",
                                "https://host.example:8443", "http://[2001:db8::1]:80", "https://bucket.s3.amazonaws.com"]).lower(),
        target=path + ("?" + query if query else ""), body=chance.randbytes(chance.choice([0, 1, 63, 64, 65, 1000, 20000])).hex(),
        access_key_id="AKIA" + text(string.ascii_uppercase, 16), secret_access_key=text(string.printable.strip(), 100),
        session_token=chance.choice(["", text(string.ascii_letters + "+/=", 400)]),
        region=chance.choice(["us-east-1", "eu-central-1", "cn-north-1", "ddblocal"]), micros=micros(when))


def test_random_requests_are_signed_as_botocore_signs_them(probe):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed={seed}")
    chance = random.Random(seed)
    for _ in range(2000):
        check_same(probe, random_request(chance))


def test_what_botocore_signed_is_refused_once_a_byte_is_changed(probe):
    request = plain(method="POST", service="dynamodb", body=b'{"TableName":"t"}'.hex(),
                    headers=[["X-Amz-Target", "DynamoDB_20120810.PutItem"]])
    theirs = sign_with_botocore(request)
    headers = request["headers"] + [["Host", "example.amazonaws.com"]] + [[n, theirs[n]] for n in ("authorization", "x-amz-date")]
    sent = {"do": "verify", **request, "headers": headers}
    assert probe.ask(sent) == {"refusal": ""}
    assert probe.ask({**sent, "body": b'{"TableName":"u"}'.hex()}) == {"refusal": "InvalidSignatureException"}
    assert probe.ask({**sent, "target": "/?a=b"}) == {"refusal": "InvalidSignatureException"}
    assert probe.ask({**sent, "secret_access_key": "guess"}) == {"refusal": "InvalidSignatureException"}
    assert probe.ask({**sent, "micros": micros(NOW) + 301_000_000}) == {"refusal": "InvalidSignatureException"}
    assert probe.ask({**sent, "headers": headers[:-2]}) == {"refusal": "MissingAuthenticationTokenException"}
