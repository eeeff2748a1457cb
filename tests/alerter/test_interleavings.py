"""Two uploads that arrive together: one alert names their pair, with the intervals that both directions show."""

from collections.abc import Sequence
from random import Random

import pytest

from services.alerter import fold
from services.contracts.segments import DescribedSegment
from tests.alerter.stages import MODEL, Stages, bounds, end_event, frames, segment_events
from tests.descriptors import UPLOADED_AT, cut, described, work

SEEDS = range(40)


def run_interleaved(seed: int, *assets: Sequence[DescribedSegment], stages: Stages | None = None) -> Stages:
    """Store and announce the segments of these uploads as ingest does, in a random interleaving.

    At random moments the matcher or the alerter gets no further than the other.
    """
    random = Random(seed)
    stages = stages or Stages()
    left = [[*zip(segments, segment_events(segments), strict=True)] for segments in assets]
    ends = [end_event(segments) for segments in assets]
    while any(left):
        turn = random.choice([number for number, segments in enumerate(left) if segments])
        segment, event = left[turn].pop(0)
        stages.store([segment])
        stages.publish(event)
        if not left[turn]:
            stages.publish(ends[turn])
        for step in random.sample([stages.matcher.run_once, stages.alerter.run_once], random.randint(0, 2)):
            step(0)
    stages.run()
    return stages


def identical(asset_id: str, at: float) -> list[DescribedSegment]:
    return cut(asset_id, work(1, 0, 256), uploaded_at=at)


def border_copy() -> list[DescribedSegment]:
    """Four seconds of the first upload, over a border of its segments and of its own."""
    return cut("copy", frames(work(2, 0, 30), work(1, 30, 34), work(2, 34, 64)), uploaded_at=UPLOADED_AT + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_identical_uploads_have_one_alert_with_the_full_interval(seed: int) -> None:
    stages = run_interleaved(seed, identical("one", UPLOADED_AT), identical("two", UPLOADED_AT + 1))
    [alert] = stages.latest().values()
    assert (alert.query.asset_id, alert.reference.asset_id, alert.status) == ("two", "one", "final")
    assert bounds(alert) == [(0, 256, 0, 256)]
    assert alert.query_coverage == alert.reference_coverage == 1
    verdicts = stages.verdicts()
    assert (verdicts["default/two"].verdict, verdicts["default/two"].alert_ids) == ("copies", (alert.alert_id,))
    assert (verdicts["default/one"].verdict, verdicts["default/one"].copied_by) == ("unique", 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_short_copy_over_a_border_is_found_in_every_interleaving(seed: int) -> None:
    stages = run_interleaved(seed, cut("original", work(1, 0, 64)), border_copy())
    [alert] = stages.latest().values()
    assert (alert.query.asset_id, alert.status, bounds(alert)) == ("copy", "final", [(30, 34, 30, 34)])
    assert stages.verdicts()["default/copy"].verdict == "copies"


def test_without_the_evidence_of_the_other_direction_pairs_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: each upload knows only what its own searches found."""
    monkeypatch.setattr(fold, "add_evidence", lambda state, *_: fold.Folded(state))
    full, seeds = 0, SEEDS[:12]
    for seed in seeds:
        latest = run_interleaved(seed, identical("one", UPLOADED_AT), identical("two", UPLOADED_AT + 1)).latest()
        full += [bounds(alert) for alert in latest.values()] == [[(0, 256, 0, 256)]]
    assert full < len(seeds) / 2


def test_segment_files_with_times_of_their_own_keep_the_sides_of_their_pair() -> None:
    """The sides are those of the assets: the first segment of the live upload is older than the other upload."""
    live = [
        described("live", index, work(1, 32 * index, 32 * index + 32), uploaded_at=UPLOADED_AT, is_whole_file=False)
        for index in range(4)
    ]
    stages = run_interleaved(3, live, cut("later", work(1, 0, 128), uploaded_at=UPLOADED_AT + 50))
    [alert] = stages.latest().values()
    assert (alert.query.asset_id, alert.reference.asset_id) == ("later", "live")
    assert alert.model_version == MODEL
