"""Is the SQLite file (or the table of another DynamoDB API) the table? Read with another language's SDK and SQLite reader, by the documented mapping alone.

The mapping (docs/sqlite.md): a STRICT table of live rows, key attributes under their own names; each column that is not
NULL, else attributes[name]; the declared type tells the DynamoDB type: TEXT S, ANY N, BLOB B, INTEGER BOOL; a number is an
INTEGER if it is integral and fits 64 bits, else its canonical plain decimal as TEXT; `attributes` is one DynamoDB JSON
object, NULL when empty. Whatever breaks the mapping itself raises MappingBroken; differences of items are returned.
"""

import base64
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Context, Decimal

TYPE_OF_DECLARED = {"TEXT": "S", "ANY": "N", "BLOB": "B", "INTEGER": "BOOL"}
_EXACT = Context(prec=400, Emax=999, Emin=-999)


class MappingBroken(AssertionError):
    """The file is not what the mapping promises, whatever its items are."""


@dataclass
class Comparison:
    items: int = 0  # equal ones
    missing: list = field(default_factory=list)
    extra: list = field(default_factory=list)
    different: list = field(default_factory=list)  # (key, source item, target item)

    @property
    def equal(self):
        return not (self.missing or self.extra or self.different)

    def __str__(self):
        text = f"{self.items} items equal, {len(self.missing)} missing, {len(self.extra)} extra, {len(self.different)} different"
        for name in ("missing", "extra", "different"):
            for example in getattr(self, name)[:3]:
                text += f"\n  {name}: {str(example)[:1500]}"
        return text


def number(text):
    """The exact value; 1.50 and 1.5 are one number, −0 is 0."""
    value = _EXACT.create_decimal(text)
    return _EXACT.normalize(value) if value else Decimal(0)


def plain(value):
    """Canonical plain decimal: no exponent, no needless zero."""
    return format(value, "f")


def canonical(value, binary=bytes):
    """A DynamoDB attribute value, hashable and comparable; `binary` turns what the reader gives for B into bytes."""
    if not isinstance(value, dict) or len(value) != 1:
        raise MappingBroken(f"not one typed value: {value!r:.200}")
    (kind, content), = value.items()
    if kind == "S" and isinstance(content, str):
        return ("S", content)
    if kind == "N" and isinstance(content, str):
        return ("N", number(content))
    if kind == "B":
        return ("B", binary(content))
    if kind == "BOOL" and isinstance(content, bool):
        return ("BOOL", content)
    if kind == "NULL" and content is True:
        return ("NULL",)
    if kind == "L":
        return ("L", tuple(canonical(v, binary) for v in content))
    if kind == "M":
        return ("M", frozenset((name, canonical(v, binary)) for name, v in content.items()))
    if kind in ("SS", "NS", "BS"):
        members = [canonical({kind[0]: v}, binary) for v in content]
        if len(set(members)) != len(members) or not members:
            raise MappingBroken(f"a set that is empty or holds a value twice: {value!r:.200}")
        return (kind, frozenset(members))
    raise MappingBroken(f"no such value: {value!r:.200}")


def read_source(client, table, segments=4):
    """key → canonical item, by a strongly consistent parallel scan; and the key's (name, type) list."""
    described = client.describe_table(TableName=table)["Table"]
    types = {a["AttributeName"]: a["AttributeType"] for a in described["AttributeDefinitions"]}
    order = sorted(described["KeySchema"], key=lambda k: k["KeyType"])  # HASH before RANGE
    schema = [(k["AttributeName"], types[k["AttributeName"]]) for k in order]

    def scan(segment):
        pages = client.get_paginator("scan").paginate(
            TableName=table, ConsistentRead=True, Segment=segment, TotalSegments=segments)
        return [{name: canonical(v) for name, v in item.items()} for page in pages for item in page["Items"]]

    with ThreadPoolExecutor(segments) as pool:
        items = [item for found in pool.map(scan, range(segments)) for item in found]
    by_key = {tuple(item[name] for name, _ in schema): item for item in items}
    assert len(by_key) == len(items), "the source gave a key twice"
    return by_key, schema


def _unique(pairs):
    made = dict(pairs)
    if len(made) != len(pairs):
        raise MappingBroken(f"a name twice in one JSON object: {[k for k, _ in pairs]}")
    return made


def _of_column(kind, value, name):
    stored = type(value)
    if kind == "S" and stored is str:
        return ("S", value)
    if kind == "B" and stored is bytes:
        return ("B", value)
    if kind == "BOOL" and stored is int and value in (0, 1):
        return ("BOOL", bool(value))
    if kind == "N" and stored is int:
        return ("N", number(str(value)))
    if kind == "N" and stored is str:
        exact = number(value)
        integral = exact == exact.to_integral_value(context=_EXACT)
        if plain(exact) != value or (integral and -2**63 <= exact < 2**63):
            raise MappingBroken(f"column {name}: {value!r} is not the canonical form of its number")
        return ("N", exact)
    raise MappingBroken(f"column {name}: a {stored.__name__} in a column of type {kind}")


def read_sqlite(path, table, schema):
    """key → canonical item, rebuilt from the live rows."""
    quoted = '"' + table.replace('"', '""') + '"'
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
        strict = [row[5] for row in db.execute("PRAGMA table_list") if row[1] == table]
        if strict != [1]:
            raise MappingBroken(f"{table}: not one STRICT table ({strict})")
        columns = [(name, declared) for _, name, declared, *_ in db.execute(f"PRAGMA table_info({quoted})")]
        kinds = {name: TYPE_OF_DECLARED.get(declared) for name, declared in columns}
        if kinds.pop("attributes", None) != "S":
            raise MappingBroken(f"no overflow column `attributes` of type TEXT: {columns}")
        if any(kinds.get(name) != kind for name, kind in schema) or None in kinds.values():
            raise MappingBroken(f"columns {columns} do not fit the key {schema}")
        names = list(kinds)
        selected = ", ".join('"' + n.replace('"', '""') + '"' for n in names + ["attributes"])
        items = {}
        for row in db.execute(f"SELECT {selected} FROM {quoted}"):
            overflow = json.loads(row[-1], object_pairs_hook=_unique) if row[-1] is not None else {}
            if row[-1] is not None and not overflow:
                raise MappingBroken("an empty overflow is not NULL")
            item = {n: canonical(v, binary=lambda b: base64.b64decode(b, validate=True)) for n, v in overflow.items()}
            for name, value in zip(names, row):
                if value is None:
                    continue
                if name in item:
                    raise MappingBroken(f"{name} stands in its column and in the overflow")
                item[name] = _of_column(kinds[name], value, name)
            key = tuple(item.get(name) for name, _ in schema)
            if None in key or key in items:
                raise MappingBroken("a row without its key, or a key twice")
            items[key] = item
        return items


def compare(client, table, path, target_table=None):
    """The source, read now, against the file, read now."""
    source, schema = read_source(client, table)
    return _compared(source, read_sqlite(path, target_table or table, schema))


def compare_tables(client, table, target_client, target_table=None):
    """The source, read now, against a table of another DynamoDB API, read now."""
    source, schema = read_source(client, table)
    target, target_schema = read_source(target_client, target_table or table)
    if schema != target_schema:
        raise MappingBroken(f"the target's key is {target_schema}, the source's {schema}")
    return _compared(source, target)


def without_versions(found, attribute="_moveout_version"):
    """Before `finish`, mode m3 (docs/dynamodb-target.md): live items with an even version on them, tombstones with an odd one."""
    for key, source, target in list(found.different):
        if source.get(attribute) is None and set(target) == {attribute} and target[attribute][1] % 2 == 0:
            found.different.remove((key, source, target))
            found.items += 1
    return found


def _tombstones(client, name):
    """Keys of items that are their key and an odd version."""
    items, schema = read_source(client, name)
    names = {n for n, _ in schema}
    return {key for key, item in items.items()
            if item.keys() - names == {"_moveout_version"} and item["_moveout_version"][1] % 2 == 1}


def before_finish(client, table, target_client, target=None):
    """Two tables, the target's as mode m3 leaves it until `finish`: with versions and tombstones, which count as nothing."""
    found = compare_tables(client, table, target_client, target or table)
    gone = _tombstones(target_client, target or table)
    found.extra = [key for key in found.extra if key not in gone]
    return without_versions(found)


def _compared(source, target):
    found = Comparison()
    for key, item in source.items():
        if key not in target:
            found.missing.append(key)
        elif target[key] != item:
            names = sorted(n for n in item.keys() | target[key].keys() if item.get(n) != target[key].get(n))
            found.different.append((key, {n: item.get(n) for n in names}, {n: target[key].get(n) for n in names}))
        else:
            found.items += 1
    found.extra = [key for key in target if key not in source]
    return found


def assert_equal(client, table, path, target_table=None):
    """Fails with what differs; returns the number of items."""
    found = compare(client, table, path, target_table)
    assert found.equal, str(found)
    return found.items
