"""Lines of an export in Amazon Ion text, written by an independent library: numbers are decimals, binaries are blobs, sets are
annotated lists."""

import base64
from decimal import Context, Decimal

from amazon.ion import simpleion
from amazon.ion.core import IonType
from amazon.ion.simple_types import IonPyBytes, IonPyDecimal, IonPyDict, IonPyList

EXACT = Context(prec=40)


def number(text):
    return IonPyDecimal.from_value(IonType.DECIMAL, Decimal(text, EXACT))


def blob(text):
    return IonPyBytes.from_value(IonType.BLOB, base64.b64decode(text))


def value(typed):
    (kind, inner), = typed.items()
    if kind in ("S", "BOOL"):
        return inner
    if kind == "N":
        return number(inner)
    if kind == "B":
        return blob(inner)
    if kind == "NULL":
        return None
    if kind == "L":
        return [value(each) for each in inner]
    if kind == "M":
        return attributes(inner)
    members = {"SS": lambda x: x, "NS": number, "BS": blob}[kind]
    return IonPyList.from_value(IonType.LIST, [members(each) for each in inner], annotations=("$dynamodb_" + kind,))


def attributes(item):
    return {name: value(each) for name, each in item.items()}


def line(record):
    """One record: {"Item": …}, or an incremental one."""
    out = {name: attributes(each) for name, each in record.items() if name != "Metadata"}
    if "Metadata" in record:
        out = {"Metadata": {"WriteTimestampMicros": number(record["Metadata"]["WriteTimestampMicros"]["N"])}, **out}
    return "$ion_1_0 " + simpleion.dumps(out, binary=False).replace("$ion_1_0 ", "", 1).strip() + "\n"
