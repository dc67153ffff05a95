"""A stand-in for DynamoDB's export to S3, which no local server has: a server in front of DynamoDB Local that answers the calls of
point-in-time recovery and exports, passes every other one through, and writes export trees into an S3 server.

    with export_service(dynamodb, s3) as exports:
        moveout.run("export", "request", "--from", exports.url(table), "--to", f"s3://{bucket}/prefix?endpoint={s3.endpoint}")

What a real export is and this one is too: the files and their names, MD5s and manifests, `_started` first and the summary last; the
content of a full export is off by up to `fuzz_s` from its time, item by item; an incremental one holds, of all writes of a key in its
window, the last with its time, and nothing of a key that came and went inside it. The history is kept by looking at the table again
and again from the moment point-in-time recovery is switched on, so a write's time is that of the look that saw it.
"""

import base64
import bisect
import gzip
import hashlib
import http.client
import http.server
import json
import random
import re
import secrets
import threading
import time
import urllib.parse
from contextlib import contextmanager

from harness import ion_lines
from harness.servers import REGION

ACCOUNT = "000000000000"
FORWARDED = ("Authorization", "Content-Type", "X-Amz-Target", "X-Amz-Date", "X-Amz-Security-Token", "Accept-Encoding")


class Refused(Exception):
    def __init__(self, name, message, status=400):
        super().__init__(name)
        self.name, self.message, self.status = name, message, status


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def md5_of(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def dumps(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def json_line(record):
    return dumps(record) + "\n"


class History:
    """What each item of a table was, and from when on: by looking again and again."""

    def __init__(self, service, table):
        self.service, self.table = service, table
        described = service.ask("DescribeTable", {"TableName": table})["Table"]
        self.keys = [each["AttributeName"] for each in described["KeySchema"]]
        self.versions = {}  # by key: ([time in µs…], [image or None…])
        self.size = 0
        self.began = time.time()
        self.looked = 0.0  # the latest complete look began then
        self._lock = threading.Condition()
        self._stop = threading.Event()
        self.look()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self.look()
            except (OSError, http.client.HTTPException, Refused):
                self._stop.wait(0.5)  # the server is away, or its table gone
                continue
            self._stop.wait(max(self.service.look_s, 3 * (time.monotonic() - began)))

    def look(self):
        began = time.time()
        found, start = {}, None
        while True:
            page = self.service.ask("Scan", {"TableName": self.table, "ConsistentRead": True, **({"ExclusiveStartKey": start} if start else {})})
            for item in page["Items"]:
                found[dumps([item[name] for name in self.keys])] = item
            start = page.get("LastEvaluatedKey")
            if not start:
                break
        # What the first look sees was there before.
        now = int(time.time() * 1e6) if self.looked else 0
        with self._lock:
            for key, item in found.items():
                self._note(key, item, now)
            for key in self.versions.keys() - found.keys():
                self._note(key, None, now)
            self.looked = began
            self._lock.notify_all()

    def _note(self, key, image, now):
        times, images = self.versions.setdefault(key, ([], []))
        if not images and image is None or images and images[-1] == image:
            return
        times.append(now)
        images.append(image)

    def wait_until(self, instant):
        """Everything written before `instant` is known."""
        with self._lock:
            if not self._lock.wait_for(lambda: self.looked > instant or self._stop.is_set(), timeout=120) or self._stop.is_set():
                raise RuntimeError("no look at the table")

    def at(self, key, micros):
        times, images = self.versions[key]
        place = bisect.bisect_right(times, micros) - 1
        return images[place] if place >= 0 else None

    def full(self, instant, fuzz_s, chance):
        with self._lock:
            keys = list(self.versions)
        for key in keys:
            image = self.at(key, int((instant + chance.uniform(-fuzz_s, fuzz_s)) * 1e6))
            if image is not None:
                yield {"Item": image}

    def window(self, since, until, view):
        """Since inclusive, until exclusive."""
        since, until = int(since * 1e6), int(until * 1e6)
        with self._lock:
            keys = list(self.versions)
        for key in keys:
            times, _ = self.versions[key]
            last = bisect.bisect_left(times, until) - 1
            if last < 0 or times[last] < since:
                continue
            old, new = self.at(key, since - 1), self.at(key, until - 1)
            if old is None and new is None:
                continue  # came and went
            record = {"Metadata": {"WriteTimestampMicros": {"N": str(times[last])}},
                      "Keys": {name: (new or old)[name] for name in self.keys}}
            if view == "NEW_AND_OLD_IMAGES" and old is not None:
                record["OldImage"] = old
            if new is not None:
                record["NewImage"] = new
            yield record

    def close(self):
        self._stop.set()
        with self._lock:
            self._lock.notify_all()
        self._thread.join()


class ExportService:
    access_key = "local"

    def __init__(self, dynamodb, s3, *, seed=1):
        self.s3 = s3
        self.fuzz_s = 1.0  # a minute, scaled
        self.look_s = 0.2
        self.window_min_s = 0  # 900 on AWS
        self.file_items = 400  # items a data file
        self.empty_files = 1  # data files without an item, beside the others
        self.wait_s = 0.0  # an export is under way at least so long
        self.fail_next = None  # (FailureCode, FailureMessage) of the next export
        self.meddle = None  # called with {key: bytes} of the tree before it is written; may change it
        self.refuse = {}  # by operation: (error's name, message)
        self.asked = []  # operations, in order
        self.exports = {}  # by ARN: its description
        self._tokens = {}
        self._histories = {}
        self._chance = random.Random(seed)
        self._lock = threading.RLock()
        self._workers = []
        self._local = threading.local()
        upstream = urllib.parse.urlsplit(dynamodb.endpoint)
        self._upstream = (upstream.hostname, upstream.port)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, out, headers = outer._answer(self.headers, body)
                try:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(out))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(out)
                except ConnectionError:  # who asked was killed
                    self.close_connection = True

            def log_message(self, *_):
                """Quiet: the tests print what matters."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self):
        for history in list(self._histories.values()):
            history.close()
        for worker in self._workers:
            worker.join()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, table, **options):
        """The table behind this service as moveout names it."""
        return f"dynamodb://{REGION}/{urllib.parse.quote(table)}?{urllib.parse.urlencode({'endpoint': self.endpoint, **options})}"

    def arn(self, table):
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"

    # Passing through.

    def _send(self, headers, body):
        connection = getattr(self._local, "connection", None) or http.client.HTTPConnection(*self._upstream, timeout=60)
        self._local.connection = None
        try:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            out = answer.read()
        except (http.client.HTTPException, OSError):
            connection.close()
            raise
        self._local.connection = connection
        return answer.status, out, dict(answer.getheaders())

    def ask(self, operation, request):
        scope = f"{self.access_key}/20200101/{REGION}/dynamodb/aws4_request"
        status, out, _ = self._send({
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810." + operation, "X-Amz-Date": "20200101T000000Z",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}, dumps(request).encode())
        answer = json.loads(out)
        if status != 200:
            raise Refused(answer["__type"].rpartition("#")[2], answer.get("message") or answer.get("Message", ""))
        return answer

    def _answer(self, headers, body):
        operation = headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.asked.append(operation)
        ours = getattr(self, "_" + operation, None)
        json_type = {"Content-Type": "application/x-amz-json-1.0"}
        try:
            if operation in self.refuse:
                raise Refused(*self.refuse[operation])
            if ours is None:
                # Whoever asks, by whatever keys (DynamoDB Local takes letters and digits only, and checks no signature).
                passed = {name: headers[name] for name in FORWARDED if name in headers}
                passed["Authorization"] = re.sub("Credential=[^/]*/", f"Credential={self.access_key}/", passed.get("Authorization", ""))
                status, out, answered = self._send(passed, body)
                dropped = ("transfer-encoding", "connection", "date", "server", "content-length")
                return status, out, {n: v for n, v in answered.items() if n.lower() not in dropped}
            return 200, dumps(ours(json.loads(body))).encode(), json_type
        except Refused as refusal:
            text = {"__type": "com.amazonaws.dynamodb.v20120810#" + refusal.name, "message": refusal.message}
            return refusal.status, dumps(text).encode(), json_type
        except (OSError, http.client.HTTPException) as problem:
            return 503, dumps({"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": str(problem)}).encode(), json_type

    # Point-in-time recovery.

    def _backups(self, table):
        self.ask("DescribeTable", {"TableName": table})  # it is there
        history = self._histories.get(table)
        pitr = {"PointInTimeRecoveryStatus": "ENABLED" if history else "DISABLED"}
        if history:
            pitr |= {"EarliestRestorableDateTime": history.began, "LatestRestorableDateTime": time.time()}
        return {"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": pitr}}

    def _DescribeContinuousBackups(self, request):
        return self._backups(request["TableName"])

    def _UpdateContinuousBackups(self, request):
        table = request["TableName"]
        with self._lock:
            if request["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] and table not in self._histories:
                self._histories[table] = History(self, table)
        return self._backups(table)

    # Exports.

    def _ExportTableToPointInTime(self, request):
        with self._lock:
            token = request.get("ClientToken")
            if token in self._tokens:
                asked, arn = self._tokens[token]
                if asked != request:
                    raise Refused("ExportConflictException", "There was a conflict when writing to the specified S3 bucket.")
                return {"ExportDescription": self.exports[arn]}
            description = self._begin(request)
            arn = description["ExportArn"]
            self.exports[arn] = description
            if token:
                self._tokens[token] = (request, arn)
            copy = dict(description)
            worker = threading.Thread(target=self._work, args=(arn,), daemon=True)
            self._workers.append(worker)
            worker.start()
        return {"ExportDescription": copy}

    def _begin(self, request):
        arn = request["TableArn"]
        table = arn.rpartition("table/")[2]
        try:
            described = self.ask("DescribeTable", {"TableName": table})["Table"]
        except Refused as refusal:
            raise Refused("TableNotFoundException", f"Table not found: {arn}") from refusal
        history = self._histories.get(table)
        if not history:
            raise Refused("PointInTimeRecoveryUnavailableException", f"Point in time recovery is not enabled for table '{table}'")
        now = int(time.time() * 1000) / 1000
        kind = request.get("ExportType", "FULL_EXPORT")
        out = {
            "ExportStatus": "IN_PROGRESS", "StartTime": now, "TableArn": arn, "TableId": described.get("TableId", "no-id"),
            "ExportFormat": request.get("ExportFormat", "DYNAMODB_JSON"), "ExportType": kind, "S3Bucket": request["S3Bucket"],
            "S3SseAlgorithm": request.get("S3SseAlgorithm", "AES256"), "ClientToken": request.get("ClientToken", secrets.token_hex(8)),
            "ExportArn": f"{arn}/export/{int(now * 1000):014d}-{secrets.token_hex(4)}"}
        for name in ("S3Prefix", "S3SseKmsKeyId", "S3BucketOwner"):
            if request.get(name):
                out[name] = request[name]
        if kind == "FULL_EXPORT":
            out["ExportTime"] = request.get("ExportTime", now)
            if not history.began - 1 <= out["ExportTime"] <= now + 1:
                raise Refused("InvalidExportTimeException", "The specified ExportTime is outside of the point in time recovery window.")
        else:
            window = request.get("IncrementalExportSpecification", {})
            since, until = window.get("ExportFromTime"), window.get("ExportToTime", now)
            if since is None or not history.began - 1 <= since < until <= now + 1 or until - since < self.window_min_s:
                raise Refused("ValidationException", "The export window is not between 15 minutes and 24 hours of the recovery window")
            out["IncrementalExportSpecification"] = {
                "ExportFromTime": since, "ExportToTime": until, "ExportViewType": window.get("ExportViewType", "NEW_AND_OLD_IMAGES")}
        return out

    def _DescribeExport(self, request):
        with self._lock:
            if request["ExportArn"] not in self.exports:
                raise Refused("ExportNotFoundException", f"Export not found: {request['ExportArn']}")
            return {"ExportDescription": dict(self.exports[request["ExportArn"]])}

    def _ListExports(self, request):
        with self._lock:
            arns = sorted((a for a, each in self.exports.items() if request.get("TableArn") in (None, each["TableArn"])), reverse=True)
        start = int(request.get("NextToken", "0"))
        most = request.get("MaxResults", 25)
        page = {"ExportSummaries": [{n: self.exports[a][n] for n in ("ExportArn", "ExportStatus", "ExportType")} for a in arns[start:start + most]]}
        if start + most < len(arns):
            page["NextToken"] = str(start + most)
        return page

    def _work(self, arn):
        export = self.exports[arn]
        failure = self.fail_next
        self.fail_next = None
        try:
            if failure:
                raise Refused(*failure)
            done = self._write(arn, export)
        except Exception as problem:  # told by DescribeExport, as the real one would
            name, message = (problem.name, problem.message) if isinstance(problem, Refused) else ("InternalError", repr(problem))
            done = {"ExportStatus": "FAILED", "FailureCode": name, "FailureMessage": message}
        time.sleep(self.wait_s)
        with self._lock:
            export.update(done, EndTime=time.time())

    def _write(self, arn, export):
        history = self._histories[export["TableArn"].rpartition("table/")[2]]
        window = export.get("IncrementalExportSpecification")
        chance = random.Random(self._chance.random())
        if window:
            history.wait_until(window["ExportToTime"])
            records = list(history.window(window["ExportFromTime"], window["ExportToTime"], window["ExportViewType"]))
        else:
            history.wait_until(export["ExportTime"] + self.fuzz_s)
            records = list(history.full(export["ExportTime"], self.fuzz_s, chance))
        chance.shuffle(records)
        tree = self.tree(arn, export, records, chance)
        if self.meddle:
            self.meddle(tree)
        for key, data in tree.items():
            self.s3.client().put_object(Bucket=export["S3Bucket"], Key=key, Body=data)
        return {"ExportStatus": "COMPLETED", "ItemCount": len(records), "BilledSizeBytes": sum(len(dumps(r)) for r in records),
                "ExportManifest": next(key for key in tree if key.endswith("/manifest-summary.json"))}

    def tree(self, arn, export, records, chance):
        """The export's objects by key, in the order they are written."""
        window = export.get("IncrementalExportSpecification")
        top = (export.get("S3Prefix", "").strip("/") + "/AWSDynamoDB/").lstrip("/")
        folder = top + arn.rpartition("/")[2] + "/"
        data = top + "data/" if window else folder + "data/"
        line, ending = (ion_lines.line, "ion.gz") if export["ExportFormat"] == "ION" else (json_line, "json.gz")
        tree, entries = {folder + "_started": b""}, []
        groups = [records[i:i + self.file_items] for i in range(0, len(records), self.file_items)] + [[]] * self.empty_files
        for group in groups:
            packed = gzip.compress("".join(map(line, group)).encode(), 6, mtime=0)
            key = data + "".join(chance.choices("abcdefghijklmnopqrstuvwxyz234567", k=26)) + "." + ending
            tree[key] = packed
            entries.append({"itemCount": len(group), "md5Checksum": md5_of(packed), "etag": hashlib.md5(packed).hexdigest() + "-1", "dataFileS3Key": key})
        summary = {
            "version": "2023-08-01" if window else "2020-06-30", "exportArn": arn, "startTime": iso(export["StartTime"]), "endTime": iso(time.time()),
            "tableArn": export["TableArn"], "tableId": export["TableId"], "exportTime": iso(export.get("ExportTime", export["StartTime"])),
            "s3Bucket": export["S3Bucket"], "s3Prefix": export.get("S3Prefix"), "s3SseAlgorithm": export["S3SseAlgorithm"],
            "s3SseKmsKeyId": export.get("S3SseKmsKeyId"), "manifestFilesS3Key": folder + "manifest-files.json",
            "billedSizeBytes": sum(len(dumps(r)) for r in records), "itemCount": len(records), "outputFormat": export["ExportFormat"]}
        if window:
            del summary["exportTime"]
            summary |= {"exportFromTime": iso(window["ExportFromTime"]), "exportToTime": iso(window["ExportToTime"]),
                        "outputView": "NEW_IMAGE" if window["ExportViewType"] == "NEW_IMAGE" else "NEW_AND_OLD_IMAGES",
                        "exportType": "INCREMENTAL_EXPORT"}
        else:
            summary["exportType"] = "FULL_EXPORT"
        for name, text in (("manifest-files.json", "".join(map(json_line, entries))), ("manifest-summary.json", dumps(summary))):
            tree[folder + name] = text.encode()
            tree[folder + name.replace(".json", ".md5")] = md5_of(text.encode()).encode()
        return tree


@contextmanager
def export_service(dynamodb, s3, **options):
    service = ExportService(dynamodb, s3, **options)
    try:
        yield service
    finally:
        service.close()
