"""Tables with items of every kind, and a writer that keeps changing them. All chance comes from a seeded random.Random."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

SCHEMA = (("id", "S"), ("n", "N"))
NAMES = ("customer", "status", "total", "note", "tags", "lines", "paid", "photo", "größe", "a.b", "size of it", "x")
TEXTS = ("", "plain", "naïve café", "日本語のテキスト", "tab\tand\nline", "quote\" back\\slash", "\u0000inside", "😀", "{\"S\":\"json\"}")
NUMBERS = ("0", "1", "-1", "42", "3.14", "-0.5", "1000000", "9223372036854775807", "-9223372036854775808",
           "9223372036854775808", "12345678901234567890123456789012345678", "0.00000000000000000000000000000000000001",
           "1E-130", "9.9999999999999999999999999999999999999E+125", "-9.99E+125", "1.50")


def create_table(client, name, key=SCHEMA, stream="NEW_AND_OLD_IMAGES"):
    """key: (name, type) of the partition key and maybe the sort key; stream: a view type, or None for a table without one."""
    more = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": stream}} if stream else {}
    client.create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": k, "KeyType": kind} for (k, _), kind in zip(key, ("HASH", "RANGE"))],
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": t} for k, t in key], **more)
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def random_value(chance, depth=0):
    kind = chance.choice(("S", "S", "N", "N", "BOOL", "B", "NULL", "SS", "NS", "BS") + (("L", "M") if depth < 3 else ()))
    if kind == "S":
        return {"S": chance.choice(TEXTS) + chance.choice(("", "z" * chance.randrange(40)))}
    if kind == "N":
        return {"N": chance.choice(NUMBERS) if chance.random() < 0.5 else str(chance.randrange(-10**9, 10**9))}
    if kind == "B":
        return {"B": chance.randbytes(chance.randrange(12))}
    if kind == "BOOL":
        return {"BOOL": chance.random() < 0.5}
    if kind == "NULL":
        return {"NULL": True}
    if kind == "SS":
        return {"SS": sorted(set(chance.choices(TEXTS[1:], k=chance.randrange(1, 4))))}
    if kind == "NS":
        return {"NS": [str(n) for n in sorted({chance.randrange(-50, 50) for _ in range(chance.randrange(1, 4))})]}
    if kind == "BS":
        return {"BS": sorted({chance.randbytes(chance.randrange(1, 5)) for _ in range(chance.randrange(1, 4))})}
    if kind == "L":
        return {"L": [random_value(chance, depth + 1) for _ in range(chance.randrange(4))]}
    return {"M": {chance.choice(NAMES): random_value(chance, depth + 1) for _ in range(chance.randrange(4))}}


def random_attributes(chance):
    """Mostly the same names with the same types, as real tables have; then names and types at random."""
    item = {"customer": {"S": f"customer-{chance.randrange(500)}"}, "total": {"N": str(chance.randrange(10**6) / 100)}}
    if chance.random() < 0.9:
        item["paid"] = {"BOOL": chance.random() < 0.5}
    if chance.random() < 0.3:
        item["photo"] = {"B": chance.randbytes(chance.randrange(40))}
    for _ in range(chance.randrange(4)):
        item[chance.choice(NAMES)] = random_value(chance)
    return item


def make_key(schema, number):
    """The number-th key of a table, of whatever key types it has; distinct numbers give distinct keys."""
    made = {}
    for position, (name, kind) in enumerate(schema):
        part = number if len(schema) == 1 else (number // 5 if position == 0 else number % 5)
        made[name] = {"S": {"S": f"key {part} ü"}, "N": {"N": str(part * 7 - 100)}, "B": {"B": b"\xff\x00" + part.to_bytes(4, "big")}}[kind]
    return made


def random_item(chance, schema, number):
    return {**random_attributes(chance), **make_key(schema, number)}


def hostile_items(schema, first=10**6):
    """What breaks movers: limits and odd shapes that DynamoDB accepts, one item each."""
    deep = {"N": "7"}
    for level in range(31):
        deep = {"L": [deep]} if level % 2 else {"M": {"d": deep}}
    shapes = [
        {"empty text": {"S": ""}, "empty bytes": {"B": b""}, "empty list": {"L": []}, "empty map": {"M": {}}},
        {"nul": {"S": "a\u0000b"}, "bytes": {"B": bytes(range(256))}, "sets": {"BS": [b"\xc3\x28", b"\xff"]}},
        {"digits": {"N": "12345678901234567890123456789012345678"}, "tiny": {"N": "-1E-130"}, "zero": {"N": "-0"},
         "int": {"N": "9223372036854775807"}, "over": {"N": "9223372036854775808"}, "plain": {"N": "1.0"}},
        {"deep": deep},
        {"big": {"S": "x" * 390_000}},
        {"attributes": {"S": "a name moveout uses"}, "_moveout_v": {"N": "1"}, "Id": {"S": "a twin of id"}},
        {"numbers": {"NS": ["1", "1.5", "-0.1", "1E+2"]}, "null": {"NULL": True}, "false": {"BOOL": False}},
        {"customer": {"N": "5"}, "total": {"S": "not a number"}, "paid": {"NULL": True}},
    ]
    return [{**shape, **make_key(schema, first + number)} for number, shape in enumerate(shapes)]


def put_all(client, table, items):
    """BatchWriteItem with what was unprocessed sent again; four requests in flight."""
    def put(batch):
        request = {table: [{"PutRequest": {"Item": item}} for item in batch]}
        while request:
            request = client.batch_write_item(RequestItems=request).get("UnprocessedItems")
    items = list(items)
    small = [item for item in items if len(repr(item)) < 50_000]
    batches = [small[i:i + 25] for i in range(0, len(small), 25)] + [[item] for item in items if len(repr(item)) >= 50_000]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, batches))


def fill(client, table, count, schema, seed=1, hostile=True):
    """`count` items of key numbers 0 … count−1, and the hostile ones beside them."""
    chance = random.Random(seed)
    put_all(client, table, [random_item(chance, schema, n) for n in range(count)] + (hostile_items(schema) if hostile else []))


class LiveWriter:
    """Puts, updates and deletes without pause, from threads of its own, until stopped. Usable as a context manager.

    Half of the writes go to a few hot keys, some keys are new, some come back after a delete.
    An error of the server ends the writer and is raised by stop(): a silent writer would prove nothing.
    """

    def __init__(self, make_client, table, schema, keys, seed=1, threads=2, rate=0):
        self._make_client, self._table, self._schema, self._keys = make_client, table, schema, keys
        self._seed, self._rate = seed, rate / threads
        self._stop = threading.Event()
        self._problems = []
        self._lock = threading.Lock()
        self.counts = {"put": 0, "update": 0, "delete": 0}
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(threads)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    @property
    def writes(self):
        with self._lock:
            return sum(self.counts.values())

    def _run(self, number):
        chance = random.Random(f"{self._seed}/{number}")
        client = self._make_client()
        began, done = time.monotonic(), 0
        try:
            while not self._stop.is_set():
                self._write(client, chance)
                done += 1
                if self._rate:
                    self._stop.wait(max(0.0, began + done / self._rate - time.monotonic()))
        except Exception as problem:  # handed to stop()
            self._problems.append(problem)

    def _write(self, client, chance):
        number = chance.randrange(20) if chance.random() < 0.5 else chance.randrange(self._keys + self._keys // 10 + 1)
        key = make_key(self._schema, number)
        what = chance.choices(("put", "update", "delete"), (45, 35, 20))[0]
        if what == "put":
            client.put_item(TableName=self._table, Item=random_item(chance, self._schema, number))
        elif what == "delete":
            client.delete_item(TableName=self._table, Key=key)
        else:
            client.update_item(
                TableName=self._table, Key=key, UpdateExpression="SET #a = :v ADD #c :one REMOVE #r",
                ExpressionAttributeNames={"#a": chance.choice(("note", "status")), "#c": "changes", "#r": "x"},
                ExpressionAttributeValues={":v": random_value(chance), ":one": {"N": "1"}})
        with self._lock:
            self.counts[what] += 1

    def stop(self):
        """Stops, waits for the last answer, and raises what went wrong, if anything did."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._problems:
            raise self._problems[0]
        return dict(self.counts)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
