"""From stored descriptors to figures: rows that are cut and joined, scores, kinds, shared stretches, rates."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from bench.alike import unrelated
from bench.alike.judging import Scored, judge_kinds, judge_shared, read_footage, score_pairs
from bench.alike.pairs import AlikePair, Footage
from bench.alike.shared import SharedPair
from bench.alike.stored import compare_stored, cut_out, describe_shots, describe_videos, lay_in_a_row, spread_out
from bench.alike.tables import draw_kinds, draw_shared, say_all_against_all, say_rates, say_silence
from bench.alike.unrelated import find_nearness, fit_rates, rate
from tca_model import compare, describe
from tca_model.api import Describer
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.evaluation.extremes import Tail
from tca_model.matching.calibration import Calibration, Curve
from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import apply_edit
from tca_model.types import Match, VideoDescriptor
from tests.descriptors import work
from tests.vectors import unit_rows

CALIBRATION = Calibration(alert_threshold=0.9, curve=Curve(slope=5.0, intercept=5.0), basis="made up")


def video(number: int, start_s: int = 0, end_s: int = 12) -> VideoDescriptor:
    """A stretch of a work that is like no other."""
    frames = work(number, start_s, end_s)
    return VideoDescriptor(np.arange(len(frames), dtype=np.float64), frames)


def nothing(_done: int, _total: int) -> None:
    """No progress is shown."""


def test_a_shot_of_a_still_lies_on_the_arc_between_its_ends() -> None:
    ends = VideoDescriptor(np.array([0.0, 9.0]), unit_rows(1, 2))
    shot = spread_out(ends)
    assert shot.timestamps_s.tolist() == list(range(10))
    np.testing.assert_allclose(shot.frames[[0, -1]], ends.frames, atol=1e-6)
    towards = shot.frames @ ends.frames[1]
    assert np.all(np.diff(towards) > 0)
    assert not len(spread_out(VideoDescriptor(np.zeros(1), unit_rows(1))))


def test_stretches_are_cut_out_and_videos_laid_in_a_row() -> None:
    one, other = video(1), video(2)
    cut = cut_out(one, 3.0, 5.0)
    assert cut.timestamps_s.tolist() == [0, 1]
    assert np.array_equal(cut.frames, one.frames[3:5])
    row = lay_in_a_row([cut, other], [2.5, 12.0])
    assert row.timestamps_s.tolist() == [0, 1, *(2.5 + np.arange(12))]
    assert np.array_equal(row.frames[2:], other.frames)

    stored = {"one": one, "other": other}
    assert len(read_footage(Footage(("one",), 3.0, 5.0), stored, {})) == 2
    many = read_footage(Footage(("one", "other", "one")), stored, {"one": 12.0, "other": 12.0})
    assert many.timestamps_s.tolist() == list(range(36))


def test_a_copy_across_the_border_of_two_segments_is_one_interval() -> None:
    reference = video(3, 0, 60)
    query = lay_in_a_row([video(4, 0, 20), video(3, 5, 35)], [20.0, 30.0])
    joined = compare_stored(query, reference)
    assert [(match.query_start_s, match.query_end_s) for match in joined.intervals] == [(20, 50)]
    assert [(match.reference_start_s, match.reference_end_s) for match in joined.intervals] == [(5, 35)]
    assert compare_stored(video(4), video(5)).joined_score < 0.2


def test_kinds_count_alerts_and_what_is_held_out_apart() -> None:
    stored = {"one": video(1), "same": video(1), "other": video(2), "empty": cut_out(video(1), 99, 100)}
    pairs = [
        AlikePair("alike", Footage(("one",)), Footage(("same",)), True),
        AlikePair("alike", Footage(("one",)), Footage(("other",)), False),
        AlikePair("alike", Footage(("one",)), Footage(("empty",)), False),
        AlikePair("quiet", Footage(("other",)), Footage(("one",)), False),
    ]
    alike, quiet = judge_kinds(scored := score_pairs(pairs, stored, {}, CALIBRATION, nothing))

    assert (alike.pairs, alike.alerts, alike.not_comparable) == (3, 1, 1)
    assert (alike.held_out_pairs, alike.held_out_alerts) == (1, 1)
    assert alike.highest_joined_score == scored[0].joined_score == pytest.approx(1, abs=0.01)
    assert alike.highest_alert_score == CALIBRATION.alert_score(scored[0].joined_score or 0)
    assert (quiet.alerts, quiet.held_out_pairs) == (0, 0)
    assert say_silence([alike, quiet]) == (
        "silent: 1 of 2 kinds (0.50); of those with held-out pairs, 0 of 1, by these pairs alone. "
        "Alerts: 1 of 4 pairs; 1 have a side that shows nothing to compare"
    )
    assert draw_kinds("ours", [alike, quiet]).row_count == 2
    assert (
        say_all_against_all([scored[0], scored[0]], 9)
        == "all clips against all: 2 of 9 pairs alert, 2 of them held out"
    )


def test_a_shared_stretch_is_found_exactly_beside_it_or_not() -> None:
    truth = Match(10, 20, 5, 15, 1.0)

    def judge_one(*intervals: Match, is_alert: bool = True, is_footage: bool = True):  # type: ignore[no-untyped-def]
        pair = SharedPair("intro", Footage(("q",)), Footage(("r",)), False, truth, is_footage)
        scored = Scored("intro", "q", "r", False, 0.5, 0.95, is_alert, intervals)
        return judge_shared([pair], [scored])[0]

    exact = judge_one(truth)
    assert (exact.iou, exact.error_s, exact.others, exact.is_right) == (1, 0, 0, True)
    late = judge_one(Match(12, 20, 7, 15, 1.0), Match(30, 40, 30, 40, 0.5))
    assert (late.error_s, late.others, late.is_right) == (2, 1, False)
    assert late.iou == pytest.approx(0.64)
    beside = judge_one(Match(30, 40, 30, 40, 0.5))
    assert (beside.iou, beside.is_right) == (0, False)
    missed = judge_one(truth, is_alert=False)
    assert (missed.iou, missed.error_s, missed.is_right) == (0, None, False)
    assert not judge_one(truth, is_footage=False).is_right, "a title card is no footage"
    assert judge_one(is_alert=False, is_footage=False).is_right
    assert draw_shared([exact, missed]).row_count == 2


def test_nearness_is_of_the_three_nearest_frames() -> None:
    videos = [video(number, 0, 3 + number) for number in range(5)]
    near = find_nearness(videos)
    for row, one in enumerate(videos):
        for column, other in enumerate(videos):
            expected = np.sort((one.frames @ other.frames.T).max(axis=1))[-3:].mean()
            assert near[row, column] == pytest.approx(expected, abs=1e-5)


def make_alike_videos(count: int) -> dict[str, VideoDescriptor]:
    """Videos whose frames lie more or less near to one common direction."""
    rng = np.random.default_rng(0)
    videos = {}
    for number in range(count):
        frames = work(number, 0, 12) + 0.9 * rng.uniform() * work(99, 0, 12)
        frames /= np.linalg.norm(frames, axis=1, keepdims=True)
        videos[f"v{number:02}"] = VideoDescriptor(np.arange(12, dtype=np.float64), frames.astype(np.float32))
    return videos


def test_rates_rise_with_references_and_rest_on_pairs_of_two_families(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unrelated, "NEAR_SHARE", 0.5)
    videos = make_alike_videos(30) | {"empty": cut_out(video(1), 99, 100)}
    families = {name: name for name in videos} | {"v01": "v00"}
    tails = fit_rates(videos, families, 0.9, {}, nothing)

    assert (tails.videos, tails.pairs, tails.sampled) == (30, 30 * 29 // 2 - 1, 217)
    assert tails.missed == 0, "the near pairs are those that score most"
    small, middle, large = tails.rates
    assert small.references == 10**4
    assert large.expected == pytest.approx(small.expected * 1e4)
    assert small.low < small.expected < small.high
    assert tails.exponential.probability(0.9) == pytest.approx(middle.expected / 1e6)
    assert any("1e+06 references" in line for line in say_rates(tails, 0.9))

    # A pair that was scored before is not scored again.
    known = {("v02", "v03"): 0.99}
    monkeypatch.setattr(unrelated, "SAMPLE", 10**6)
    assert fit_rates(videos, families, 0.9, known, nothing).highest[0] == ("v02", "v03", 0.99)


def test_a_sample_of_what_is_not_near_tells_of_a_rule_that_sees_more(monkeypatch: pytest.MonkeyPatch) -> None:
    videos = make_alike_videos(30)
    families = {name: name for name in videos}
    known = {(one, other): 0.8 for one in families for other in families if "v25" < one < other}
    monkeypatch.setattr(unrelated, "NEAR_SHARE", 0.1)
    assert fit_rates(videos, families, 0.9, {}, nothing).missed == 0
    assert fit_rates(videos, families, 0.9, known, nothing).missed > 0


def test_a_threshold_below_the_tail_counts_as_its_begin() -> None:
    tail = Tail(0.2, 0.01, 0.05)
    (small, _, _) = rate(tail, [tail, tail], 0.1)
    assert (small.expected, small.low, small.high) == pytest.approx((100, 100, 100))


@pytest.mark.integration
def test_stored_descriptors_are_compared_as_the_library_compares(tmp_path: Path) -> None:
    original, copy = tmp_path / "original.mp4", tmp_path / "copy.mp4"
    write_clip(original, 1, duration_s=40.0, size=(160, 90), fps=5)
    apply_edit("trim", original, copy)
    folder, describer = DescriptorFolder(tmp_path / "stored"), Describer()
    describe_videos([original, copy], describer, folder, nothing)
    stamps = [path.stat().st_mtime_ns for path in folder.folder.iterdir()]
    describe_videos([original, copy], describer, folder, nothing)
    assert stamps == [path.stat().st_mtime_ns for path in folder.folder.iterdir()], "described once"

    for query, reference in ((copy, original), (original, copy)):
        stored = compare_stored(folder.read(query.stem)[0], folder.read(reference.stem)[0])
        live = compare(describe(query), describe(reference))
        assert live.is_copy
        assert stored.joined_score == pytest.approx(live.joined_score, abs=1e-3), "stored as float16"
        for mine, theirs in zip(stored.intervals, live.intervals, strict=True):
            assert mine.query_start_s == theirs.query_start_s
            assert mine.reference_start_s == theirs.reference_start_s
            assert mine.query_end_s == pytest.approx(theirs.query_end_s, abs=1), "the library knows where a file ends"


@pytest.mark.integration
def test_a_still_is_panned_and_one_colour_is_stored_without_frames(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    pictures = [tmp_path / "images" / f"{name}.webp" for name in ("photo", "plain")]
    write_clip(tmp_path / "clip.mp4", 3, duration_s=1.0)
    noise = np.kron(np.random.default_rng(1).integers(0, 255, (12, 16, 3), np.uint8), np.ones((14, 14, 1), np.uint8))
    PIL.Image.fromarray(noise).save(pictures[0])
    PIL.Image.new("RGB", (224, 168), (90, 90, 90)).save(pictures[1])
    folder = DescriptorFolder(tmp_path / "stored")
    describe_shots(pictures, Describer(), folder, nothing)
    photo, plain = (folder.read(f"images-{name}")[0] for name in ("photo", "plain"))
    assert (len(photo), len(plain)) == (10, 0)
    assert photo.frames[0] @ photo.frames[-1] < 0.99, "the camera moves"
