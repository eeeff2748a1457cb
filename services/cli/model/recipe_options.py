"""Command line options from the fields of a training recipe: their names, types, defaults, bounds and help."""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from services.contracts.errors import UsageError

Command = Callable[..., None]
BOUNDS = (("gt", "above {:g}"), ("ge", "at least {:g}"), ("lt", "below {:g}"), ("le", "at most {:g}"))
STEP = ("multiple_of", "a multiple of {:g}")


@dataclass(frozen=True, slots=True)
class RecipeField:
    """A field of a recipe and the option that sets it."""

    path: tuple[str, ...]  # from the recipe down: recipes hold other models
    info: FieldInfo
    parameter: str  # the option's name, with underscores
    default: str | None = None  # in words, if the command chooses it

    @property
    def flag(self) -> str:
        return f"--{self.parameter.replace('_', '-')}"

    @property
    def help(self) -> str:
        """The field's description with its bounds."""
        constraints = [*self.info.metadata]
        for kind in get_args(self.info.annotation):
            constraints += getattr(get_args(kind)[1], "metadata", ()) if get_origin(kind) is Annotated else ()
        bounds = [
            text.format(getattr(constraint, name))
            for constraint in constraints
            for name, text in (*BOUNDS, STEP)
            if getattr(constraint, name, None) is not None
        ]
        return f"{self.info.description} ({', '.join(bounds)})" if bounds else f"{self.info.description}"

    def to_parameter(self) -> inspect.Parameter:
        """The keyword parameter from which typer makes the option. The recipe itself checks its bounds."""
        kind, choices = _option_type(self.info.annotation)
        option = typer.Option(
            help=self.help,
            show_default=True if self.default is None else self.default,
            metavar=f"<{'|'.join(choices)}>" if choices else None,
        )
        return inspect.Parameter(
            self.parameter,
            inspect.Parameter.KEYWORD_ONLY,
            default=self.info.default if self.default is None else None,
            annotation=Annotated[kind | None, option],
        )


def recipe_options(
    argument: str,
    recipe: type[BaseModel],
    *,
    only: Collection[str] | None = None,
    names: Mapping[str, str] | None = None,
    defaults: Mapping[str, str] | None = None,
) -> Callable[[Command], Command]:
    """A decorator that gives a command one option per field of a recipe, and the recipe they make as `argument`.

    `only`: the fields that become options. `names`: by field, the name of an option that is not the field's.
    `defaults`: by field, the default in words that the command chooses itself; such a field is in `model_fields_set`
    only if the user set it. The command raises UsageError, which names the options, for values the recipe refuses.
    """
    fields = [
        RecipeField(path, info, (names or {}).get(path[-1], path[-1]), (defaults or {}).get(path[-1]))
        for path, info in recipe_fields(recipe)
        if only is None or path[-1] in only
    ]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**arguments: Any) -> None:
            values = [arguments.pop(field.parameter) for field in fields]
            command(**arguments, **{argument: _build(recipe, fields, values)})

        signature = inspect.signature(command)
        parameters = [parameter for name, parameter in signature.parameters.items() if name != argument]
        run.__signature__ = signature.replace(  # type: ignore[attr-defined]  # typer reads it
            parameters=[*parameters, *(field.to_parameter() for field in fields)]
        )
        return run

    return decorate


def recipe_fields(recipe: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """All fields of a recipe by path, including those of the models inside it."""
    for name, info in recipe.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from recipe_fields(info.annotation, (*path, name))
        else:
            yield (*path, name), info


def _build(recipe: type[BaseModel], fields: Sequence[RecipeField], values: Sequence[Any]) -> BaseModel:
    nested: dict[str, Any] = {}
    for field, value in zip(fields, values, strict=True):
        if value is None:  # not set: the recipe has the default
            continue
        inside = nested
        for name in field.path[:-1]:
            inside = inside.setdefault(name, {})
        inside[field.path[-1]] = value
    try:
        return recipe.model_validate(nested)
    except ValidationError as error:
        flags = {field.path: field.flag for field in fields}
        raise UsageError("; ".join(_refusal(one, flags) for one in error.errors())) from error


def _refusal(error: ErrorDetails, flags: Mapping[tuple[str, ...], str]) -> str:
    path = tuple(map(str, error["loc"]))
    return f"{flags.get(path, '.'.join(path))}: {error['msg']}"


def _option_type(annotation: Any) -> tuple[type, tuple[str, ...]]:
    """The type of an option, and its values if there are only a few."""
    if get_origin(annotation) is Literal:
        return str, get_args(annotation)
    kind = next((kind for kind in get_args(annotation) if kind is not NoneType), annotation)
    return (get_args(kind)[0] if get_origin(kind) is Annotated else kind), ()
