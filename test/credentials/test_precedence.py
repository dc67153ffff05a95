"""The chain of credentials against botocore's, in environments drawn at random: both must end with keys of the same source."""

import json
import os
import random
import unittest.mock

import botocore.exceptions
import botocore.session
import botocore.credentials
import botocore.tokens
import pytest

from harness import credentials_probe
from harness.stand_ins import stand_ins

START_URL = "https://corp.awsapps.com/start"
STATIC = "aws_access_key_id = {0}\naws_secret_access_key = {0}-secret\n"


@pytest.fixture(scope="module")
def probe():
    with credentials_probe.Probe() as running:
        yield running


@pytest.fixture
def aws():
    with stand_ins() as servers:
        for role in ("top", "base", "env"):
            servers.roles[f"arn:aws:iam::1:role/{role}"] = None
            servers.web_tokens[f"arn:aws:iam::1:role/{role}"] = f"web-token-of-{role}"
        servers.sso_roles = {("123456789012", "mover"), ("123456789012", "old")}
        yield servers


class World:
    """A home folder with shared files, and variables."""

    def __init__(self, home, aws):
        self.home, self.aws = home, aws
        (home / ".aws").mkdir(parents=True)
        for role in ("top", "base", "env"):
            (home / f"token-{role}").write_text(f"web-token-of-{role}")
        for name in ("top", "base"):
            (home / f"process-{name}.json").write_text(json.dumps(
                {"Version": 1, "AccessKeyId": f"PROCESS{name}", "SecretAccessKey": "s"}))
        self.vars = {"HOME": str(home), "AWS_CONFIG_FILE": str(home / ".aws" / "config"), "AWS_REGION": "us-east-1",
                     "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws" / "credentials"), **aws.sts(), **aws.sso(), **aws.imds()}
        self.config, self.credentials = {}, {}
        self.profile = ""

    def write(self):
        def text(sections):
            return "".join(f"[{name}]\n{body}\n" for name, body in sections.items())
        (self.home / ".aws" / "config").write_text(
            text(self.config) + f"[sso-session corp]\nsso_start_url = {START_URL}\nsso_region = us-east-1\n")
        (self.home / ".aws" / "credentials").write_text(text(self.credentials))

    def sources(self, name):
        """Settings of profile `name`, one for each way to get keys."""
        return {
            "web": f"web_identity_token_file = {self.home}/token-{name}\nrole_arn = arn:aws:iam::1:role/{name}\n",
            "sso": "sso_session = corp\nsso_account_id = 123456789012\nsso_role_name = mover\n",
            "old sso": f"sso_start_url = {START_URL}\nsso_region = us-east-1\nsso_account_id = 123456789012\nsso_role_name = old\n",
            "process": f"credential_process = cat {self.home}/process-{name}.json\n",
            "config keys": STATIC.format("CONFIG" + name),
        }


def draw(chance, world):
    name = chance.choice(("default", "default", "p"))
    section = "default" if name == "default" else "profile p"
    if name == "p":
        if chance.random() < 0.5:
            world.vars["AWS_PROFILE"] = "p"
        else:
            world.profile = "p"
    elif chance.random() < 0.2:
        world.profile = "default"
    sources = world.sources("top")
    chosen = chance.sample(sorted(sources), chance.choice((0, 0, 1, 1, 2, 3)))
    if "sso" in chosen and "old sso" in chosen:
        chosen.remove("old sso")  # one profile has one of the two
    body = "region = us-east-1\n" + "".join(sources[each] for each in chosen)
    if chance.random() < 0.35 and "web" not in chosen:
        body += "role_arn = arn:aws:iam::1:role/top\n"
        kind = chance.choice(("profile", "profile", "profile", "Environment", "EcsContainer", "Ec2InstanceMetadata", "none"))
        if kind == "profile":
            body += "source_profile = base\n"
            inner = world.sources("base")
            inner["role"] = "role_arn = arn:aws:iam::1:role/base\nsource_profile = root\n"
            inner["file keys"] = ""
            kinds = chance.sample(sorted(inner), chance.choice((1, 1, 1, 2)))
            if not {"web", "role"} <= set(kinds) and not {"sso", "old sso"} <= set(kinds):
                world.config["profile base"] = "region = us-east-1\n" + "".join(inner[each] for each in kinds)
                if "file keys" in kinds:
                    world.credentials["base"] = STATIC.format("FILEbase")
                world.credentials["root"] = STATIC.format("FILEroot")
                world.aws.known("FILEroot", "FILEroot-secret")
        elif kind != "none":
            body += f"credential_source = {kind}\n"
    world.config[section] = body
    if chance.random() < 0.3:
        world.credentials[name] = STATIC.format("FILEtop")
    for id in ("FILEbase", "CONFIGbase", "ENV"):
        world.aws.known(id, id + "-secret")
    world.aws.known("PROCESSbase", "s")
    if chance.random() < 0.25:
        world.vars |= {"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "ENV-secret"}
    if chance.random() < 0.25:
        world.vars |= {"AWS_WEB_IDENTITY_TOKEN_FILE": f"{world.home}/token-env", "AWS_ROLE_ARN": "arn:aws:iam::1:role/env"}
    if chance.random() < 0.5:
        world.vars |= world.aws.container()
    if chance.random() < 0.3:
        world.vars["AWS_EC2_METADATA_DISABLED"] = "true"
    world.aws.log_in(world.home, "corp", seconds=chance.choice((300, 28800)))
    world.aws.log_in(world.home, START_URL, refreshable=False)
    world.write()


def by_botocore(world):
    """The id of the keys botocore ends with, without the stand-in's running number; None where it finds none or fails."""
    cache = str(world.home / ".aws" / "sso" / "cache")
    with unittest.mock.patch.dict(os.environ, world.vars, clear=True), \
            unittest.mock.patch.object(botocore.credentials.SSOProvider, "_SSO_TOKEN_CACHE_DIR", cache), \
            unittest.mock.patch.object(botocore.tokens.SSOTokenProvider, "_SSO_TOKEN_CACHE_DIR", cache):
        session = botocore.session.Session(profile=world.profile or None)
        try:
            keys = session.get_credentials()
            return keys and keys.get_frozen_credentials().access_key
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as problem:
            return f"failed: {type(problem).__name__}: {problem}"


def bare(id):
    return None if id is None or id.startswith("failed") else id.rstrip("0123456789")


@pytest.mark.parametrize("part", range(8))
def test_the_same_source_as_botocore_chooses(probe, aws, tmp_path, part):
    seen = set()
    for number in range(20):
        seed = part * 1000 + number
        world = World(tmp_path / str(seed), aws)
        draw(random.Random(seed), world)
        theirs = by_botocore(world)
        ours = probe.ask({"vars": world.vars, "profile": world.profile, "region": "us-east-1"})
        story = json.dumps({"seed": seed, "botocore": theirs, "moveout": ours, "vars": world.vars, "profile": world.profile,
                            "config": world.config, "credentials": world.credentials}, indent=1)
        assert bare(ours.get("id")) == bare(theirs), story
        if theirs is None:
            assert "no AWS credentials; looked at: " in ours["error"], story
        elif theirs.startswith("failed"):
            assert ours["kind"] in ("usage", "credentials_expired", "access_denied"), story
        seen.add(bare(theirs))
    assert len(seen) > 4, seen


def test_every_source_is_chosen_by_some_drawn_environment(probe, aws, tmp_path):
    """What the comparison covers, so that it cannot become hollow."""
    seen = set()
    for seed in range(160):
        world = World(tmp_path / str(seed), aws)
        draw(random.Random(seed // 20 * 1000 + seed % 20), world)
        seen.add(bare(probe.ask({"vars": world.vars, "profile": world.profile, "region": "us-east-1"}).get("id")))
    assert {"ENV", "ROLEtop", "WEBtop", "WEBenv", "SSOmover", "SSOold", "FILEtop", "PROCESStop", "CONFIGtop", "BOX", "INSTANCE",
            None} <= seen, seen
