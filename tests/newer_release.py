"""JSON as a newer release may write it."""

from typing import Any


def add_fields(value: Any) -> Any:
    """The same JSON with a field more in every object that has fields; an empty one may be a mapping."""
    match value:
        case dict() if value:
            return {**{name: add_fields(one) for name, one in value.items()}, "of_a_newer_release": 1}
        case list():
            return [add_fields(one) for one in value]
        case _:
            return value
