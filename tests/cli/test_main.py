"""The command line itself: help, errors of use, and the references option."""

import subprocess
import sys

import pytest

from services.cli.main import repeat_references


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("scan a --references b", "scan a --references b"),
        ("scan a --references b c --db d", "scan a --references b --references c --db d"),
        ("scan a b --output o --references c d", "scan a b --output o --references c --references d"),
        ("scan a --references b --report r c", "scan a --references b --report r c"),
        ("scan --references b a", "scan --references b a"),
        ("scan --db d --references b a", "scan --db d --references b a"),
        ("scan a --references=b c", "scan a --references=b c"),
        ("scan a --references b --references c d", "scan a --references b --references c --references d"),
        ("compare a b", "compare a b"),
    ],
)
def test_references_may_be_several_after_the_queries(typed: str, understood: str) -> None:
    assert repeat_references(typed.split()) == understood.split()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", *arguments], capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.integration
@pytest.mark.parametrize("command", [[], ["scan"], ["compare"], ["demo"], ["schemas"], ["model"]])
def test_every_command_has_help(command: list[str]) -> None:
    shown = run(*command, "--help")
    assert shown.returncode == 0
    assert "Usage:" in shown.stdout


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scan"], "Missing argument"),
        (["scan", "/nowhere/at/all.mp4"], "there is no file or folder /nowhere/at/all.mp4"),
        (["scan", ".", "--bundle", "no-such"], "no bundle 'no-such'"),
        (["scan", ".", "--output", "/proc/none/out.jsonl"], "cannot write --output /proc/none/out.jsonl"),
        (["scan", ".", "--threshold", "7"], "less than or equal to 1"),
        (["scan", ".", "--no-such-option"], "No such option"),
    ],
)
def test_wrong_usage_is_told_in_words_and_ends_with_2(arguments: list[str], said: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
