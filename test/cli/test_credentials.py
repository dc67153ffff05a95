"""The program with keys from every place that gives some: stand-ins on loopback, and a DynamoDB that takes their keys only."""

import os
import signal
import socket
import time

import pytest

from harness import compare
from harness.meddler import error, meddler
from harness.moveout import Moveout
from harness.stand_ins import stand_ins

ROLE = "arn:aws:iam::123456789012:role/mover"
HTML = b"<html><body>Please log in to the hotel's network</body></html>"


@pytest.fixture
def aws():
    with stand_ins() as servers:
        yield servers


@pytest.fixture
def table(filled):
    return filled(60, hostile=False)


class Gate:
    """In front of DynamoDB Local: lets valid keys of the stand-ins pass, and remembers whose they were."""

    def __init__(self, aws):
        self._aws, self.ids, self.refused = aws, [], 0

    def __call__(self, operation, body, forward):
        id = forward.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        self.ids.append(id)
        if id not in self._aws.keys or forward.headers.get("X-Amz-Security-Token", "") != self._aws.keys[id][1]:
            return error(400, "UnrecognizedClientException", "The security token included in the request is invalid.")
        if not self._aws.valid(id):
            self.refused += 1
            return error(400, "ExpiredTokenException", "The security token included in the request is expired")
        return forward()


@pytest.fixture
def gate(aws, dynamodb):
    guard = Gate(aws)
    with meddler(dynamodb, guard) as between:
        guard.endpoint = between.endpoint
        yield guard


@pytest.fixture
def mover(tmp_path, aws):
    """The program with an empty home and no AWS settings at all; afterwards no secret may stand anywhere but in the cache."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    own = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    program = Moveout(cwd=tmp_path / "work", env={**own, "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"})
    program.home = home
    yield program
    program.stop_all()
    written = b"".join(path.read_bytes() for path in (tmp_path / "work").rglob("*") if path.is_file())
    said = "".join(running.stderr + "".join(running._lines) for running in program._started)
    for secret, token, _ in list(aws.keys.values()):
        for each in filter(None, (secret, token)):
            assert each not in said and each.encode() not in written
    for each in [*aws.bearers, *aws.refresh_tokens, *aws.web_tokens.values(), "client-secret"]:
        assert each not in said and each.encode() not in written


def run(mover, dynamodb, gate, table, env, command="run"):
    until = ["--until", "in-sync"] if command == "run" else []
    return mover.run(command, "--from", dynamodb.url(table, endpoint=gate.endpoint), "--to", "sqlite:out.db", *until, env=env)


def shared_files(mover, config, credentials=""):
    (mover.home / ".aws" / "config").write_text(config)
    (mover.home / ".aws" / "credentials").write_text(credentials)


def by_role_of_profile(mover, aws):
    aws.roles[ROLE] = "shared-with-us"
    aws.known("BASE", "base-secret-of-thirty-characters")
    shared_files(mover, f"[profile a]\nrole_arn = {ROLE}\nsource_profile = b\nexternal_id = shared-with-us\n",
                 "[b]\naws_access_key_id = BASE\naws_secret_access_key = base-secret-of-thirty-characters\n")
    return {**aws.sts(), "AWS_PROFILE": "a"}, "ROLEmover"


def by_role_of_instance(mover, aws):
    aws.roles[ROLE] = None
    shared_files(mover, f"[default]\nrole_arn = {ROLE}\ncredential_source = Ec2InstanceMetadata\n")
    return {**aws.sts(), **aws.imds(), "AWS_EC2_METADATA_DISABLED": ""}, "ROLEmover"


def by_web_identity(mover, aws):
    aws.web_tokens[ROLE] = "eyJhbGciOi.web-identity_token.of-the-pod"
    (mover.home / "token").write_text(aws.web_tokens[ROLE] + "\n")
    return {**aws.sts(), "AWS_WEB_IDENTITY_TOKEN_FILE": str(mover.home / "token"), "AWS_ROLE_ARN": ROLE}, "WEBmover"


def by_sso(mover, aws):
    aws.sso_roles.add(("123456789012", "Mover"))
    shared_files(mover, "[default]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Mover\n"
                        "[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n")
    aws.log_in(mover.home, "corp", seconds=60)  # refreshed at once
    return aws.sso(), "SSOMover"


def by_older_sso(mover, aws):
    aws.sso_roles.add(("123456789012", "Mover"))
    shared_files(mover, "[default]\nsso_account_id = 123456789012\nsso_role_name = Mover\n"
                        "sso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n")
    aws.log_in(mover.home, "https://corp.awsapps.com/start", refreshable=False)
    return aws.sso(), "SSOMover"


def by_container(mover, aws):
    return aws.container(), "BOX"


def by_eks_pod_identity(mover, aws):
    aws.authorization = "eks-pod-identity.token"
    (mover.home / "token").write_text(aws.authorization)
    return {**aws.container(), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(mover.home / "token")}, "BOX"


def by_instance(mover, aws):
    return {**aws.imds(), "AWS_EC2_METADATA_DISABLED": ""}, "INSTANCE"


EVERY = [by_role_of_profile, by_role_of_instance, by_web_identity, by_sso, by_older_sso, by_container, by_eks_pod_identity, by_instance]


@pytest.mark.parametrize("place", EVERY, ids=lambda place: place.__name__)
def test_a_move_with_keys_from(mover, dynamodb, aws, gate, table, place):
    env, name = place(mover, aws)
    # The proxy is for the world, not for what is on this machine; nobody listens there.
    done = run(mover, dynamodb, gate, table, {**env, "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}, "copy")
    assert done.exit_code == 0, str(done)
    assert compare.assert_equal(dynamodb.client(), table, mover.cwd / "out.db") == 60
    assert set(gate.ids) == set(aws.given(name)) and len(set(gate.ids)) == 1, aws.asked
    assert "aws.credentials" in done.stderr


def test_a_refreshed_sso_token_is_there_for_the_other_tools(mover, dynamodb, aws, gate, table):
    env, _ = by_sso(mover, aws)
    path = next((mover.home / ".aws" / "sso" / "cache").iterdir())
    before = path.read_text()
    assert run(mover, dynamodb, gate, table, env, "copy").exit_code == 0
    assert aws.asked.count("sso:CreateToken") == 1
    assert path.read_text() != before and path.stat().st_mode & 0o777 == 0o600
    assert run(mover, dynamodb, gate, table, env, "copy").exit_code == 0
    assert aws.asked.count("sso:CreateToken") == 1
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("place", [by_instance, *(pytest.param(each, marks=pytest.mark.long) for each in (by_web_identity, by_container))],
                         ids=lambda place: place.__name__)
def test_keys_that_live_for_seconds_are_renewed_in_the_middle_of_a_move(mover, dynamodb, aws, gate, table, place):
    env, name = place(mover, aws)
    aws.lives = 3
    client = dynamodb.client()
    running = mover.start("run", "--from", dynamodb.url(table, endpoint=gate.endpoint), "--to", "sqlite:out.db", env=env)
    running.wait_for_phase("in_sync")
    end = time.monotonic() + 60
    number = 0
    while len(set(gate.ids)) < 5:
        assert time.monotonic() < end and running.process.poll() is None, running.stderr[-3000:]
        client.put_item(TableName=table, Item={"id": {"S": "while keys change"}, "n": {"N": str(number)}})
        number += 1
        time.sleep(0.1)
    running.signal(signal.SIGTERM)
    assert running.finish().exit_code == 4
    # A key may end on its way; the server's word for it is taken, and the request goes again with new ones.
    assert gate.refused <= len(set(gate.ids)) * 2
    done = run(mover, dynamodb, gate, table, env)
    assert done.exit_code == 0, str(done)
    assert compare.assert_equal(client, table, mover.cwd / "out.db") == 60 + number


def test_keys_that_cannot_be_renewed_stop_the_move_by_name_and_the_same_command_goes_on(mover, dynamodb, aws, gate, table):
    env, _ = by_container(mover, aws)
    aws.lives = 5
    running = mover.start("run", "--from", dynamodb.url(table, endpoint=gate.endpoint), "--to", "sqlite:out.db", env=env)
    running.wait_for_phase("in_sync")
    aws.meddle["container"] = lambda: (403, b'{"code":"AccessDenied"}', {})
    done = running.finish(60)
    assert done.exit_code == 5 and done.error["name"] == "credentials_expired", str(done)
    for part in ("could not be renewed", aws.endpoint, "looked at: ", "AWS_ACCESS_KEY_ID"):
        assert part in done.error["message"], str(done)
    del aws.meddle["container"]
    assert run(mover, dynamodb, gate, table, env).exit_code == 0
    assert compare.assert_equal(dynamodb.client(), table, mover.cwd / "out.db") == 60


def test_the_role_of_a_move_yaml_is_the_sources_own(mover, dynamodb, aws, gate, table):
    aws.roles[ROLE] = "shared"
    aws.known("BASE", "base-secret-of-thirty-characters")
    shared_files(mover, "", "[base]\naws_access_key_id = BASE\naws_secret_access_key = base-secret-of-thirty-characters\n")
    (mover.cwd / "move.yaml").write_text(f"""
move: out
source:
  url: "dynamodb://us-east-1?endpoint={gate.endpoint}"
  identity: {{profile: base, role_arn: "{ROLE}", external_id: shared, session_name: copy-1}}
target: {{url: "sqlite:out.db"}}
tables: [{{name: {table}}}]
""")
    done = mover.run("run", "move.yaml", "--until", "in-sync", env=aws.sts())
    assert done.exit_code == 0, str(done)
    assert set(gate.ids) == set(aws.given("ROLEmover"))
    assert compare.assert_equal(dynamodb.client(), table, mover.cwd / "out.db") == 60
    aws.roles[ROLE] = "another"
    done = mover.run("verify", "move.yaml", env=aws.sts())
    assert done.exit_code == 3 and done.error["name"] == "access_denied", str(done)
    assert "sts:AssumeRole" in done.error["message"] and ROLE in done.error["message"]


@pytest.mark.parametrize("answer, part", [
    (lambda: (200, HTML, {}), ""),
    (lambda: (200, b"", {}), ""),
    (lambda: (200, b"x" * 1_000_000, {}), ""),
    (lambda: (200, b'{"AccessKeyId":"A', {}), ""),
    (lambda: (200, b"<AssumeRoleWithWebIdentityResponse><AssumeRole", {}), ""),
    (lambda: (302, b"", {"Location": "http://127.0.0.1:9/"}), "redirect"),
    (lambda: (200, b"{}", {"Content-Length": "500"}), ""),
    (lambda: (500, HTML, {}), "500"),
    (lambda: (None, b"", {}), ""),
], ids=["html", "empty", "huge", "cut json", "cut xml", "redirect", "cut body", "500", "silent"])
@pytest.mark.parametrize("place, asked", [(by_web_identity, "sts:AssumeRoleWithWebIdentity"), (by_older_sso, "sso:GetRoleCredentials"),
                                          (by_container, "container"), (by_instance, "imds:keys")],
                         ids=["sts", "sso", "container", "imds"])
def test_a_hostile_answer_is_one_clear_error(mover, dynamodb, aws, gate, table, place, asked, answer, part):
    env, _ = place(mover, aws)
    env |= {"AWS_METADATA_SERVICE_TIMEOUT": "1"}
    aws.meddle[asked] = answer
    began = time.monotonic()
    done = run(mover, dynamodb, gate, table, env, "copy")
    assert done.error["name"] in ("corrupt", "unavailable", "endpoint_down"), str(done)
    assert aws.endpoint in done.error["message"] and part in done.error["message"], str(done)
    assert "hotel" not in done.stdout + done.stderr and len(done.error["message"]) < 1000
    assert time.monotonic() - began < 15
    assert gate.ids == []


def test_a_laptop_is_not_held_up_by_an_address_that_never_answers(mover, dynamodb, gate, table):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        done = run(mover, dynamodb, gate, table, {
            "AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        assert done.exit_code == 2 and done.error["name"] == "usage", str(done)
        assert time.monotonic() - began < 5
    for place in ("AWS_ACCESS_KEY_ID", str(mover.home / ".aws" / "credentials"), "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                  "EC2 instance metadata"):
        assert place in done.error["message"]
