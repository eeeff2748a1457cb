"""Beyond a bound of pairs or segments, evidence is dropped and counted, and the asset is decided all the same."""

from services.alerter.fold import fold
from services.alerter.pair import Bounds
from tests.alerter.by_hand import after, make_finding, pair_evidence, searched
from tests.alerter.stages import Stages, bounds, copy, original, upload
from tests.descriptors import UPLOADED_AT, cut, work
from tests.metric_values import metric_value

PAIRS, SEGMENTS = "pairs of an asset", "segments of a pair"


def dropped(bound: str) -> float:
    return metric_value("copydetect_dropped_evidence_total", bound=bound)


def test_an_asset_with_too_many_pairs_keeps_the_first_and_is_a_copy() -> None:
    before, stages = dropped(PAIRS), Stages(bounds=Bounds(pairs=2))
    stages.store(*(cut(f"other-{n}", work(1, 0, 60), uploaded_at=UPLOADED_AT - n) for n in range(5)), copy())
    stages.process(*upload(copy()))
    assert dropped(PAIRS) - before == 3 * 2, "of each of the two segments that show the others"
    assert len(stages.live()) == 2
    assert {bounds(alert)[0] for alert in stages.live()} == {(22, 52, 20, 50)}, "of a known pair nothing is dropped"
    verdict = stages.verdicts()["default/copy"]
    assert (verdict.verdict, len(verdict.alert_ids)) == ("copies", 2)


def test_a_pair_with_too_many_segments_keeps_the_first_and_is_decided() -> None:
    before, stages = dropped(SEGMENTS), Stages(bounds=Bounds(units=2))
    long = cut("long", work(1, 0, 160), uploaded_at=UPLOADED_AT + 60)
    stages.store(cut("original", work(1, 0, 160)), long)
    stages.process(*upload(long))
    assert dropped(SEGMENTS) - before == 3
    [alert] = stages.live()
    assert (alert.status, bounds(alert)) == ("final", [(0, 64, 0, 64)])
    assert stages.verdicts()["default/long"].verdict == "copies"


def test_evidence_of_a_segment_that_is_kept_is_replaced_beyond_the_bound() -> None:
    state = after(searched(0, make_finding()))
    one = Bounds(units=1)
    newer = fold(state, searched(0, make_finding(generation=2)), one).state
    assert newer.pairs["other"] is not state.pairs["other"]
    assert fold(state, searched(1, make_finding(segment_index=1)), one).state.pairs is state.pairs


def test_evidence_that_others_find_is_bounded_too() -> None:
    before = dropped(PAIRS), dropped(SEGMENTS)
    state = after(searched(0, make_finding(other="one")))
    for other in ("one", "two"):
        found = pair_evidence(make_finding(other="a"), reference=make_finding(other=other).other)
        assert fold(state, found, Bounds(pairs=1, units=1)).state is state
    assert (dropped(PAIRS) - before[0], dropped(SEGMENTS) - before[1]) == (1, 1)


def test_within_the_bounds_nothing_is_dropped() -> None:
    before, stages = (dropped(PAIRS), dropped(SEGMENTS)), Stages()
    stages.store(original(), copy())
    stages.process(*upload(copy()))
    assert (dropped(PAIRS), dropped(SEGMENTS)) == before
