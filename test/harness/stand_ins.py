"""Stand-ins for everything that gives AWS credentials, in one server on loopback: STS, IAM Identity Center (portal and OIDC),
a container's endpoint and an instance's metadata. Stricter than the real ones where a client could cheat: signatures are
verified, tokens must be the ones given out, IMDSv1 is refused.

    with stand_ins() as aws:
        aws.roles["arn:aws:iam::1:role/r"] = "external id"
        moveout.run(..., env=aws.imds())

Keys end after aws.lives seconds; aws.valid(id) says whether a key would pass now. What is asked stands in aws.asked.
"""

import datetime
import hashlib
import http.server
import itertools
import json
import pathlib
import secrets
import threading
import time
import urllib.parse
from contextlib import contextmanager
from xml.sax.saxutils import escape

import botocore.auth
import botocore.awsrequest
import botocore.credentials

ROLE_PATH = "/latest/meta-data/iam/security-credentials/"


def iso(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Refused(Exception):
    def __init__(self, status, body=b"", headers=None):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


def sts_error(code, message, status=403):
    text = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error></ErrorResponse>"
    return Refused(status, text.encode())


class StandIns:
    def __init__(self):
        self.lives = 3600
        self.roles = {}  # by ARN: the external id that must be shown, or None
        self.web_tokens = {}  # by ARN: the token that must be shown
        self.sso_roles = set()  # (account, role)
        self.bearers = {}  # SSO access tokens: until when
        self.refresh_tokens = set()
        self.authorization = None  # what a container must show
        self.instance_role = "instance-role"
        self.asked = []  # in order, for instance "sts:AssumeRole"
        self.meddle = {}  # by the same names: a function that answers (status, body, headers) instead
        self.keys = {}  # by id: (secret, token, until when)
        self._imds_tokens = set()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    status, out, headers = outer._route(self, body)
                except Refused as refusal:
                    status, out, headers = refusal.status, refusal.body, refusal.headers
                if status is None:  # no answer at all
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(out)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(out)
                self.close_connection = "Content-Length" in headers  # a body that is cut ends with its connection

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                """Quiet: the tests print what matters."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # What a process is told so that it finds a stand-in.

    def sts(self):
        return {"AWS_ENDPOINT_URL_STS": self.endpoint}

    def imds(self):
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.endpoint}

    def container(self):
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.endpoint + "/container/keys?x=1"}

    def sso(self):
        return {"AWS_ENDPOINT_URL_SSO": self.endpoint, "AWS_ENDPOINT_URL_SSO_OIDC": self.endpoint}

    def log_in(self, home, name, seconds=28800, refreshable=True):
        """What `aws sso login` leaves under `home`; name: the session's, or the start URL."""
        token, refresh = secrets.token_hex(20), secrets.token_hex(20)
        self.bearers[token] = time.time() + seconds
        cached = {"startUrl": "https://corp.awsapps.com/start", "region": "us-east-1", "accessToken": token,
                  "expiresAt": iso(time.time() + seconds)}
        if refreshable:
            self.refresh_tokens.add(refresh)
            cached |= {"clientId": "client", "clientSecret": "client-secret", "refreshToken": refresh,
                       "registrationExpiresAt": iso(time.time() + 10**7)}
        folder = pathlib.Path(home) / ".aws" / "sso" / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / (hashlib.sha1(name.encode()).hexdigest() + ".json")
        path.write_text(json.dumps(cached))
        return path

    def give(self, name):
        """New keys, valid for self.lives seconds; their id begins with `name`."""
        with self._lock:
            id = f"{name}{next(self._numbers):04d}"
            self.keys[id] = (secrets.token_hex(20), "token/" + secrets.token_hex(40) + "+==", int(time.time() + self.lives))
            return id, *self.keys[id]

    def known(self, id, secret):
        """Keys from elsewhere that STS takes."""
        self.keys[id] = (secret, "", time.time() + 10**9)

    def valid(self, id):
        return id in self.keys and time.time() < self.keys[id][2]

    def given(self, name):
        return [id for id in self.keys if id.startswith(name)]

    # What they answer.

    def _route(self, request, body):
        path = urllib.parse.urlsplit(request.path)
        form = dict(urllib.parse.parse_qsl(body.decode())) if request.path == "/" and body else {}
        name, answer = self._find(request, path, form, body)
        with self._lock:
            self.asked.append(name)
        if name in self.meddle:
            return self.meddle[name]()
        return 200, answer(), {}

    def _find(self, request, path, form, body):
        if request.command == "POST" and request.path == "/":
            action = form.get("Action", "?")
            return "sts:" + action, lambda: self._sts(request, action, form, body)
        if request.command == "POST" and path.path == "/token":
            return "sso:CreateToken", lambda: self._create_token(json.loads(body))
        if path.path == "/federation/credentials":
            return "sso:GetRoleCredentials", lambda: self._role_credentials(request, dict(urllib.parse.parse_qsl(path.query)))
        if request.path == "/container/keys?x=1":
            return "container", lambda: self._container(request)
        if request.command == "PUT" and request.path == "/latest/api/token":
            return "imds:token", lambda: self._imds_token(request)
        if request.path == ROLE_PATH:
            return "imds:role", lambda: self._imds(request, lambda: self.instance_role.encode())
        if request.path == ROLE_PATH + self.instance_role:
            return "imds:keys", lambda: self._imds(request, lambda: self._metadata_keys("INSTANCE"))
        return "unknown " + request.path, lambda: (_ for _ in ()).throw(Refused(404))

    def _sts(self, request, action, form, body):
        arn = form.get("RoleArn", "")
        if action == "AssumeRole":
            self._verify(request, body)
            if arn not in self.roles or self.roles[arn] != form.get("ExternalId"):
                raise sts_error("AccessDenied", f"User: x is not authorized to perform: sts:AssumeRole on resource: {arn}")
            name = "ROLE" + arn.rsplit("/", 1)[1]
        elif action == "AssumeRoleWithWebIdentity":
            assert "Authorization" not in request.headers
            if not arn or self.web_tokens.get(arn) != form.get("WebIdentityToken"):
                raise sts_error("InvalidIdentityToken", "no such token", 400)
            name = "WEB" + arn.rsplit("/", 1)[1]
        else:
            raise sts_error("InvalidAction", action, 400)
        id, secret, token, until = self.give(name)
        return (f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><AssumedRoleUser>'
                f"<Arn>{escape(arn)}</Arn></AssumedRoleUser><Credentials><AccessKeyId>{id}</AccessKeyId>"
                f"<SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{escape(token)}</SessionToken>"
                f"<Expiration>{iso(until)}</Expiration></Credentials></{action}Result></{action}Response>").encode()

    def _verify(self, request, body):
        """The signature, as botocore makes it of the same request."""
        authorization = request.headers.get("Authorization", "")
        id = authorization.partition("Credential=")[2].partition("/")[0]
        scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
        if not self.valid(id):
            raise sts_error("InvalidClientTokenId", "The security token included in the request is invalid.")
        secret, token, _ = self.keys[id]
        if request.headers.get("X-Amz-Security-Token", "") != token:
            raise sts_error("InvalidClientTokenId", "another session token")
        signed = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        again = botocore.awsrequest.AWSRequest(method="POST", url=self.endpoint + "/", data=body)
        for header in signed:
            again.headers[header] = request.headers[header]
        auth = botocore.auth.SigV4Auth(botocore.credentials.Credentials(id, secret, token or None), "sts", scope[2])
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        text = auth.string_to_sign(again, auth.canonical_request(again))
        if authorization.partition("Signature=")[2] != auth.signature(text, again):
            raise sts_error("SignatureDoesNotMatch", "The request signature we calculated does not match")

    def _create_token(self, asked):
        if asked.get("grantType") != "refresh_token" or asked.get("refreshToken") not in self.refresh_tokens:
            raise Refused(400, b'{"error":"invalid_grant","error_description":"Invalid refresh token provided"}')
        assert asked["clientId"] == "client" and asked["clientSecret"] == "client-secret"
        self.refresh_tokens.remove(asked["refreshToken"])
        token, refresh = secrets.token_hex(20), secrets.token_hex(20)
        self.bearers[token] = time.time() + 28800
        self.refresh_tokens.add(refresh)
        return json.dumps({"accessToken": token, "expiresIn": 28800, "refreshToken": refresh, "tokenType": "Bearer"}).encode()

    def _role_credentials(self, request, query):
        if self.bearers.get(request.headers.get("x-amz-sso_bearer_token"), 0) < time.time():
            raise Refused(401, b'{"message":"Session token not found or invalid"}')
        if (query.get("account_id"), query.get("role_name")) not in self.sso_roles:
            raise Refused(403, b'{"message":"No access"}')
        id, secret, token, until = self.give("SSO" + query["role_name"])
        return json.dumps({"roleCredentials": {"accessKeyId": id, "secretAccessKey": secret, "sessionToken": token,
                                               "expiration": until * 1000}}).encode()

    def _metadata_keys(self, name):
        id, secret, token, until = self.give(name)
        return json.dumps({"Code": "Success", "LastUpdated": iso(time.time()), "Type": "AWS-HMAC", "AccessKeyId": id,
                           "SecretAccessKey": secret, "Token": token, "Expiration": iso(until)}).encode()

    def _container(self, request):
        if request.headers.get("Authorization") != self.authorization:
            raise Refused(401, b'{"code":"InvalidToken","message":"no"}')
        return self._metadata_keys("BOX")

    def _imds_token(self, request):
        if not 1 <= int(request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", 0)) <= 21600:
            raise Refused(400)
        token = secrets.token_urlsafe(40) + "=="
        self._imds_tokens.add(token)
        return token.encode()

    def _imds(self, request, answer):
        if request.headers.get("x-aws-ec2-metadata-token") not in self._imds_tokens:
            raise Refused(401)
        return answer()


@contextmanager
def stand_ins():
    servers = StandIns()
    try:
        yield servers
    finally:
        servers.close()
