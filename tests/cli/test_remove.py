"""`copydetect remove` publishes a request to remove each asset, or says what is wrong."""

from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from services.cli import remove
from services.cli.main import app
from services.contracts import topics
from services.contracts.envelope import to_event
from services.contracts.events import AssetRemoved
from services.contracts.ports import Message


class FakeBus:
    published: ClassVar[list[Message]] = []

    def __init__(self, *arguments: Any) -> None:
        """Connects to nothing."""

    def publish(self, messages: list[Message]) -> None:
        FakeBus.published += messages

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> type[FakeBus]:
    monkeypatch.setattr(FakeBus, "published", [])
    monkeypatch.setattr(remove, "KafkaBus", FakeBus)
    return FakeBus


def test_every_asset_gets_a_request_with_its_key(bus: type[FakeBus]) -> None:
    done = CliRunner().invoke(app, ["remove", "a", "b.mp4", "--tenant", "kids", "--reason", "court order"])
    assert (done.exit_code, done.output) == (0, "asked to remove a\nasked to remove b.mp4\n")
    assert {message.topic for message in bus.published} == {topics.VIDEO_SEGMENTS}
    assert [message.key for message in bus.published] == ["kids/a", "kids/b.mp4"]
    events = [to_event(message) for message in bus.published]
    assert events == [AssetRemoved(asset_id=name, tenant="kids", reason="court order") for name in ("a", "b.mp4")]


def test_nothing_is_published_if_one_id_is_wrong(bus: type[FakeBus]) -> None:
    done = CliRunner().invoke(app, ["remove", "a", "b c"])
    assert done.exit_code != 0
    assert str(done.exception) == (
        "cannot remove: 'b c' is no asset id: it consists of 1 to 128 letters, digits, '_', '.' and '-'"
    )
    assert bus.published == []


@pytest.mark.usefixtures("bus")
def test_a_reason_that_is_too_long_is_not_called_an_id() -> None:
    done = CliRunner().invoke(app, ["remove", "a", "--reason", "x" * 1001])
    assert str(done.exception) == "cannot remove: reason: String should have at most 1000 characters"
