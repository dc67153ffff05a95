"""A live table moves into an SQLite file by an export to S3, without a read of it for the copy. See docs/exports.md.

usage: test/demo/run export [--items N] [--folder DIR]
"""

import argparse
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from demo import SCHEMA, TABLE, Narrator, clean_folder, in_sync_behind, say, verdict  # noqa: E402
from harness import compare, tables  # noqa: E402
from harness.exports import export_service  # noqa: E402
from harness.moveout import BINARY, Moveout  # noqa: E402
from harness.servers import dynamodb_local, s3proxy  # noqa: E402

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
        done = in_sync_behind(program, running, narrator, writer)
    wrote = writer.counts
    found = compare.compare(client, TABLE, path)
    export = next(iter(exports.exports.values()))
    print(f"""
What happened
  the application wrote {sum(wrote.values()):,} times during the move ({wrote['put']:,} puts, {wrote['update']:,} updates, {wrote['delete']:,} deletes)
  the export {export['ExportArn'].rpartition('/')[2]} holds {export['ItemCount']:,} items, each as of a moment within a second of its time
  reads of the table for the copy: {reads}; the comparison afterwards reads both sides

Compared once more, by another program (Python, boto3 and sqlite3; none of moveout's code): {found}
""")
    verdict(folder, found, done, aside=f"; {reads} reads for the copy" if reads else "")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--items", type=int, default=5_000)
    options = clean_folder(options)
    say("starting DynamoDB Local, an S3 server that verifies signatures, and a stand-in for DynamoDB's exports")
    with dynamodb_local() as dynamodb, s3proxy() as s3, export_service(dynamodb, s3) as exports:
        move_live(dynamodb, s3, exports, options.folder, options.items)


if __name__ == "__main__":
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"{BINARY} is not built; `make` builds it")
    main()
