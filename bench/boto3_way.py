"""The way out most people take today: boto3, eight segments, into JSON lines or SQLite. usage: boto3_way.py ENDPOINT lines|sqlite OUT"""

import base64
import json
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

ENDPOINT, WAY, OUT = sys.argv[1:4]
SEGMENTS = 8


def client():
    return boto3.client("dynamodb", endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id="a",
                        aws_secret_access_key="b", config=Config(max_pool_connections=SEGMENTS))


def pages(segment):
    for page in client().get_paginator("scan").paginate(TableName="bench", Segment=segment, TotalSegments=SEGMENTS,
                                                        ConsistentRead=True):
        yield page["Items"]


def as_text(item):
    return json.dumps({"Item": item}, default=lambda b: base64.b64encode(b).decode())


if WAY == "lines":
    with open(OUT, "w") as out, ThreadPoolExecutor(SEGMENTS) as pool:
        list(pool.map(lambda s: [out.writelines(as_text(i) + "\n" for i in items) for items in pages(s)] and None, range(SEGMENTS)))
else:
    db = sqlite3.connect(OUT)
    db.execute("CREATE TABLE bench (pk TEXT, sk NUMERIC, item TEXT, PRIMARY KEY (pk, sk)) WITHOUT ROWID")
    for segment in range(SEGMENTS):
        for items in pages(segment):
            with db:
                db.executemany("INSERT OR REPLACE INTO bench VALUES (?, ?, ?)",
                               ((i["pk"]["S"], i["sk"]["N"], as_text(i)) for i in items))
    db.close()
