"""The format of jobs' inputs: the rows Flink's own would make, and a reason for what is none."""

import base64
import json
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tapehouse_contracts.types import parse_type
from tapehouse_laptop import jars, toolchain
from tapehouse_operator.emit.ddl import flink_type
from tapehouse_tape import times
from tapehouse_tape.events import Codec, Event, Field

pytestmark = pytest.mark.local

SEED = 20261121
VALID, BROKEN = 600, 900
DECODE = Path(__file__).with_name("decode.py")
FIELDS = {
    "text": "string",
    "count": "int",
    "total": "long",
    "price": "double",
    "flag": "boolean",
    "at": "timestamptz",
    "exact": "decimal(18,4)",
    "single": "float",
    "fees": "list<decimal(9,2)>",
    "day": "date",
    "local": "timestamp",
    "clock": "time",
    "bytes": "binary",
    "tags": "list<string>",
    "levels": "list<struct<price: double, quantity: long>>",
    "votes": "map<string, long>",
}
TYPE = "ROW<{}>".format(
    ", ".join(f"`{name}` {flink_type(parse_type(type_))}" for name, type_ in FIELDS.items())
)
CODEC = Codec(Event("E", "t", "text", tuple(Field(n, t) for n, t in FIELDS.items())))
"""What the bridge lets pass."""


class Generator:
    """Random events, and random harm to them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self) -> str:
        letters = 'abcXYZ 09-_/.:"\\\n\t\u00e9\u20ac\U0001f4b9'
        return "".join(self.random.choices(letters, k=self.random.randrange(12)))

    def real(self) -> float:
        exponent = self.random.choice((0, 0, 1, 2, -2, 8, 15, -9, 300, -300))
        return round(self.random.uniform(-1, 1), self.random.randrange(17)) * 10.0**exponent

    def whole(self, bits: int) -> int:
        return self.random.randrange(-(2 ** self.random.randrange(bits)), 2 ** (bits - 1))

    def moment(self) -> str:
        micros = self.random.randrange(-(2**55), 2**55)
        digits = self.random.randrange(7)
        return times.from_micros(micros)[: 20 + digits].rstrip(".") + "Z"

    def value(self, type_: str) -> Any:
        pick = self.random.randrange
        made: dict[str, Callable[[], Any]] = {
            "string": self.text,
            "int": lambda: self.whole(32),
            "long": lambda: self.whole(64),
            "double": self.real,
            "boolean": lambda: pick(2) == 1,
            "timestamptz": self.moment,
            "decimal(18,4)": lambda: self.random.choice((str, float))(pick(10**9) / 10**4),
            "float": lambda: pick(-(10**6), 10**6) / 8,
            "list<decimal(9,2)>": lambda: [pick(10**9) / 100 for _ in range(pick(4))],
            "date": lambda: self.moment()[:10],
            "timestamp": lambda: self.moment()[:-1],
            "time": lambda: self.moment()[11:19],
            "binary": lambda: base64.b64encode(self.random.randbytes(pick(9))).decode(),
            "list<string>": lambda: [self.text() for _ in range(pick(4))],
            "map<string, long>": lambda: {self.text(): self.whole(64) for _ in range(pick(4))},
            FIELDS["levels"]: lambda: [
                {"quantity": self.whole(40), "price": self.real(), "more": None}
                for _ in range(pick(4))
            ],
        }
        return None if pick(8) == 0 else made[type_]()

    def event(self) -> bytes:
        names = self.random.sample(list(FIELDS), self.random.randrange(len(FIELDS) + 1))
        found = {name: self.value(FIELDS[name]) for name in names}
        for _ in range(self.random.randrange(3)):
            deep: Any = [None, {"a": [1.5e3, {}, [], "\\u"]}, self.text(), True, -0.5]
            found[f"new {self.text()}"] = deep
        members = list(found.items())
        self.random.shuffle(members)
        spaces = self.random.choice(((",", ":"), (", ", ": "), (" ,\n", "\t:\r ")))
        ascii_only = self.random.random() < 0.5
        text = json.dumps(dict(members), separators=spaces, ensure_ascii=ascii_only)
        return text.encode()

    def broken(self) -> bytes:
        record = bytearray(self.event())
        for _ in range(self.random.randrange(1, 3)):
            at = self.random.randrange(len(record))
            match self.random.randrange(4):
                case 0:
                    del record[at:]
                case 1:
                    del record[at]
                case 2:
                    record[at] = self.random.choice(b'{}[],:"\\ 0-.eEtn\x00\xff\xc3')
                case 3:
                    record.insert(at, self.random.choice(b'{}[],:"\\ 09-.etn\x00\xff\xc3'))
            if not record:
                break
        return bytes(record)


POISON: dict[bytes, str] = {
    b"": "not-json",
    b"   ": "not-json",
    b"null": "not-an-object",
    b"[]": "not-an-object",
    b"42": "not-an-object",
    b'"text"': "not-an-object",
    b"{": "not-json",
    b'{"price": 1': "not-json",
    b'{"price": 1}}': "not-json",
    b'{"price": 1,}': "not-json",
    b'{"price": 01}': "not-json",
    b'{"price": +1}': "not-json",
    b'{"price": 1.}': "not-json",
    b'{"price": NaN}': "not-json",
    b'{"price": nul}': "not-json",
    b"{price: 1}": "not-json",
    b'{"text": "\x01"}': "not-json",
    b'{"text": "\\q"}': "not-json",
    b'{"text": "\\ud800"}': "not-json",
    b'{"text": "\xff"}': "not-utf8",
    b'{"other": "\xff"}': "not-utf8",
    b"\xff\xfe": "not-utf8",
    b"\xef\xbb\xbf{}": "not-json",
    b'{"text": 1}': "wrong-type",
    b'{"price": "1"}': "wrong-type",
    b'{"price": {}}': "wrong-type",
    b'{"price": 1e999}': "rule",
    b'{"single": 3.5e38}': "rule",
    b'{"count": 2147483648}': "wrong-type",
    b'{"count": 1.0}': "wrong-type",
    b'{"total": 9223372036854775808}': "wrong-type",
    b'{"total": %s}' % (b"9" * 100_000): "wrong-type",
    b'{"flag": "true"}': "wrong-type",
    b'{"exact": 1e1000000000}': "wrong-type",
    b'{"exact": "Infinity"}': "wrong-type",
    b'{"exact": 123456789012345}': "wrong-type",
    b'{"at": 5}': "wrong-type",
    b'{"at": "yesterday"}': "bad-timestamp",
    b'{"at": "2026-02-29T00:00:00Z"}': "bad-timestamp",
    b'{"day": "2026-13-01"}': "bad-timestamp",
    b'{"tags": "a"}': "wrong-type",
    b'{"tags": ["a", 1]}': "wrong-type",
    b'{"levels": [{"price": "x"}]}': "wrong-type",
    b'{"other": %s' % (b"[" * 5000): "not-json",
    b'{"other": %s%s}' % (b"[" * 5000, b"]" * 5000): "not-json",
}
ROWS: dict[bytes, str] = {
    b'{"total": -9223372036854775808}': "+I(,,-9223372036854775808,",
    b'{"pri\\u0063e": 5, "price": 7}': "+I(,,,7.0,",
    b'{"text": "\\ud83d\\udcb9\\n"}': "+I(\U0001f4b9\n,",
    b'{"at": "2026-11-21T13:00:00+01:00"}': "2026-11-21T12:00,",
    b'{"at": "2026-11-21 13:00:00.1234567"}': "2026-11-21T13:00:00.123456,",
}


EDGES: dict[bytes, bool] = {
    b'{"single": 3.4028234e38}': True,
    b'{"single": -3.5e38}': False,
    b'{"price": 1.7976931348623157e308}': True,
    b'{"count": -2147483648}': True,
    b'{"exact": "99999999999999.9999"}': True,
    b'{"exact": "1_000"}': False,
    b'{"exact": " 1"}': False,
    '{"exact": "\uff11"}'.encode(): False,
    b'{"exact": "NaN"}': False,
    b'{"exact": "0E-300"}': False,
    b'{"exact": 1.00005}': False,
    b'{"fees": [1.25, "0.10"]}': True,
    b'{"fees": [1.255]}': False,
    b'{"fees": ["NaN"]}': False,
    b'{"day": "9999-12-31"}': True,
    b'{"day": "0001-01-01"}': True,
    b'{"clock": "23:59:59"}': True,
    b'{"clock": "23:59:59+01:00"}': False,
    b'{"local": "9999-12-31T23:59:59.999999"}': True,
    b'{"at": "9999-12-31T23:59:59.999999Z"}': True,
    b'{"at": "0001-01-01T00:00:00Z"}': True,
}
"""Values at the edges of types, and whether the bridge lets them pass."""


def passes(record: bytes) -> bool:
    """Whether the bridge would let the record pass as it is."""
    try:
        record.decode()
        event = CODEC.decode(record)
        CODEC.check_decimals(event, record)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError, Exception):
        return False
    return record[:1] == b"{" and CODEC.has_canonical_times(event)


def is_json(record: bytes) -> bool:
    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        json.loads(record.decode(), parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


@pytest.fixture(scope="module")
def corpus() -> dict[str, list[bytes]]:
    made = Generator(SEED)
    return {
        "valid": [made.event() for _ in range(VALID)],
        "broken": [made.broken() for _ in range(BROKEN)],
        "poison": list(POISON),
        "rows": list(ROWS),
        "edges": list(EDGES),
    }


Answers = dict[str, dict[bytes, dict[str, Any]]]


@pytest.fixture(scope="module")
def answers(corpus: dict[str, list[bytes]], tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What is said of every record: one process for all, since Java takes long to start."""
    root = tmp_path_factory.mktemp("decode")
    (root / "opt/flink").mkdir(parents=True)
    (root / "opt/flink/lib").symlink_to(jars.flink())
    records = [base64.b64encode(record).decode() for group in corpus.values() for record in group]
    (root / "request.json").write_text(json.dumps({"type": TYPE, "records": records}))
    done = subprocess.run(
        [toolchain.streams_environment() / "bin/python", "-P", DECODE, root / "request.json"],
        env={**os.environ, "TAPEHOUSE_ROOT": str(root), "TMPDIR": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    said = iter(json.loads(done.stdout.splitlines()[-1]))
    return {name: {record: next(said) for record in group} for name, group in corpus.items()}


def test_an_event_is_the_row_that_flinks_own_format_makes(answers: Answers) -> None:
    other = {r: a for r, a in answers["valid"].items() if not a.get("same")}
    assert not other


def test_what_the_bridge_lets_pass_is_a_row(answers: Answers) -> None:
    kept = [(r, a) for group in ("valid", "broken") for r, a in answers[group].items() if passes(r)]
    assert len(kept) > VALID // 2
    assert not [(r, a) for r, a in kept if a["reason"]]


@pytest.mark.parametrize("record", EDGES, ids=repr)
def test_what_the_bridge_lets_pass_at_the_edge_of_a_type_is_a_row(
    answers: Answers, record: bytes
) -> None:
    keyed = record.replace(b"{", b'{"text": "k", ', 1)
    assert passes(keyed) is EDGES[record]
    if EDGES[record]:
        assert answers["edges"][record]["reason"] is None


def test_what_is_not_json_is_no_row(answers: Answers) -> None:
    harmed = {r: a for r, a in answers["broken"].items() if not is_json(r)}
    assert len(harmed) > BROKEN // 2
    # An unknown member is passed over without a look at its escapes.
    assert not {r: a for r, a in harmed.items() if not a["reason"] and b"\\" not in r}


@pytest.mark.parametrize("record", POISON, ids=lambda record: repr(record[:40]))
def test_poison_is_told_by_its_reason(answers: Answers, record: bytes) -> None:
    said = answers["poison"][record]
    assert said["reason"] == POISON[record]
    assert 0 < len(said["detail"]) < 200


@pytest.mark.parametrize("record", ROWS, ids=repr)
def test_what_is_written_in_other_ways_is_read(answers: Answers, record: bytes) -> None:
    said = answers["rows"][record]
    assert said["reason"] is None
    assert ROWS[record] in said["row"].replace("null", "")
