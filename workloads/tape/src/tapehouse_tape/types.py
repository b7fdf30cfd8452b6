"""The types of event fields as Python types that msgspec checks and decodes with."""

import datetime as dt
import decimal
import uuid
from typing import Annotated, Any

import msgspec
from tapehouse_contracts.types import IceType, ListOf, MapOf, Primitive, StructOf

_INT32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_LARGEST = 3.4028234663852886e38
"""Of 32-bit floats: what is larger would be infinite in a job."""
_FLOAT32 = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
_PYTHON: dict[str, Any] = {
    "string": str,
    "int": _INT32,
    "long": _INT64,
    "float": _FLOAT32,
    "double": float,
    "boolean": bool,
    "decimal": decimal.Decimal,
    "date": dt.date,
    "time": Annotated[dt.time, msgspec.Meta(tz=False)],
    "timestamp": Annotated[dt.datetime, msgspec.Meta(tz=False)],
    # Kept as text: whether it must be rewritten depends on how it was written (times.py).
    "timestamptz": str,
    "uuid": uuid.UUID,
    "binary": bytes,
}
INTEGERS = frozenset({"int", "long"})
FLOATS = frozenset({"float", "double"})


def python_type(type_: IceType, name: str = "value") -> Any:
    """The Python type msgspec checks and decodes a value of `type_` with; `name` names structs."""
    match type_:
        case Primitive(primitive):
            return _PYTHON[primitive]
        case ListOf(element):
            return list[python_type(element, name)]  # type: ignore[misc]
        case MapOf(key, value):
            return dict[python_type(key, name), python_type(value, name)]  # type: ignore[misc]
        case StructOf(members):
            fields = [(member, python_type(inner, f"{name}_{member}")) for member, inner in members]
            return msgspec.defstruct(name, fields, gc=False)
