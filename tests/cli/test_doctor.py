"""`copydetect doctor` lists variables that no setting reads."""

import pytest
import typer

from services.cli import doctor


def test_unknown_variables_are_listed_and_are_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COPYDETECT_VOLUME", "tcp")
    monkeypatch.setattr(doctor, "_report", lambda *_: True)
    with pytest.raises(typer.Exit) as ended:
        doctor.doctor()
    assert ended.value.exit_code == 0
    assert "note   settings: nothing reads COPYDETECT_VOLUME\n" in capsys.readouterr().out
