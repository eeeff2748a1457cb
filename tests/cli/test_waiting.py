"""The table of what waits."""

import pytest

from services.cli.waiting import print_waiting, to_age
from services.runtime.group_lag import GroupLag, PartitionLag


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (400_000, "5 d")],
)
def test_ages_have_one_unit(seconds: float, text: str) -> None:
    assert to_age(seconds) == text


def test_each_group_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = PartitionLag(0, 5, 12, 900.0, is_owned=True)
    alone = PartitionLag(1, 3, 3, None, is_owned=False)
    idle = PartitionLag(0, 9, 9, None, is_owned=False)
    print_waiting(
        [GroupLag("video-segments", "ingest", 0, (waiting, alone)), GroupLag("match-evidence", "alerter", 0, (idle,))],
        now_s=1200.0,
    )
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "ingest video-segments 7 5 min 1" in lines
    assert "alerter match-evidence 0 all" in lines
