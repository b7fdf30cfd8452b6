"""Decodes records as a job would, in the streams environment: `python decode.py request.json`.

The request holds a row's type and records in base64. The answer on standard output says of each
why it is no row (null: it is one), in words, and whether Flink's own JSON format makes the same
row of it; an answer of its own, null, where that format fails.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyflink.java_gateway import get_gateway
from tapehouse_streams import home

METADATA = "dev.tapehouse.json.RowDecoder$Metadata"


def main() -> None:
    home.settle()
    request = json.loads(Path(sys.argv[1]).read_text())
    jvm = get_gateway().jvm
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    types = jvm.org.apache.flink.table.types.logical.utils.LogicalTypeParser
    row = types.parse(request["type"], loader)
    info = jvm.org.apache.flink.table.runtime.typeutils.InternalTypeInfo.of(row)
    iso = jvm.org.apache.flink.formats.common.TimestampFormat.ISO_8601
    json_format = jvm.org.apache.flink.formats.json.JsonParserRowDataDeserializationSchema
    flink = json_format(row, info, False, False, iso)
    flink.open(None)
    decoder = jvm.dev.tapehouse.json.RowDecoder
    metadata = jvm.java.util.ArrayList()
    for column in loader.loadClass(METADATA).getEnumConstants():
        metadata.add(column)
    schema = decoder(row, metadata, info)
    plain = decoder(row, jvm.java.util.ArrayList(), info)
    arity = row.getFieldCount()

    def answer(record: bytes) -> dict[str, Any]:
        found = schema.deserialize(record)
        reason = found.getField(arity + 2)
        if reason is not None:
            return {"reason": reason.toString(), "detail": found.getField(arity + 3).toString()}
        try:
            same = plain.deserialize(record).equals(flink.deserialize(record))
        except Py4JJavaError:
            same = None
        return {"reason": None, "same": same, "row": plain.deserialize(record).toString()}

    records = map(base64.b64decode, request["records"])
    sys.stdout.write(json.dumps([answer(record) for record in records]))


if __name__ == "__main__":
    main()
