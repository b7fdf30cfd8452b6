"""From a body of the API server to a typed resource, or to an error its author can act on."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tapehouse_operator.errors import SpecError
from tapehouse_operator.reasons import Reason

M = TypeVar("M", bound=BaseModel)

_REASONS = {
    "extra_forbidden": Reason.UNKNOWN_FIELD,
    "missing": Reason.MISSING_FIELD,
    **{reason.value: reason for reason in Reason},
}
_SHAPES = {
    "int_type": "a whole number is expected",
    "float_type": "a number is expected",
    "bool_type": "true or false is expected",
    "string_type": "a text is expected",
    "tuple_type": "a list is expected",
    "list_type": "a list is expected",
    "dict_type": "a mapping is expected",
    "model_type": "a mapping is expected",
    "model_attributes_type": "a mapping is expected",
}


def parse(model: type[M], body: Mapping[str, Any]) -> M:
    """`body` as `model`, by API names only.

    Raises:
        SpecError: the first thing wrong with it; an unknown field before anything else, since a
            misspelt field is also a missing one.
    """
    try:
        return model.model_validate(body, by_alias=True, by_name=False)
    except ValidationError as error:
        raise spec_errors(model, error)[0] from None


def spec_errors(model: type[BaseModel], error: ValidationError, at: str = "") -> list[SpecError]:
    """Everything wrong, unknown fields first; `at` is the path of `model` itself."""
    found = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    return [_spec_error(model, details, at) for details in found]


def field_path(*parts: str | int) -> str:
    """`spec.columns[2].type` from its parts."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _spec_error(model: type[BaseModel], details: ErrorDetails, at: str) -> SpecError:
    context = details.get("ctx", {})
    path = field_path(*([at] if at else []), *details["loc"], *context.get("field", ()))
    value = context.get("value", None if details["type"] == "missing" else details["input"])
    return SpecError(
        reason=_REASONS.get(details["type"], Reason.INVALID),
        path=path or "(root)",
        value=value,
        remedy=_remedy(model, details),
    )


def _remedy(model: type[BaseModel], details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return _nearest(str(details["loc"][-1]), _names(model, details["loc"][:-1]))
    if kind == "missing":
        return "this field is required"
    if kind == "enum":
        return f"one of {context['expected']} is expected"
    if kind == "string_pattern_mismatch":
        return f"a text that matches {context['pattern']} is expected"
    if kind == "value_error":
        return str(context["error"])
    return _SHAPES.get(kind, details["msg"])


def _nearest(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"no such field; {hint}the fields here are {', '.join(sorted(names))}"


def _names(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The API names of the fields of the model at `loc` below `model`."""
    here: type[BaseModel] = model
    for part in loc:
        field = next((f for n, f in here.model_fields.items() if part in (f.alias, n)), None)
        if field:
            here = next(_models(field.annotation), here)
    return [field.alias or name for name, field in here.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models within an annotation such as `tuple[Topic, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, tuple, dict, list, Annotated):
        for argument in get_args(annotation):
            yield from _models(argument)
