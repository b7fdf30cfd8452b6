"""User SQL, cut into statements: just enough grammar to know what each one writes.

Flink's own planner judges the queries; this only finds `INSERT INTO target (columns) query` and
what it cannot be. Strings, quoted identifiers and comments never end a statement.
"""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>--[^\n]*|/\*(?!\+).*?\*/)
  | (?P<hint>/\*\+.*?\*/)
  | (?P<string>'(?:[^']|'')*')
  | (?P<quoted>`(?:[^`]|``)*`)
  | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
  | (?P<number>\d[\w.]*)
  | (?P<symbol>[^\s])
    """,
    re.VERBOSE | re.DOTALL,
)
_QUERY_HEADS = ("SELECT", "WITH")
_FORM = "write INSERT INTO <table> (<columns>) SELECT …;"


@dataclass(eq=False)
class SqlError(ValueError):
    """SQL that is not a list of INSERT statements."""

    line: int
    """1 for the first."""
    near: str
    """What was found there."""
    remedy: str

    def __str__(self) -> str:
        return f"line {self.line}, near {self.near!r}: {self.remedy}"


@dataclass(frozen=True, slots=True)
class Token:
    """One lexical element, with its place in the text."""

    kind: str
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Insert:
    """One statement."""

    target: str
    """As declared: `bronze.trades`, without quotes."""
    columns: tuple[str, ...]
    query: str
    """From SELECT or WITH to the end, comments and all."""
    line: int
    words: frozenset[str]
    """Every identifier of the query, without quotes: what it may read."""


def inserts(sql: str) -> tuple[Insert, ...]:
    """Cut `sql` into its statements.

    Raises:
        SqlError: with the line, what is there and what would be accepted.
    """
    found = tuple(_insert(sql, tokens) for tokens in _statements(sql))
    if not found:
        raise SqlError(1, sql.strip()[:40], _FORM)
    return found


def quote(identifier: str) -> str:
    """A name in Flink's back-ticks."""
    return "`" + identifier.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A string in Flink's quotes."""
    return "'" + text.replace("'", "''") + "'"


def line_of(sql: str, at: int) -> int:
    """The line of offset `at`, from 1."""
    return sql.count("\n", 0, at) + 1


def _statements(sql: str) -> list[list[Token]]:
    """The tokens of each statement, comments and white space left out."""
    statements: list[list[Token]] = [[]]
    for match in _TOKEN.finditer(sql):
        kind, text = match.lastgroup or "", match.group()
        if kind in ("space", "comment"):
            continue
        if kind == "symbol" and text == ";":
            statements.append([])
            continue
        token = Token(kind, text, match.start())
        if kind == "symbol" and sql.startswith(("'", "`", "/*"), token.start):
            near = sql[token.start : token.start + 20].strip()
            raise SqlError(line_of(sql, token.start), near, "close the quote or comment")
        statements[-1].append(token)
    return [tokens for tokens in statements if tokens]


def _insert(sql: str, tokens: list[Token]) -> Insert:
    head = _Head(sql, tokens)
    head.keyword("INSERT")
    head.keyword("INTO")
    target = head.identifier()
    columns = head.columns()
    query = head.rest()
    if query[0].text.upper() not in _QUERY_HEADS:
        raise head.error(query[0])
    end = query[-1].start + len(query[-1].text)
    return Insert(
        target=target,
        columns=columns,
        query=sql[query[0].start : end],
        line=line_of(sql, tokens[0].start),
        words=frozenset(_unquoted(token) for token in query if token.kind in ("word", "quoted")),
    )


class _Head:
    """Reads the head of one statement, strictly."""

    def __init__(self, sql: str, tokens: list[Token]) -> None:
        self._sql = sql
        self._tokens = tokens
        self._at = 0

    def keyword(self, word: str) -> None:
        token = self._next()
        if token.kind != "word" or token.text.upper() != word:
            raise self.error(token)

    def identifier(self) -> str:
        parts = [self._name()]
        while self._peek() == ".":
            self._next()
            parts.append(self._name())
        return ".".join(parts)

    def columns(self) -> tuple[str, ...]:
        token = self._next()
        if token.text != "(":
            raise self.error(token, "name the columns: INSERT INTO <table> (<columns>) SELECT …")
        names = [self._name()]
        while (token := self._next()).text == ",":
            names.append(self._name())
        if token.text != ")":
            raise self.error(token)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise self.error(token, f"column {twice} is named twice; name it once")
        return tuple(names)

    def rest(self) -> list[Token]:
        if self._at >= len(self._tokens):
            raise self.error(self._tokens[-1])
        return self._tokens[self._at :]

    def error(self, token: Token, remedy: str = _FORM) -> SqlError:
        return SqlError(line_of(self._sql, token.start), token.text, remedy)

    def _name(self) -> str:
        token = self._next()
        if token.kind not in ("word", "quoted"):
            raise self.error(token)
        return _unquoted(token)

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _next(self) -> Token:
        if self._at >= len(self._tokens):
            raise self.error(self._tokens[-1])
        self._at += 1
        return self._tokens[self._at - 1]


def _unquoted(token: Token) -> str:
    return token.text[1:-1].replace("``", "`") if token.kind == "quoted" else token.text
