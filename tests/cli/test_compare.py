"""What `copydetect compare` prints of a pair."""

from pathlib import Path

import pytest

from services.cli.compare import QUERY, REFERENCE, print_alert
from services.cli.files import VideoFile
from tca_model.matching.calibration import Calibration
from tests.cli.found import alert

PATHS = {QUERY: Path("/query.mp4"), REFERENCE: Path("/reference.mp4")}


@pytest.mark.parametrize(("score", "is_copy"), [(0.9, True), (0.1, False)])
def test_only_a_copy_is_said_to_be_copied(score: float, is_copy: bool, capsys: pytest.CaptureFixture[str]) -> None:
    found = alert(VideoFile("/query.mp4"), VideoFile("/reference.mp4"), score)
    print_alert(found, PATHS, Calibration(alert_threshold=0.5, basis="a test"), 0.5)
    printed = capsys.readouterr().out
    share, interval = printed.splitlines()[-2:]
    assert share.split(maxsplit=1) == ["covered" if is_copy else "aligned", "100% of the query, 50% of the reference"]
    assert interval.split(maxsplit=1) == ["copied" if is_copy else "aligned", "0:00-0:10 = 1:05-1:15"]
    assert ("not a copy" in printed) is not is_copy
