"""`moveout export …` against a stand-in for the service."""

import pathlib
import time

import pytest


def request(moveout, exports, table, bucket, *more, prefix="pre/fix"):
    return moveout.run("export", "request", "--from", exports.url(table), "--to", f"s3://{bucket}/{prefix}", *more)


def objects(s3, bucket):
    return {each["Key"]: s3.client().get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
            for each in s3.client().list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_recovery_is_switched_on_only_when_told(moveout, exports, table, bucket):
    done = request(moveout, exports, table, bucket)
    assert done.exit_code == 2 and "--enable-pitr" in done.error["message"], str(done)
    assert "UpdateContinuousBackups" not in exports.asked and "ExportTableToPointInTime" not in exports.asked
    done = request(moveout, exports, table, bucket, "--enable-pitr", "--wait", "--client-token", "t-1")
    assert done.exit_code == 0, str(done)
    assert done.result["status"] == "COMPLETED" and done.result["items"] >= 300
    again = request(moveout, exports, table, bucket, "--client-token", "t-1")
    assert again.exit_code == 0 and again.result["arn"] == done.result["arn"], str(again)
    other = request(moveout, exports, table, bucket, "--client-token", "t-1", "--format", "ION")
    assert other.exit_code == 2 and "ExportConflictException" in other.error["message"], str(other)


def test_an_export_is_asked_for_waited_for_listed_and_fetched(moveout, exports, s3, table, bucket, tmp_path):
    exports.wait_s = 1.0
    asked = request(moveout, exports, table, bucket, "--enable-pitr", "--sse", "KMS", "--kms-key", "key-1")
    assert asked.exit_code == 0 and asked.result["status"] == "IN_PROGRESS", str(asked)
    listed = moveout.run("export", "list", "--from", exports.url(table))
    assert [e["status"] for e in listed.named("export")] == ["IN_PROGRESS"] and listed.result["exports"] == 1, str(listed)
    early = moveout.run("export", "fetch", "--from", exports.url(table), "--to", "out")
    assert early.exit_code == 2 and "complete" in early.error["message"], str(early)
    waited = moveout.run("export", "wait", "--from", exports.url(table))
    assert waited.exit_code == 0 and waited.result["arn"] == asked.result["arn"], str(waited)
    assert exports.exports[asked.result["arn"]]["S3SseKmsKeyId"] == "key-1"
    fetched = moveout.run("export", "fetch", "--from", exports.url(table), "--to", "out", "--export", asked.result["arn"])
    assert fetched.exit_code == 0 and fetched.result["items"] == waited.result["items"], str(fetched)
    copied = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert copied == {key.removeprefix("pre/fix/"): data for key, data in objects(s3, bucket).items()}
    # Again: what stands is kept, what is damaged is fetched anew.
    victim = next(p for p in (tmp_path / "out").rglob("*.json.gz") if p.stat().st_size > 100)
    good, victim_time = victim.read_bytes(), victim.stat().st_mtime_ns
    other = next(p for p in (tmp_path / "out").rglob("*.json.gz") if p != victim)
    other_time = other.stat().st_mtime_ns
    victim.write_bytes(good[:-1] + b"x")
    assert moveout.run("export", "fetch", "--from", exports.url(table), "--to", "out").exit_code == 0
    assert victim.read_bytes() == good and victim.stat().st_mtime_ns != victim_time and other.stat().st_mtime_ns == other_time


def test_a_failed_export_is_told_with_its_reason(moveout, exports, table, bucket):
    exports.fail_next = ("S3NoSuchBucket", "The specified bucket does not exist")
    done = request(moveout, exports, table, bucket, "--enable-pitr", "--wait")
    assert done.exit_code == 2 and "S3NoSuchBucket: The specified bucket" in done.error["message"], str(done)
    waited = moveout.run("export", "wait", "--from", exports.url(table))
    assert waited.exit_code == 2 and "S3NoSuchBucket" in waited.error["message"]


def test_a_window_is_asked_for_by_its_times(moveout, exports, table, bucket):
    assert request(moveout, exports, table, bucket, "--enable-pitr", "--wait").exit_code == 0
    began = exports._histories[table].began
    done = request(moveout, exports, table, bucket, "--since", iso(began), "--view", "NEW_IMAGE", "--format", "ION", "--wait")
    assert done.exit_code == 0, str(done)
    found = exports.exports[done.result["arn"]]
    assert found["ExportType"] == "INCREMENTAL_EXPORT" and found["ExportFormat"] == "ION"
    assert found["IncrementalExportSpecification"]["ExportViewType"] == "NEW_IMAGE"


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@pytest.mark.parametrize("flags, said", [
    (["--time", "yesterday"], "expected a time"), (["--until", "2026-01-01T00:00:00Z"], "--since"),
    (["--since", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z"], "not before"),
    (["--since", "2026-01-02T00:00:00Z", "--time", "2026-01-01T00:00:00Z"], "--since"), (["--kms-key", "k"], "--sse KMS")])
def test_wishes_that_contradict_themselves_are_refused_before_anything_is_asked(moveout, exports, table, bucket, flags, said):
    done = request(moveout, exports, table, bucket, *flags)
    assert done.exit_code == 2 and said in done.error["message"], str(done)
    assert exports.asked == []


def test_refusals_of_the_service_are_named(moveout, exports, table, bucket):
    exports.refuse["ExportTableToPointInTime"] = (
        "AccessDeniedException", f"User: arn:aws:iam::1:user/u is not authorized to perform: dynamodb:ExportTableToPointInTime on resource: {exports.arn(table)}")
    done = request(moveout, exports, table, bucket, "--enable-pitr")
    assert done.exit_code == 3 and done.error["name"] == "access_denied", str(done)
    assert "dynamodb:ExportTableToPointInTime" in done.error["message"]
    missing = moveout.run("export", "wait", "--from", exports.url(table), "--export", exports.arn(table) + "/export/01-none")
    assert missing.exit_code == 2 and "not found" in missing.error["message"], str(missing)
    nothing = moveout.run("export", "wait", "--from", exports.url(table))
    assert nothing.exit_code == 2 and "no export" in nothing.error["message"], str(nothing)


def test_a_damaged_file_is_not_fetched(moveout, exports, table, bucket, tmp_path):
    def damage(tree):
        key = next(k for k in tree if k.endswith(".json.gz"))
        tree[key] = tree[key][:-1] + b"x"
    exports.meddle = damage
    assert request(moveout, exports, table, bucket, "--enable-pitr", "--wait").exit_code == 0
    done = moveout.run("export", "fetch", "--from", exports.url(table), "--to", "out")
    assert done.exit_code == 3 and "MD5" in done.error["message"], str(done)
    assert not list(pathlib.Path(tmp_path / "out").rglob("manifest-summary.json"))
