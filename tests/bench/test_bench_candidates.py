"""Queries with known answers, and what is counted of them: on made descriptors, in an index in memory."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

from bench import candidates as bench
from bench.candidate_cases import (
    HOST_S,
    LECTURE_COSINE,
    Query,
    iter_inserted,
    iter_strangers,
    make_lecture,
    segments_of,
)
from bench.candidate_figures import STAGES, Sought, build_cost_table, recalls, table
from services.backends.memory.index import MemoryIndex
from services.contracts.events import Role
from tca_model.evaluation.benchmark import Benchmark, Clip, Copy
from tca_model.types import FloatArray, Match, VideoDescriptor

DIMENSION = 256
ORIGINALS = 6
LENGTH_S = 40


def frames(seed: int, count: int = LENGTH_S) -> FloatArray:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def video(rows: FloatArray) -> VideoDescriptor:
    return VideoDescriptor(np.arange(len(rows), dtype=np.float64), rows)


def query(*matches: tuple[float, float, float, float], length_s: int = 64) -> Query:
    return Query("q", "g", video(frames(0, length_s)), "original", tuple(Match(*one, 1.0) for one in matches))


def made(folder: Path, edits: Sequence[str] = ("blur", "trim")) -> tuple[Benchmark, dict[str, VideoDescriptor]]:
    """A benchmark whose copies are exact: blur of everything, trim of the seconds 10 to 30."""
    originals = [Clip(Path(f"/original{n}.mp4"), f"family{n}") for n in range(ORIGINALS)]
    distractors = [Clip(Path(f"/stranger{n}.mp4"), f"other{n}") for n in range(3)]
    videos = {clip.path.stem: video(frames(n)) for n, clip in enumerate((*originals, *distractors))}
    copies = []
    for edit in edits:
        for original in originals:
            copy = Copy(folder / f"{original.path.stem}-{edit}.mp4", edit, original, distractors[0], 0)
            start, end = (10, 30) if edit == "trim" else (0, LENGTH_S)
            intervals = [[0, end - start, start, end]]
            copy.truth_path.write_text(json.dumps({"duration_s": end - start, "intervals_s": intervals}))
            videos[copy.path.stem] = video(videos[original.path.stem].frames[start:end])
            copies.append(copy)
    return Benchmark(tuple(copies), tuple(distractors), tuple(originals)), videos


def test_wanted_are_the_segments_that_share_enough_to_be_aligned() -> None:
    assert query((0, 20, 10, 30)).expected_pairs() == {(0, 0)}
    assert query((30, 50, 0, 20)).expected_pairs() == {(1, 0)}, "two frames before the border are too few"
    assert query((20, 40, 20, 40)).expected_pairs() == {(0, 0), (1, 1)}
    assert query((10, 30, 20, 40)).expected_pairs() == {(0, 0), (0, 1)}
    assert query((0, 32, 0, 64)).expected_pairs() == {(0, 0), (0, 1)}, "twice as fast"
    assert query((0, 5, 32, 37), (40, 45, 0, 5)).expected_pairs() == {(0, 1), (1, 0)}
    assert query((5, 7, 5, 7)).expected_pairs() == {(0, 0)}, "of a copy that short, what there is"


def test_a_video_is_cut_and_described_as_ingest_does() -> None:
    first, second = segments_of("a", video(frames(0)), Role.REFERENCE)
    assert [one.row.segment_id for one in (first, second)] == ["a:0", "a:1"]
    assert [one.row.frame_count for one in (first, second)] == [32, 8]
    assert first.row.role is Role.REFERENCE
    mean = frames(0)[:32].mean(axis=0)
    np.testing.assert_allclose(first.vector, mean / np.linalg.norm(mean), rtol=1e-5)


def test_inserted_pieces_lie_where_the_query_says(tmp_path: Path) -> None:
    benchmark, videos = made(tmp_path)
    queries = list(iter_inserted(benchmark, videos))
    assert {one.group for one in queries} == {"4 s", "8 s", "16 s", "32 s"}
    assert len(queries) == 4 * ORIGINALS, "trim changes times, and takes no part"
    places = set()
    for one in queries:
        [match] = one.matches
        at, until, start, end = (
            round(x) for x in (match.query_start_s, match.query_end_s, match.reference_start_s, match.reference_end_s)
        )
        assert len(one.descriptor) == HOST_S
        assert f"{until - at} s" == f"{end - start} s" == one.group
        np.testing.assert_array_equal(one.descriptor.frames[at:until], videos[one.original].frames[start:end])
        around = np.concatenate([one.descriptor.frames[:at], one.descriptor.frames[until:]])
        assert (around @ videos[one.original].frames.T).max() < 0.5
        places.add((at, start))
    assert len(places) > len(queries) / 2


def test_a_lecture_shows_nearly_the_same_all_the_time() -> None:
    still = frames(0, 1)[0]
    shown = make_lecture(still, seed=1).frames
    assert len(shown) == 600
    similarity = shown[:50] @ shown[50:].T
    assert similarity.mean() == pytest.approx(LECTURE_COSINE, abs=0.005)
    assert (shown @ still).min() > LECTURE_COSINE


def test_strangers_are_unlike_everything_and_like_videos_among_themselves() -> None:
    real = video(np.repeat(frames(0, 20), 2, axis=0))
    made_up = list(iter_strangers([real], 100, seed=0))
    assert len(made_up) == 3
    for one in made_up:
        np.testing.assert_allclose(one.frames @ one.frames.T, real.frames @ real.frames.T, atol=1e-5)
        assert (one.frames @ real.frames.T).max() < 0.5
    assert (made_up[0].frames @ made_up[1].frames.T).max() < 0.5


def test_what_is_found_is_counted_by_stage_and_group() -> None:
    def sought(group: str, crowd: str, *, is_chamfers: bool, assets: bool, segments: int) -> Sought:
        return Sought(group, crowd, is_chamfers, 2, dict.fromkeys(STAGES, assets), dict.fromkeys(STAGES, segments))

    counted = recalls(
        [
            sought("blur", "viral", is_chamfers=True, assets=True, segments=2),
            sought("blur", "", is_chamfers=False, assets=False, segments=0),
            sought("4 s", "", is_chamfers=False, assets=True, segments=1),
        ]
    )
    assert list(counted) == ["all", "  viral", "blur", "4 s"]
    assert (counted["all"].pairs, counted["all"].chamfers) == (3, 1)
    for stage in STAGES:
        assert counted["all"].of_chamfers[stage] == 1
        assert counted["all"].of_all[stage] == pytest.approx(2 / 3)
        assert counted["all"].of_segments[stage] == pytest.approx(3 / 6)
        assert counted["4 s"].of_chamfers[stage] is None


def test_copies_are_found_in_a_crowded_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, fewer in (("TIMED", 1), ("LECTURES", 1), ("GROWTH", 2)):
        monkeypatch.setattr(bench, name, fewer)
    benchmark, videos = made(tmp_path)
    index = MemoryIndex(model_version="v1")
    recall, costs = bench.measure(benchmark, videos, [], index, Progress(disable=True))

    stored = {row.asset_id: row.role for row in index.read_rows("default")}
    assert {"viral-blur", "viral-trim", "viral-again", "lecture-original1", "stranger0"} <= set(stored)
    assert {asset for asset, role in stored.items() if role is Role.REFERENCE} == {"original0"}
    assert recall["all"].pairs == 2 * ORIGINALS + 4 * ORIGINALS
    assert recall["all"].chamfers == 2 * ORIGINALS, "four to 32 s of 40, in 64, are less like it than a whole copy"
    assert recall["all"].of_chamfers["default"] == recall["all"].of_segments["default"] == 1
    assert recall["  shown by a lecture"].pairs == 6
    assert recall["4 s"].of_segments["frame vectors"] == 1
    small, large = costs
    assert large.frames >= 2 * small.frames
    assert all(one.exhaustive_ms > 0 and min(one.stages_ms.values()) > 0 and one.candidates >= 1 for one in costs)

    shown = Console(width=200, record=True, file=io.StringIO())
    shown.print(table(recall))
    shown.print(build_cost_table(costs))
    text = shown.export_text()
    assert "1.000  1.000  1.000" in text
    assert f"{large.frames:,} frames" in text


def test_a_bench_without_the_clips_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["candidates", "--videos", str(tmp_path), "--work", str(tmp_path)])
    with pytest.raises(SystemExit, match="no manifest"):
        bench.main()
