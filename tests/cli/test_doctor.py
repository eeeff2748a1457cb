"""`copydetect doctor` lists variables that no setting reads, and what waits."""

import pytest
import typer

from services.cli import doctor
from services.runtime.group_lag import GroupLag, PartitionLag


def test_unknown_variables_are_listed_and_are_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COPYDETECT_VOLUME", "tcp")
    monkeypatch.setattr(doctor, "_report", lambda *_: True)
    monkeypatch.setattr(doctor, "_show_waiting", lambda *_: None)
    with pytest.raises(typer.Exit) as ended:
        doctor.doctor()
    assert ended.value.exit_code == 0
    assert "note   settings: nothing reads COPYDETECT_VOLUME\n" in capsys.readouterr().out


def test_what_waits_is_shown_if_kafka_is_right_and_only_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: set[str] = set()
    lag = GroupLag("video-segments", "ingest", 0, (PartitionLag(0, 0, 3, None, is_owned=False),))
    monkeypatch.setattr(doctor, "_report", lambda name, *_: name not in wrong)
    monkeypatch.setattr(doctor, "GroupLagReader", lambda *_: Reader(lag))
    with pytest.raises(typer.Exit):
        doctor.doctor()
    assert "video-segments" in capsys.readouterr().out
    wrong.add("kafka")
    with pytest.raises(typer.Exit):
        doctor.doctor()
    assert "video-segments" not in capsys.readouterr().out


class Reader:
    """A reader of the lag of groups."""

    def __init__(self, lag: GroupLag) -> None:
        self._lag = lag

    def __call__(self) -> list[GroupLag]:
        return [self._lag]

    def close(self) -> None:
        """Nothing is open."""
