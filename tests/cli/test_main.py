"""The command line itself: help, exit codes and the version."""

import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from services.cli import main as cli_main
from services.cli.errors import CommandFailed, exit_code, translating_errors
from services.cli.main import app
from services.contracts.errors import CopydetectError, DependencyDown, StorageFailed, UsageError
from tca_model.bundle import load_bundle
from tca_model.errors import BundleError, DecodeError


def test_the_version_is_that_of_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"tca-copydetect": "1.2.3"}
    monkeypatch.setattr("services.cli.distribution.version", versions.__getitem__)
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, "copydetect 1.2.3\n")


def test_a_checkout_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("services.cli.distribution.version", refuse)
    assert CliRunner().invoke(app, ["--version"]).output == "copydetect (not installed)\n"


def commands(command: object = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command."""
    yield path
    for name, inner in getattr(command or get_command(app), "commands", {}).items():
        yield from commands(inner, (*path, name))


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_command_has_plain_help(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    assert "Usage:" in shown.output
    assert "<bool>" not in shown.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("--threshold 7"), 2),
        (DependencyDown("Kafka does not answer"), 1),
        (StorageFailed("the database is damaged"), 1),
        (CommandFailed("the disk is full"), 1),
        (BundleError("no bundle of that name"), 2),
    ],
)
def test_only_wrong_usage_ends_with_2(
    error: CopydetectError | BundleError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli_main, "configure_logging", lambda: None)
    monkeypatch.setattr(cli_main, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli_main.main()
    assert ended.value.code == code
    assert capsys.readouterr().err == f"error: {error}\n"


def test_a_damaged_bundle_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text("{")
    with pytest.raises(BundleError) as damaged:
        load_bundle(str(tmp_path))
    assert exit_code(damaged.value) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileNotFoundError("nowhere"), UsageError),
        (ValueError("5 heads"), UsageError),
        (OSError("disk full"), CommandFailed),
        (DecodeError("not a video"), CommandFailed),
    ],
)
def test_errors_of_the_library_become_errors_of_the_command(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=str(error)), translating_errors():
        raise error


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", *arguments], capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scan"], "Missing argument"),
        (["scan", "/nowhere/at/all.mp4"], "there is no file or folder /nowhere/at/all.mp4"),
        (["scan", ".", "--bundle", "no-such"], "no bundle 'no-such'"),
        (["scan", ".", "--output", "/proc/none/out.jsonl"], "cannot write --output /proc/none/out.jsonl"),
        (["scan", ".", "--threshold", "7"], "less than or equal to 1"),
        (["scan", ".", "--output", "-", "--report", "-"], "only one of --output and --report"),
        (["scan", ".", "--no-such-option"], "No such option"),
    ],
)
def test_wrong_usage_ends_with_a_message_and_2(arguments: list[str], message: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
