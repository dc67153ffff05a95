"""A DynamoDB API that is having a bad day: throttles, errors, lost and late answers, items left unprocessed, latency.

    faults = Faults(random.Random(1), throttles=0.05, errors=0.02, unprocessed=0.2, latency=0.05)
    with meddler(server, faults) as endpoint: …
    faults.counts  # what was done, by name
"""

import http.client
import json
import threading
import time
from collections import Counter

from harness.meddler import Answer, error

DOWN = (OSError, http.client.HTTPException)
WRITES = {"BatchWriteItem", "PutItem", "UpdateItem", "DeleteItem"}


class Faults:
    """Rates by request; of the errors on writes a third is not acted on, a third is and says so to nobody, and a third is acted on later.

    late: seconds, how much later at most. It must stay below what the client takes for L, less the time the server needs.
    """

    def __init__(self, chance, throttles=0.05, errors=0.02, unprocessed=0.2, latency=0.05, late=0.8):
        self._chance, self._lock = chance, threading.Lock()
        self._throttles, self._errors, self._unprocessed, self._latency, self._late = throttles, errors, unprocessed, latency, late
        self.on = True
        self.counts = Counter()
        self._pending = []

    def _draw(self):
        with self._lock:
            return self._chance.random()

    def _count(self, what):
        with self._lock:
            self.counts[what] += 1

    def __call__(self, operation, body, forward):
        try:
            return self._answer(operation, body, forward) if self.on else forward()
        except DOWN:  # the server behind is down: the client gets no answer
            return None

    def _answer(self, operation, body, forward):
        time.sleep(self._draw() * self._latency)
        if self._draw() < self._throttles:
            self._count("throttle")
            return error(400, "ProvisionedThroughputExceededException", "The level of configured provisioned throughput was exceeded")
        if self._draw() < self._errors:
            return self._fail(operation, forward)
        if operation == "BatchWriteItem" and self._draw() < self._unprocessed:
            return self._in_part(body, forward)
        return forward()

    def _fail(self, operation, forward):
        kind = self._draw() if operation in WRITES else 0
        if kind < 1 / 3:
            self._count("error")
            return error(500, "InternalServerError", "Internal server error")
        if kind < 2 / 3:
            self._count("lost answer")
            forward()
            return None if self._draw() < 0.5 else error(500, "InternalServerError", "Internal server error")
        self._count("late")
        wait = self._draw() * self._late

        def land():
            time.sleep(wait)
            try:
                forward()
            except DOWN:  # the server behind went down meanwhile: it never lands
                self._count("late and never")

        thread = threading.Thread(target=land, daemon=True)
        thread.start()
        self._pending.append(thread)
        return None

    def _in_part(self, body, forward):
        """Some of the writes, drawn by chance, reach the server; the others come back."""
        (table, writes), = json.loads(body)["RequestItems"].items()
        back = [write for write in writes if self._draw() < 0.5]
        kept = [write for write in writes if write not in back]
        if not back:
            return forward()
        self._count("unprocessed")
        if kept:
            answer = forward(json.dumps({"RequestItems": {table: kept}}).encode())
            if answer.status != 200:
                return answer
            back += json.loads(answer.body).get("UnprocessedItems", {}).get(table, [])
        return Answer(200, json.dumps({"UnprocessedItems": {table: back}}).encode())

    def settle(self):
        """Every late request has landed when this returns."""
        for thread in self._pending:
            thread.join()
