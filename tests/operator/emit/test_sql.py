"""The splitter: what ends a statement, what heads are accepted, what errors say."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapehouse_operator.emit.sql import SqlError, inserts, literal, quote

ONE = "INSERT INTO bronze.trades (a, b) SELECT a, b FROM t"


def test_one_statement_needs_no_semicolon_and_many_tolerate_empty_ones() -> None:
    assert len(inserts(ONE)) == len(inserts(ONE + ";")) == len(inserts(f";;{ONE};;\n;")) == 1
    assert [i.line for i in inserts(f"{ONE};\n\n{ONE};")] == [1, 3]


@pytest.mark.parametrize(
    "inner",
    [
        "'semi;colon'",
        "'it''s; quoted'",
        "`odd;name`",
        "`od``d;name`",
        "1 -- comment; here\n",
        "1 /* comment; 'here */",
        "1 /*+ OPTIONS('a'=';') */",
        "'-- no comment;'",
        "'/* no comment;'",
    ],
)
def test_nothing_quoted_or_commented_ends_a_statement(inner: str) -> None:
    (found,) = inserts(f"INSERT INTO x (a) SELECT {inner} FROM t;")
    assert found.query == f"SELECT {inner} FROM t"


def test_the_query_is_kept_as_written() -> None:
    (found,) = inserts("insert into x (a)\n-- why\nwith q as (select 1)\nselect * from q -- end\n;")
    assert found.query == "with q as (select 1)\nselect * from q"


@pytest.mark.parametrize(
    ("head", "target"),
    [
        ("bronze.trades", "bronze.trades"),
        ("`bronze`.`trades`", "bronze.trades"),
        ("`enriched.trades`", "enriched.trades"),
        ("bronze . trades", "bronze.trades"),
    ],
)
def test_targets_lose_their_quotes(head: str, target: str) -> None:
    assert inserts(f"INSERT INTO {head} (`a`, b) SELECT 1, 2")[0].target == target


def test_columns_lose_their_quotes() -> None:
    assert inserts("INSERT INTO x (`timestamp`, b) SELECT 1, 2")[0].columns == ("timestamp", "b")


@pytest.mark.parametrize(
    ("sql", "line", "near", "remedy"),
    [
        ("", 1, "", "write INSERT INTO"),
        ("  -- nothing\n", 1, "-- nothing", "write INSERT INTO"),
        ("SELECT 1", 1, "SELECT", "write INSERT INTO"),
        ("CREATE TABLE x (a INT)", 1, "CREATE", "write INSERT INTO"),
        ("INSERT OVERWRITE x (a) SELECT 1", 1, "OVERWRITE", "write INSERT INTO"),
        ("INSERT INTO x SELECT 1", 1, "SELECT", "name the columns"),
        (
            "INSERT INTO x /*+ OPTIONS('branch'='main') */ (a) SELECT 1",
            1,
            "/*+",
            "name the columns",
        ),
        ("INSERT INTO x (a) VALUES (1)", 1, "VALUES", "write INSERT INTO"),
        ("INSERT INTO x (a, a) SELECT 1, 1", 1, ")", "column a is named twice"),
        ("INSERT INTO x ()", 1, ")", "write INSERT INTO"),
        ("INSERT INTO x (a", 1, "a", "write INSERT INTO"),
        ("INSERT INTO x (a)", 1, ")", "write INSERT INTO"),
        ("INSERT INTO 'x' (a) SELECT 1", 1, "'x'", "write INSERT INTO"),
        (f"{ONE};\nINSERT INTO x (a) SELECT 'open", 2, "'open", "close the quote"),
        (f"{ONE};\n\nSELECT `open", 3, "`open", "close the quote"),
        (f"{ONE} /* open\n\n", 1, "/* open", "close the quote"),
    ],
)
def test_errors_say_where_what_and_how(sql: str, line: int, near: str, remedy: str) -> None:
    with pytest.raises(SqlError) as caught:
        inserts(sql)
    assert caught.value.line == line
    assert caught.value.near.startswith(near)
    assert caught.value.remedy.startswith(remedy)


def test_words_are_what_the_query_may_read() -> None:
    (found,) = inserts("INSERT INTO x (a) SELECT t.`od``d` FROM trades AS t -- not this\n")
    assert {"t", "od`d", "trades"} <= found.words
    assert not {"not", "this", "x"} & found.words


@given(st.text())
def test_any_text_is_statements_or_a_sentence(text: str) -> None:
    with suppress(SqlError):
        assert inserts(text)


@given(st.lists(st.text(alphabet="ab'`;-/*\n ", max_size=12), min_size=1, max_size=4))
def test_literals_never_leak(values: list[str]) -> None:
    sql = ";\n".join(
        f"INSERT INTO {quote(v or 'x')} (a) SELECT {literal(v)} FROM t" for v in values
    )
    assert [i.target for i in inserts(sql)] == [v or "x" for v in values]
