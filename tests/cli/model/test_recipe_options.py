"""Every field of a recipe is an option, with the field's default, help and refusals."""

from typing import Annotated, Any, Literal

import pytest
import typer
from pydantic import BaseModel, Field
from typer.main import get_command
from typer.testing import CliRunner

from services.cli.model.app import app
from services.cli.model.recipe_options import RecipeField, recipe_fields, recipe_options
from services.contracts.errors import UsageError
from tca_model.training.recipes import BackboneRecipe, ComparatorRecipe, EncoderRecipe


class Inner(BaseModel):
    width: int = Field(4, ge=1, lt=9, description="Width")


class Recipe(BaseModel):
    inner: Inner = Inner(width=4)
    kind: Literal["one", "two"] = Field("one", description="Kind")
    momentum: Annotated[float, Field(ge=0)] | None = Field(None, description="Momentum")
    learning_rate: float = Field(0.5, gt=0, description="Rate")


def build(*arguments: str, **options: Any) -> Recipe:
    """The recipe that a command gets."""
    got: list[Recipe] = []

    @recipe_options("recipe", Recipe, **options)
    def command(recipe: Recipe) -> None:
        got.append(recipe)

    program = typer.Typer()
    program.command()(command)
    CliRunner().invoke(program, list(arguments), catch_exceptions=False)
    return got[0]


def test_without_options_the_recipe_is_the_default() -> None:
    assert build() == Recipe()


def test_options_set_fields_also_those_of_models_inside() -> None:
    built = build("--width", "5", "--kind", "two", "--momentum", "0.9", "--learning-rate", "1e-3")
    assert built == Recipe(inner=Inner(width=5), kind="two", momentum=0.9, learning_rate=1e-3)


def test_an_option_may_have_another_name() -> None:
    assert build("--pace", "2", names={"learning_rate": "pace"}).learning_rate == 2


def test_a_default_that_the_command_chooses_is_not_set() -> None:
    assert "learning_rate" not in build(defaults={"learning_rate": "it depends"}).model_fields_set
    assert "learning_rate" in build("--learning-rate", "0.5", defaults={"learning_rate": "-"}).model_fields_set


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (["--width", "9"], "--width: Input should be less than 9"),
        (["--kind", "three"], "--kind: Input should be 'one' or 'two'"),
        (["--learning-rate", "0", "--momentum", "-1"], "--momentum: .* 0; --learning-rate: .* 0"),
    ],
)
def test_what_the_recipe_refuses_names_the_option(arguments: list[str], refusal: str) -> None:
    with pytest.raises(UsageError, match=refusal):
        build(*arguments)


@pytest.mark.parametrize(
    ("command", "recipe", "names", "chosen"),
    [
        ("train-encoder", EncoderRecipe, {}, {"shortest_piece"}),
        ("train-backbone", BackboneRecipe, {"input_px": "training_px"}, set()),
    ],
)
def test_every_field_is_an_option_with_its_default_and_help(
    command: str, recipe: type[BaseModel], names: dict[str, str], chosen: set[str]
) -> None:
    parameters = {one.name: one for one in get_command(app).commands[command].params}  # type: ignore[attr-defined]
    for path, info in recipe_fields(recipe):
        field = RecipeField(path, info, names.get(path[-1], path[-1]))
        option = parameters[field.parameter]
        assert option.opts == [field.flag]
        assert option.help == field.help
        assert option.default == (None if path[-1] in chosen else info.default)


@pytest.mark.parametrize("recipe", [EncoderRecipe, BackboneRecipe, ComparatorRecipe])
def test_every_field_has_a_description(recipe: type[BaseModel]) -> None:
    assert [path for path, info in recipe_fields(recipe) if not info.description] == []


def test_help_states_bounds_and_choices() -> None:
    helps = {path[-1]: RecipeField(path, info, path[-1]).help for path, info in recipe_fields(Recipe)}
    assert helps == {
        "width": "Width (at least 1, below 9)",
        "kind": "Kind",
        "momentum": "Momentum (at least 0)",
        "learning_rate": "Rate (above 0)",
    }
    shown = CliRunner().invoke(app, ["train-encoder", "--help"], env={"COLUMNS": "200"}).output
    assert "<info-nce|circle|triplet>" in shown
