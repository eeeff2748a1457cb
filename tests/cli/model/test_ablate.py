"""`copydetect model ablate`: its Markdown, and what it says about wrong arguments."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.model.ablate import markdown
from services.cli.model.app import app
from services.contracts.errors import UsageError
from tca_model.evaluation.quality import ScoredPair, judge
from tca_model.training.ablation import Row, Table

GOOD = judge([ScoredPair(True, 0.9), ScoredPair(False, 0.1)])
BAD = judge([ScoredPair(True, 0.1), ScoredPair(False, 0.9)])


def test_each_variant_is_a_line_and_each_measure_two_columns() -> None:
    tables = [
        Table(
            "losses",
            "Losses",
            (Row("one", {"A": GOOD, "B": BAD}), Row("two", {"A": BAD, "B": GOOD})),
        ),
        Table("poolings", "Poolings", ()),
        Table("bank", "Bank", (Row("256 keys", {"A": GOOD}),)),
    ]
    assert markdown(tables, ["About."]).splitlines() == [
        "# Ablations",
        "",
        "About.",
        "",
        "## Losses",
        "",
        "| | A: micro-AP | A: recall at 99 % precision | B: micro-AP | B: recall at 99 % precision |",
        "|---|---:|---:|---:|---:|",
        "| one | 1.000 | 1.000 | 0.500 | 0.000 |",
        "| two | 0.500 | 0.000 | 1.000 | 1.000 |",
        "",
        "## Poolings",
        "",
        "Not made: it needs bundles that differ only in this.",
        "",
        "## Bank",
        "",
        "| | A: micro-AP | A: recall at 99 % precision |",
        "|---|---:|---:|",
        "| 256 keys | 1.000 | 1.000 |",
    ]


@pytest.mark.parametrize(
    ("output", "settings", "why"),
    [
        ("nowhere/x.md", [], "no folder .*nowhere"),
        ("x.md", [], "has no manifest"),
        ("x.md", ["--dropout", "1"], "dropout"),
        ("x.md", ["--batch", "0"], "batch"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_made(
    tmp_path: Path, output: str, settings: list[str], why: str
) -> None:
    work = tmp_path / "work"
    arguments = ["ablate", str(tmp_path), "--work", str(work), "--output", str(tmp_path / output), *settings]
    result = CliRunner().invoke(app, arguments)

    assert isinstance(result.exception, UsageError)
    with pytest.raises(UsageError, match=why):
        raise result.exception
    assert not work.exists()
