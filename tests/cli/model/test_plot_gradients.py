"""`copydetect model plot gradients`."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from services.cli.model.app import app
from services.contracts.errors import UsageError

pytestmark = pytest.mark.integration  # two seconds of layout


def test_the_picture_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    ended = CliRunner().invoke(app, ["plot", "gradients", "--output", str(tmp_path / "g.png"), "--negatives", "20"])
    assert ended.exit_code == 0, ended.output
    with Image.open(tmp_path / "g.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (1200, 840))
        colours = picture.convert("L").getcolors()
    assert colours is not None
    assert len(colours) > 20


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    arguments = ["plot", "gradients", "--output", str(tmp_path / "no" / "g.png")]
    with pytest.raises(UsageError, match="no folder"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
