"""Flink's SQL environment for a compiled job: settings, catalog, tables."""

from collections.abc import Mapping
from typing import Any

from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, StatementSet, TableEnvironment

from tapehouse_streams import catalogs
from tapehouse_streams.job import Job, JobError
from tapehouse_streams.messages import cause, explained

CATALOG = "lake"
FUNCTIONS = {
    "FIRST_BY": "FirstBy",
    "LAST_BY": "LastBy",
    "BOOK_STATS": "BookStats",
    "DIM_AS_OF": "DimAsOf",
    "PRICE_ALERTS": "PriceAlerts",
    "HEADERS": "Headers",
}
"""What Flink's own SQL lacks, by class in `dev.tapehouse.functions`."""


def environment(job: Job, options: Mapping[str, str]) -> TableEnvironment:
    """A table environment with the catalog `lake` and the job's own tables.

    Raises:
        JobError: the catalog cannot be reached, or a table cannot be declared.
    """
    catalogs.await_answer(job.catalog_uri)
    configuration = Configuration()
    for key, value in {**job.configuration, **parameters(job), **options}.items():
        configuration.set_string(key, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode()
    tables = TableEnvironment.create(settings.with_configuration(configuration).build())
    add_functions(tables)
    _create_catalog(tables, job.catalog_uri)
    for statement in job.ddl:
        try:
            tables.execute_sql(statement)
        except Exception as error:
            raise explained(error, statement, "spec.inputs") from error
    return tables


def add_functions(tables: TableEnvironment) -> None:
    """Register the functions, whose jar is on the class path beside the connectors."""
    for name, implementation in FUNCTIONS.items():
        tables.execute_sql(
            f"CREATE TEMPORARY SYSTEM FUNCTION {name} "
            f"AS 'dev.tapehouse.functions.{implementation}' LANGUAGE JAVA"
        )


def parameters(job: Job) -> dict[str, str]:
    """How functions that read dimensions find the catalog."""
    catalog = {"uri": job.catalog_uri, "prefix": job.catalog_prefix}
    pairs = (f"tapehouse.catalog.{name}:{_quoted(value)}" for name, value in catalog.items())
    return {"pipeline.global-job-parameters": ",".join(pairs)}


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def catalog_properties(uri: str) -> dict[str, str]:
    """How Iceberg reaches the REST catalog; nothing is cached, others write to it too."""
    return {"type": "iceberg", "catalog-type": "rest", "uri": uri, "cache-enabled": "false"}


def _create_catalog(tables: TableEnvironment, uri: str) -> None:
    pairs = ", ".join(f"'{k}'='{v}'" for k, v in catalog_properties(uri).items())
    try:
        tables.execute_sql(f"CREATE CATALOG {CATALOG} WITH ({pairs})")
    except Exception as error:
        raise JobError("catalog", uri, f"cannot be reached: {cause(error)}") from error


def statements(tables: TableEnvironment, job: Job) -> StatementSet:
    """All INSERTs as one job.

    Raises:
        JobError: one of them does not parse.
    """
    together = tables.create_statement_set()
    for number, statement in enumerate(job.inserts):
        try:
            together.add_insert_sql(through_view(tables, number, statement))
        except Exception as error:
            raise explained(error, statement, "spec.sql") from error
    return together


def through_view(tables: TableEnvironment, number: int, statement: str) -> str:
    """The INSERT `number` with its query in a view, in which every line is where it was.

    Flink validates the query of an INSERT with a column list twice, which fails where it calls a
    process table function.
    """
    head, _, query = statement.partition("\n")
    columns = head[head.rindex("(") :]
    view = f"`query {number}`"
    tables.execute_sql(f"CREATE TEMPORARY VIEW IF NOT EXISTS {view} {columns} AS\n{query}")
    return f"{head}\nSELECT * FROM {view}"


def iceberg_catalog(uri: str) -> Any:
    """Iceberg's own catalog object, for what SQL cannot say: branches."""
    jvm = get_gateway().jvm
    properties = jvm.java.util.HashMap()
    for key, value in catalog_properties(uri).items():
        properties.put(key, value)
    hadoop = jvm.org.apache.hadoop.conf.Configuration()
    loader = jvm.org.apache.iceberg.flink.CatalogLoader
    return loader.rest(CATALOG, hadoop, properties).loadCatalog()
