"""What a report shows: moments along the intervals, cells of the matrix, frames, and nothing unescaped."""

import base64
import io
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.cli.report import evidence as report_evidence
from services.cli.report.evidence import MOMENTS, Side, choose_moments, compare_views
from services.cli.report.matrix import Matrix, ticks, to_svg
from services.cli.report.page import sum_copied_s
from services.cli.report.pictures import Picture, Pictures, draw_matrix, nearest_frames, read_pictures
from services.contracts.events import CopiedInterval
from tca_model.types import Frame, VideoDescriptor
from tca_model.video.decode import DecodeLimits
from tests.clips import steady, time_in, write_clip
from tests.descriptors import cut, described, work
from tests.vectors import unit

PIXEL = Picture("data:image/png;base64,AAAA", 160, 90)


def interval(query_start_s: float, query_end_s: float, reference_start_s: float, speed: float = 1.0) -> CopiedInterval:
    return CopiedInterval(
        query_start_s=query_start_s,
        query_end_s=query_end_s,
        reference_start_s=reference_start_s,
        reference_end_s=reference_start_s + speed * (query_end_s - query_start_s),
        score=0.9,
    )


def side(frames: np.ndarray, times_s: np.ndarray | None = None) -> Side:
    times_s = np.arange(len(frames), dtype=np.float64) if times_s is None else times_s
    return Side(VideoDescriptor(times_s, frames), float(times_s[-1]) + 1)


def test_a_side_joins_all_segments_of_an_asset_also_empty_ones() -> None:
    segments = [*cut("a", work(1, 0, 40)), described("a", 2, work(1, 0, 0), start_s=40.0)]
    whole = Side.of(segments)
    np.testing.assert_array_equal(whole.descriptor.timestamps_s, np.arange(40))
    assert whole.duration_s == 41


def test_cells_hold_the_similarity_of_their_frames_if_they_have_any() -> None:
    query, reference = side(work(1, 0, 3)), side(work(1, 0, 5)[[0, 1, 3, 4]], np.array([0.0, 1, 3, 4]))
    found = compare_views(query, reference, step_s=1.0)
    assert found.shape == (3, 5)
    np.testing.assert_allclose(
        found[:, [0, 1, 3, 4]], query.descriptor.frames @ reference.descriptor.frames.T, atol=1e-6
    )
    assert np.isnan(found[:, 2]).all()


def test_the_most_similar_view_of_a_frame_counts() -> None:
    reference = side(work(1, 0, 2))
    query = side(np.concatenate([work(2, 0, 1), work(1, 0, 2)]), np.array([0.0, 0, 1]))
    assert compare_views(query, reference, step_s=1.0)[0, 0] == pytest.approx(1, abs=1e-6)
    first, _ = choose_moments(query, reference, [interval(0, 2, 0)], step_s=1.0)
    assert (first.query_s, first.reference_s, first.similarity) == pytest.approx((0, 0, 1), abs=1e-6)


def test_a_long_matrix_keeps_the_most_similar_frames_of_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_evidence, "CELLS", 20)
    monkeypatch.setattr(report_evidence, "BLOCK_FRAMES", 16)
    frames = unit(np.random.default_rng(0).standard_normal((53, 8), dtype=np.float32))
    found = compare_views(side(frames), side(frames), step_s=1.0)
    slow = np.full((20, 20), -1.0)
    for row, one in enumerate(frames):
        for column, other in enumerate(frames):
            cell = row * 20 // 53, column * 20 // 53
            slow[cell] = max(slow[cell], one @ other)
    np.testing.assert_allclose(found, slow, atol=1e-5)


def test_moments_are_spread_evenly_along_the_interval_on_both_sides() -> None:
    found = choose_moments(side(work(1, 20, 60)), side(work(1, 0, 64)), [interval(0, 40, 20)], step_s=1.0)
    assert len(found) == MOMENTS
    assert [moment.reference_s - moment.query_s for moment in found] == [20] * MOMENTS
    assert [moment.similarity for moment in found] == pytest.approx([1] * MOMENTS, abs=1e-6)
    assert {later.query_s - one.query_s for one, later in pairwise(found)} == {5}


def test_a_moment_pairs_a_frame_with_the_most_similar_one_of_the_other_side() -> None:
    found = choose_moments(
        side(work(1, 20, 60)), side(work(1, 0, 64)), [interval(0, 40, 21)], step_s=1.0
    )  # a second off
    assert [moment.reference_s - moment.query_s for moment in found] == [20] * MOMENTS


def test_a_faster_copy_moves_faster_through_the_reference() -> None:
    found = choose_moments(side(work(1, 0, 32)[::2]), side(work(1, 0, 32)), [interval(0, 16, 0, speed=2)], step_s=1.0)
    assert {moment.reference_s / max(moment.query_s, 1) for moment in found} == {2}


def test_longer_intervals_have_more_moments_and_each_has_at_least_one_if_there_are_enough() -> None:
    both = side(work(1, 0, 100))
    found = choose_moments(both, both, [interval(80, 82, 80), interval(0, 60, 0)], step_s=1.0)
    assert sum(moment.query_s >= 80 for moment in found) == 1
    assert len(found) == MOMENTS
    assert (
        len(choose_moments(both, both, [interval(10 * n, 10 * n + 5, 10 * n) for n in range(10)], step_s=1.0))
        == MOMENTS
    )
    assert choose_moments(both, both, [], step_s=1.0) == []


def test_there_is_no_moment_without_described_frames() -> None:
    dark = side(work(1, 0, 4), np.array([0.0, 1, 20, 21]))
    assert choose_moments(dark, dark, [interval(5, 15, 5)], step_s=1.0) == []


def test_each_moment_has_its_nearest_frame_and_no_more_frames_are_read() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    frames = (Frame(float(n), image) for n in range(10))
    found = [(moment, frame.timestamp_s) for moment, frame in nearest_frames(frames, [3.4, 0.0, 2.6, 2.5])]
    assert found == [(0.0, 0.0), (2.5, 3.0), (2.6, 3.0), (3.4, 3.0)]
    assert next(frames).timestamp_s == 5.0
    assert [frame.timestamp_s for _, frame in nearest_frames([Frame(0.0, image)], [7.0])] == [0.0]


def test_a_matrix_becomes_a_picture_of_its_cells() -> None:
    found = draw_matrix(np.array([[0, 1, np.nan], [-0.5, 0.5, 1]], np.float32))
    assert (found.width, found.height) == (3, 2)
    image = Image.open(io.BytesIO(base64.b64decode(found.uri.partition(",")[2]))).convert("RGBA")
    pixels = np.asarray(image)
    assert tuple(pixels[0, 0]) == tuple(pixels[1, 0]) == (68, 1, 84, 255)
    assert tuple(pixels[0, 1]) == (253, 231, 37, 255)
    assert pixels[0, 2, 3] == 0


def test_intervals_are_drawn_where_the_axes_say() -> None:
    svg = to_svg(Matrix(PIXEL, 10, 20), [interval(0, 10, 10)])
    [[x1, y1, x2, y2]] = re.findall(r'"copied" x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)"', svg)
    labels = dict(re.findall(r'<text x="([\d.]+)"[^>]*middle">([\d:]+)<', svg))
    assert labels[x1] == "0:10"
    assert float(x2) - float(x1) == pytest.approx(float(y2) - float(y1), abs=0.2)
    assert float(y1) < float(y2)


@pytest.mark.parametrize(("duration_s", "count"), [(3, 4), (20, 5), (95, 4), (3 * 3600, 7), (30 * 3600, 2)])
def test_axes_have_round_times(duration_s: float, count: int) -> None:
    found = ticks(duration_s, 290 / duration_s, 46)
    assert found[0] == 0
    assert len(found) == count


def test_copied_seconds_count_once() -> None:
    assert sum_copied_s([interval(0, 10, 0), interval(5, 12, 30), interval(20, 21, 0), interval(2, 3, 0)]) == 13
    assert sum_copied_s([]) == 0


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", steady(6, 5), size=(320, 240))


@pytest.mark.integration
def test_frames_are_read_at_their_moments_and_failures_reported(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    wanted = {str(clip): [0.0, 4.0], str(tmp_path / "none.mp4"): [0.0], str(tmp_path / "text.mp4"): [1.0]}
    found = dict(read_pictures(wanted, every_s=1.0, limits=DecodeLimits(), workers=2))
    pictures = found[str(clip)]
    assert pictures.problem is None
    assert {(one.width, one.height) for one in pictures.by_moment.values()} == {(160, 120)}
    for moment, one in pictures.by_moment.items():
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(one.uri.partition(",")[2]))).convert("RGB"))
        assert time_in(image) == pytest.approx(moment, abs=0.5)
    assert found[str(tmp_path / "none.mp4")] == Pictures({}, "No such file or directory")
    assert found[str(tmp_path / "text.mp4")].problem == "not a video, or of a format that is not accepted"
