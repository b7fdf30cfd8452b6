"""What must hold between two specs of one resource: the twin of CEL's `oldSelf` rules."""

from collections.abc import Iterator

from tapehouse_operator.api.model import Model, value_at
from tapehouse_operator.api.parse import field_path
from tapehouse_operator.errors import SpecError


def check_transition(old: Model, new: Model, at: str = "spec") -> None:
    """Compare the last accepted spec with a new one; `at` is their path.

    Raises:
        SpecError: the first change that is not allowed, with what to do instead.
    """
    for error in _refused(old, new, at):
        raise error


def _refused(old: Model, new: Model, at: str) -> Iterator[SpecError]:
    for rule in new.transitions:
        if not rule.holds(old, new):
            path = field_path(at, *filter(None, [rule.field]))
            yield SpecError(rule.reason, path, value_at(new, rule.field), rule.message)
    for name, field in type(new).model_fields.items():
        path = field_path(at, field.alias or name)
        yield from _below(getattr(old, name), getattr(new, name), path)


def _below(old: object, new: object, path: str) -> Iterator[SpecError]:
    if isinstance(old, Model) and isinstance(new, Model):
        yield from _refused(old, new, path)
    elif isinstance(old, tuple) and isinstance(new, tuple):
        before = {item.identity: item for item in old if isinstance(item, Model) and item.keyed_by}
        for index, item in enumerate(new):
            if isinstance(item, Model) and item.identity in before:
                yield from _refused(before[item.identity], item, field_path(path, index))
