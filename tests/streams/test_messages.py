import json
from pathlib import Path

import pytest
from tapehouse_streams.job import JobError, read
from tapehouse_streams.messages import cause, explained

PARSE = """An error occurred while calling o12.addInsertSql.
: org.apache.flink.table.api.SqlParserException: SQL parse failed. Encountered "FORM" at line 2, \
column 10.
Was expecting one of:
    <EOF>
    "EXCEPT" ...
\tat org.apache.flink.table.planner.parse.CalciteParser.parseSqlList(CalciteParser.java:81)
Caused by: org.apache.calcite.sql.parser.SqlParseException: Encountered "FORM" at line 2, column 10.
Was expecting one of:
    <EOF>
\tat org.apache.flink.sql.parser.impl.FlinkSqlParserImpl.convertException(FlinkSqlParserImpl.java)
\t... 13 more
Caused by: org.apache.flink.sql.parser.impl.ParseException: Encountered "FORM" at line 2, column 10.
Was expecting one of:
    <EOF>
\t... 14 more
"""
COLUMN = """org.apache.flink.table.api.ValidationException: SQL validation failed. From line 2, \
column 8 to line 2, column 12: Column 'prise' not found in any table; did you mean 'price'?
\tat org.apache.flink.table.planner.calcite.FlinkPlannerImpl.validate(FlinkPlannerImpl.scala:231)
Caused by: org.apache.calcite.runtime.CalciteContextException: From line 2, column 8 to line 2, \
column 12: Column 'prise' not found in any table; did you mean 'price'?
\tat java.base/jdk.internal.reflect.Method.invoke(Method.java:580)
Caused by: org.apache.calcite.sql.validate.SqlValidatorException: Column 'prise' not found in any \
table; did you mean 'price'?
\t... 20 more
"""
TYPES = """org.apache.flink.table.api.ValidationException: Column types of query result and sink \
for 'lake.bronze.t' do not match.
Cause: Incompatible types for sink column 'price' at position 2.

Query schema: [trade_id: BIGINT, price: STRING]
Sink schema:  [trade_id: BIGINT, price: DOUBLE]
\tat org.apache.flink.table.planner.connectors.DynamicSinkUtils.fail(X.java)
"""
STATEMENT = "INSERT INTO lake.`b`.`t` (`p`)\nSELECT prise\nFROM trades"


def test_parse_errors_keep_the_place_and_lose_the_grammar() -> None:
    error = explained(RuntimeError(PARSE), "INSERT INTO t (a)\nSELECT a FORM x", "spec.sql")
    assert error.remedy == 'Encountered "FORM" at line 2, column 10.'
    assert error.value == "FORM x"


def test_validation_errors_point_at_the_fragment() -> None:
    error = explained(RuntimeError(COLUMN), STATEMENT, "spec.sql")
    assert error.value == "prise"
    assert "did you mean 'price'?" in error.remedy
    assert "line 2, column 8" in error.remedy


def test_type_errors_name_the_column_without_the_schemas() -> None:
    remedy = cause(RuntimeError(TYPES))
    assert "Incompatible types for sink column 'price' at position 2." in remedy
    assert "schema" not in remedy


def test_without_a_place_the_statement_is_shown_as_its_author_knows_it() -> None:
    hinted = STATEMENT.replace("`t` (", "`t` /*+ OPTIONS('branch'='rev-1') */ (")
    error = explained(RuntimeError("x.y.ZException: boom"), hinted, "spec.sql")
    assert error.value == "INSERT INTO lake.`b`.`t` (`p`) SELECT prise FROM trades"
    assert error.remedy == "boom"


def test_termination_message_is_the_three_fields() -> None:
    said = JobError("spec.sql", "x", "do y").message()
    assert json.loads(said) == {"path": "spec.sql", "value": "x", "remedy": "do y"}


@pytest.mark.parametrize("content", [None, "{", "[]", '{"job": "x"}'])
def test_a_broken_document_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "job.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(JobError) as refusal:
        read(path)
    assert refusal.value.value == str(path)
