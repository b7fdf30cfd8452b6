"""Flink's SQL environment for a compiled job: settings, catalog, tables."""

from collections.abc import Mapping
from typing import Any

from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, StatementSet, TableEnvironment

from tapehouse_streams.job import Job, JobError
from tapehouse_streams.messages import cause, explained

CATALOG = "lake"


def environment(job: Job, options: Mapping[str, str]) -> TableEnvironment:
    """A table environment with the catalog `lake` and the job's own tables.

    Raises:
        JobError: the catalog cannot be reached, or a table cannot be declared.
    """
    configuration = Configuration()
    for key, value in {**job.configuration, **options}.items():
        configuration.set_string(key, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode()
    tables = TableEnvironment.create(settings.with_configuration(configuration).build())
    _create_catalog(tables, job.catalog_uri)
    for statement in job.ddl:
        try:
            tables.execute_sql(statement)
        except Exception as error:
            raise explained(error, statement, "spec.inputs") from error
    return tables


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
    for statement in job.inserts:
        try:
            together.add_insert_sql(statement)
        except Exception as error:
            raise explained(error, statement, "spec.sql") from error
    return together


def iceberg_catalog(uri: str) -> Any:
    """Iceberg's own catalog object, for what SQL cannot say: branches."""
    jvm = get_gateway().jvm
    properties = jvm.java.util.HashMap()
    for key, value in catalog_properties(uri).items():
        properties.put(key, value)
    hadoop = jvm.org.apache.hadoop.conf.Configuration()
    loader = jvm.org.apache.iceberg.flink.CatalogLoader
    return loader.rest(CATALOG, hadoop, properties).loadCatalog()
