"""What happens around every operation: its metrics, and errors fit for a client.

Faults are hidden behind an id that is in the log.
"""

import logging
import time
import uuid
from collections.abc import Iterator
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    GraphQLError,
    Node,
    ObjectFieldNode,
    OperationDefinitionNode,
    Visitor,
    parse,
    visit,
)
from strawberry.extensions import SchemaExtension
from strawberry.types.execution import StreamExecutionResult

from tapehouse_query import metrics
from tapehouse_query.errors import QueryError
from tapehouse_query.schema.context import Context

log = logging.getLogger(__name__)


class Observe(SchemaExtension):
    """Times operations, and makes the errors of subscriptions presentable."""

    def on_operation(self) -> Iterator[None]:
        """Around parsing, validation and execution."""
        started = time.perf_counter()
        yield None
        name = self._name()
        metrics.OPERATIONS.labels(name).observe(time.perf_counter() - started)
        if isinstance(self.execution_context.context, Context):
            self.execution_context.context.operation = name

    def on_stream_result(self, result: StreamExecutionResult) -> Iterator[None]:
        """Before an event is sent."""
        if errors := getattr(result, "errors", None):
            document = self.execution_context.graphql_document
            result.errors = [presentable(error, document) for error in errors]  # type: ignore[union-attr]
        yield None

    def _name(self) -> str:
        """The first field, which unlike the client's own name is from a bounded set."""
        document = self.execution_context.graphql_document
        valid = not self.execution_context.pre_execution_errors
        for node in document.definitions if document and valid else ():
            if isinstance(node, OperationDefinitionNode):
                first = node.selection_set.selections[0]
                return str(getattr(getattr(first, "name", None), "value", "fragment"))
        return "invalid"


def presentable(error: GraphQLError, query: str | DocumentNode | None) -> GraphQLError:
    """The error as a client may see it; names the argument in whose value it was found."""
    original = error.original_error
    while isinstance(original, GraphQLError) and original.original_error:
        original = original.original_error
    if original is None or isinstance(original, GraphQLError | QueryError):
        code = (error.extensions or {}).get("code", "GRAPHQL_VALIDATION_FAILED")
        metrics.ERRORS.labels(code).inc()
        error.extensions = {"code": code, **(error.extensions or {})}
        if query and not error.path and (argument := argument_of(error, query)):
            error.extensions["argument"] = argument
            error.message = f"{argument}: {error.message}"
        return error
    fault = uuid.uuid4().hex[:12]
    log.error("fault %s in %s", fault, error.path, exc_info=original)
    metrics.ERRORS.labels("INTERNAL").inc()
    return GraphQLError(
        f"internal error {fault}: the server's log has the details",
        nodes=error.nodes,
        path=error.path,
        extensions={"code": "INTERNAL", "fault": fault},
    )


def argument_of(error: GraphQLError, query: str | DocumentNode) -> str:
    """The path of the argument whose literal an error points at, as in `filter.minPrice`."""
    if not error.nodes or error.nodes[0].loc is None:
        return ""
    document = parse(query) if isinstance(query, str) else query
    offset = error.nodes[0].loc.start
    names: list[str] = []

    class Enclosing(Visitor):
        def enter(self, node: Node, *_: Any) -> None:
            if not isinstance(node, ArgumentNode | ObjectFieldNode) or not node.value.loc:
                return
            if node.value.loc.start <= offset < node.value.loc.end:
                names.append(node.name.value)

    visit(document, Enclosing())
    return ".".join(names)
