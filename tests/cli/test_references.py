"""`--references A B`: several values after one option, whatever other options the command has."""

from typing import Annotated

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from services.cli.main import app
from services.cli.references import ReferencesCommand


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("a --references b", "a --references b"),
        ("a --references b c --db d", "a --references b --references c --db d"),
        ("a b --output o --references c d", "a b --output o --references c --references d"),
        ("a --references b --report r c", "a --references b --report r c"),
        ("--references b a", "--references b a"),
        ("--db d --references b a", "--db d --references b a"),
        ("a --references=b c", "a --references=b c"),
        ("a --references b --references c d", "a --references b --references c --references d"),
        ("a --references b --output - c", "a --references b --output - c"),
        ("a --references b --exhaustive c", "a --references b --exhaustive c"),
    ],
)
def test_several_references_may_follow_the_queries(typed: str, understood: str) -> None:
    command = get_command(app).commands["scan"]  # type: ignore[attr-defined]
    assert command.repeat_references(typed.split()) == understood.split()


def test_a_new_option_of_the_command_takes_its_value() -> None:
    program = typer.Typer()

    @program.command(cls=ReferencesCommand)
    def look(
        queries: list[str],
        references: Annotated[list[str], typer.Option()],
        new: str = "",
        flag: Annotated[bool, typer.Option("--flag")] = False,
    ) -> None:
        typer.echo(f"{queries} {references} {new} {flag}")

    shown = CliRunner().invoke(
        program, ["--new", "x", "a", "--references", "b", "c", "--new", "y", "--flag", "--references", "d", "e"]
    )
    assert shown.output == "['a'] ['b', 'c', 'd', 'e'] y True\n"
