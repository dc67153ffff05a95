"""A live table moves into an SQLite file by an export to S3, without a read of it for the copy. See docs/exports.md.

usage: test/demo/run export [--items N] [--folder DIR]
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from demo import SCHEMA, TABLE, Narrator, say  # noqa: E402
from harness import compare, tables  # noqa: E402
from harness.exports import export_service  # noqa: E402
from harness.moveout import BINARY, Moveout  # noqa: E402
from harness.servers import dynamodb_local, s3proxy  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUCKET = "demo-exports"
READS = ("Scan", "Query", "GetItem", "BatchGetItem")


def move_live(dynamodb, s3, exports, folder, items):
    client = dynamodb.client()
    tables.create_table(client, TABLE, SCHEMA, stream=None)
    say(f"filling the table \"{TABLE}\" with {items:,} items of every type")
    tables.fill(client, TABLE, items, SCHEMA)
    s3.client().create_bucket(Bucket=BUCKET)
    program = Moveout(folder, {**dynamodb.environment(), "AWS_ENDPOINT_URL_S3": s3.endpoint, "AWS_ACCESS_KEY_ID": s3.access_key,
                               "AWS_SECRET_ACCESS_KEY": s3.secret_key})
    path = folder / "orders.db"
    say("an application starts to write to it: puts, updates and deletes without pause")
    say(f"moveout run --from dynamodb://us-east-1/{TABLE} --to sqlite:orders.db --backfill export --until in-sync")
    with tables.LiveWriter(dynamodb.client, TABLE, SCHEMA, items, threads=2, rate=60) as writer:
        # The margin is five minutes on AWS; the stand-in's exports are off by a second at most.
        running = program.start(
            "run", "--from", exports.url(TABLE), "--to", f"sqlite:{path}", "--until", "in-sync", "--backfill", "export",
            "--set", f"export.bucket={BUCKET}", "--set", "export.prefix=orders", "--set", "export.enable_pitr=true",
            "--set", "export.margin=4s")
        narrator = Narrator(running, items)
        running.wait_for_phase("replay", timeout=100)
        reads = sum(operation in READS for operation in exports.asked)
        say(f"  the copy is complete; reads of the table so far: {reads}")
        time.sleep(3)
        say("  the application stops writing, so that there is a last write to be in sync with")
        wrote = writer.stop()
    done = running.finish(timeout=100)
    narrator.stop()
    if done.exit_code != 0:
        sys.exit(f"the move did not end in sync:\n{done}")
    found = compare.compare(client, TABLE, path)
    export = next(iter(exports.exports.values()))
    print(f"""
What happened
  the application wrote {sum(wrote.values()):,} times during the move ({wrote['put']:,} puts, {wrote['update']:,} updates, {wrote['delete']:,} deletes)
  the export {export['ExportArn'].rpartition('/')[2]} holds {export['ItemCount']:,} items, each as of a moment within a second of its time
  reads of the table for the copy: {reads}; the comparison afterwards reads both sides

Compared once more, by another program (Python, boto3 and sqlite3; none of moveout's code): {found}
""")
    (folder / "events.json").write_text("\n".join(json.dumps(event) for event in done.events))
    if reads or not found.equal or done.result["items"] != found.items:
        sys.exit(f"moveout said {done.result['items']} items are in sync; the comparison says {found}; {reads} reads for the copy")
    print(f"in sync: {found.items} items, {len(found.missing)} missing, {len(found.extra)} extra, {len(found.different)} different")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--items", type=int, default=5_000)
    options.add_argument("--folder", type=pathlib.Path, default=ROOT / "demo-out")
    options = options.parse_args()
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say("starting DynamoDB Local, an S3 server that verifies signatures, and a stand-in for DynamoDB's exports")
    with dynamodb_local() as dynamodb, s3proxy() as s3, export_service(dynamodb, s3) as exports:
        move_live(dynamodb, s3, exports, folder, options.items)


if __name__ == "__main__":
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"{BINARY} is not built; `make` builds it")
    main()
