"""The way out most people take today: boto3, eight segments, into JSON lines, SQLite or another table.

usage: boto3_way.py ENDPOINT lines|sqlite|batch OUT"""

import base64
import json
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import boto3
from botocore.config import Config

ENDPOINT, WAY, OUT = sys.argv[1:4]
SEGMENTS = 8


def client():
    # More patience than the usual five attempts: the injected faults must not end the run.
    return boto3.client("dynamodb", endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b",
                        config=Config(max_pool_connections=SEGMENTS, retries={"mode": "standard", "max_attempts": 20}))


def pages(segment):
    for page in client().get_paginator("scan").paginate(TableName="bench", Segment=segment, TotalSegments=SEGMENTS,
                                                        ConsistentRead=True):
        yield page["Items"]


def as_text(item):
    return json.dumps({"Item": item}, default=lambda b: base64.b64encode(b).decode())


def write_lines(segment, out, lock):
    for items in pages(segment):
        text = "".join(as_text(item) + "\n" for item in items)
        with lock:
            out.write(text)


def copy(segment):
    target = client()
    for items in pages(segment):
        for at in range(0, len(items), 25):
            left = {OUT: [{"PutRequest": {"Item": item}} for item in items[at:at + 25]]}
            while left:
                left = target.batch_write_item(RequestItems=left)["UnprocessedItems"]


if WAY == "lines":
    with open(OUT, "w") as out, ThreadPoolExecutor(SEGMENTS) as pool:
        lock = Lock()  # two threads within one file tear its lines
        list(pool.map(lambda segment: write_lines(segment, out, lock), range(SEGMENTS)))
elif WAY == "batch":
    with ThreadPoolExecutor(SEGMENTS) as pool:
        list(pool.map(copy, range(SEGMENTS)))
else:
    db = sqlite3.connect(OUT)
    db.execute("CREATE TABLE bench (pk TEXT, sk NUMERIC, item TEXT, PRIMARY KEY (pk, sk)) WITHOUT ROWID")
    for segment in range(SEGMENTS):
        for items in pages(segment):
            with db:
                db.executemany("INSERT OR REPLACE INTO bench VALUES (?, ?, ?)",
                               ((i["pk"]["S"], i["sk"]["N"], as_text(i)) for i in items))
    db.close()
