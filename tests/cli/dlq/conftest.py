"""The commands over a bus in memory."""

from collections.abc import Callable
from typing import TypeAlias

import pytest
from typer.testing import CliRunner, Result

from services.cli.dlq import letters
from services.cli.main import app
from tests.cli.dlq.fakes import FakeBus

Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> FakeBus:
    """The bus of the commands."""
    fake = FakeBus()
    monkeypatch.setattr(letters, "KafkaBus", lambda _: fake)
    return fake


@pytest.fixture
def run() -> Run:
    """Runs `copydetect dlq` with these words."""
    return lambda *words, **options: CliRunner().invoke(app, ["dlq", *words], **options)
