"""The ground of every model: frozen, closed, camelCase outside, with rules of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from tapehouse_operator.api.change import declared
from tapehouse_operator.reasons import Reason


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold of one object: CEL for the API server, and its twin for everybody else."""

    cel: str
    message: str
    """What would be accepted, as a sentence."""
    holds: Callable[[Any], bool]
    field: str = ""
    """The API name of the field at fault, when it is one."""
    reason: Reason = Reason.INVALID


@dataclass(frozen=True, slots=True)
class Transition:
    """What must hold between the old and the new state of one object."""

    cel: str
    message: str
    holds: Callable[[Any, Any], bool]
    field: str = ""
    reason: Reason = Reason.IMMUTABLE


def _annotate(schema: dict[str, Any], model: type["Model"]) -> None:
    """What JSON Schema has no word for, for the generator of CRDs and pages to take up."""
    schema["x-rules"] = [*model.invariants, *model.transitions]
    schema["x-keys"] = [model.model_fields[name].alias for name in model.keyed_by]
    for field in model.model_fields.values():
        change = declared(field)
        if field.exclude:
            del schema["properties"][field.alias]
        elif change is not None:
            schema["properties"][field.alias]["x-change"] = change


class Model(BaseModel):
    """Frozen, closed, with camelCase API names; its attribute docstrings are descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
        json_schema_extra=_annotate,
    )

    invariants: ClassVar[tuple[Rule, ...]] = ()
    transitions: ClassVar[tuple[Transition, ...]] = ()
    keyed_by: ClassVar[tuple[str, ...]] = ()
    """In a list, the fields that tell one item from another (a list-map in the CRD)."""

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells this item from the others of its list."""
        return tuple(str(getattr(self, name)) for name in self.keyed_by)

    @model_validator(mode="after")
    def _obey(self) -> Self:
        for rule in self.invariants:
            if not rule.holds(self):
                field = rule.field.split(".") if rule.field else []
                context = {"field": field, "value": value_at(self, rule.field)}
                raise PydanticCustomError(rule.reason.value, rule.message, context)
        return self

    @field_validator("*", mode="after")
    @classmethod
    def _told_apart(cls, value: Any) -> Any:
        """Items of a list that share their key: the API server refuses a list-map's as well."""
        if isinstance(value, tuple) and value and isinstance(value[0], Model):
            keys = [item.identity for item in value if item.keyed_by]
            twice = next((key for key in keys if keys.count(key) > 1), None)
            if twice:
                raise ValueError(f"{' and '.join(twice)} stands here twice; it must be unique")
        return value


def value_at(model: BaseModel, field: str) -> object:
    """What stands at the dotted API name `field` of a model; all of it when `field` is empty."""
    value: Any = model.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    for part in filter(None, field.split(".")):
        value = value.get(part) if isinstance(value, dict) else None
    return value
