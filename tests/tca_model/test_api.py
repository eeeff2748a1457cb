"""`describe` returns what the service stores, and `compare` what the matcher decides."""

import math
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tca_model
from services.cli.compare import QUERY, REFERENCE, compare_files
from services.contracts.events import Role, SegmentUploaded, now
from services.embedded import Embedded
from services.runtime.settings import Settings
from tca_model import BundleError, DecodeError, DescribedVideo, compare, describe
from tca_model.api import Describer
from tca_model.bundle import Bundle, load_bundle, save_bundle
from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import apply_edit
from tca_model.video.decode import sample_frames

pytestmark = pytest.mark.integration  # loads a backbone

SIZE = (160, 90)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    paths = {name: folder / f"{name}.mp4" for name in ("original", "unrelated", "copy")}
    for seed, name in enumerate(("original", "unrelated")):
        write_clip(paths[name], seed, duration_s=39.4, size=SIZE, fps=5)
    apply_edit("crop", paths["original"], paths["copy"])
    return paths


@pytest.fixture(scope="module")
def videos(clips: dict[str, Path]) -> dict[str, DescribedVideo]:
    return {name: describe(path) for name, path in clips.items()}


def test_a_video_is_described_as_the_service_stores_it(
    clips: dict[str, Path], videos: dict[str, DescribedVideo]
) -> None:
    bundle = load_bundle()
    with Embedded(bundle, Settings()) as embedded:
        upload = SegmentUploaded(
            asset_id="a", tenant="t", uri=str(clips["original"]), role=Role.UPLOAD, uploaded_at=now()
        )
        embedded.publish([upload])
        for _ in embedded.describe():
            pass
        stored = embedded.read_segments("t", "a")
    video = videos["original"]
    assert [(one.start_s, one.end_s) for one in video.segments] == [(one.row.start_s, one.row.end_s) for one in stored]
    assert len(stored) == 2
    for mine, theirs in zip(video.segments, stored, strict=True):
        np.testing.assert_array_equal(mine.descriptor.timestamps_s, theirs.descriptor.timestamps_s)
        np.testing.assert_allclose(mine.descriptor.frames, theirs.descriptor.frames, atol=1e-3)
        np.testing.assert_allclose(mine.vector, theirs.vector, atol=1e-3)


def test_frames_are_described_alike_from_a_file_and_from_pictures(
    clips: dict[str, Path], videos: dict[str, DescribedVideo]
) -> None:
    describer = Describer(panels=False)
    described = describer.describe_frames(clips["original"])
    np.testing.assert_array_equal(described.timestamps_s, np.unique(videos["original"].descriptor.timestamps_s))

    with clips["original"].open("rb") as file:
        frames = list(sample_frames(file, size=describer.extractor.input_size, remove_bars=True))
    times_s = np.array([frame.timestamp_s for frame in frames])
    edited = describer.describe_images(times_s, np.stack([frame.image for frame in frames]))
    np.testing.assert_array_equal(edited.timestamps_s, described.timestamps_s)
    np.testing.assert_allclose(edited.frames, described.frames, atol=1e-3)

    still = np.repeat(frames[0].image[None], 10, axis=0)
    assert len(describer.describe_images(np.arange(10, dtype=np.float64), still)) == 0


def test_a_copy_is_found_with_its_interval(videos: dict[str, DescribedVideo]) -> None:
    result = compare(videos["copy"], videos["original"])
    assert result.is_copy
    assert result.probability is not None
    assert result.probability > 0.9
    assert result.joined_score > 0.5
    [copied] = result.intervals
    assert abs(copied.query_start_s - copied.reference_start_s) < 2
    assert copied.query_end_s - copied.query_start_s > 30


@pytest.mark.parametrize("query", ["copy", "unrelated"])
def test_a_pair_is_compared_as_by_the_matcher(
    clips: dict[str, Path], videos: dict[str, DescribedVideo], query: str
) -> None:
    alert = compare_files({QUERY: clips[query], REFERENCE: clips["original"]}, load_bundle(), Settings()).alert
    result = compare(videos[query], videos["original"])
    assert result.joined_score == pytest.approx(alert.joined_score, abs=2e-3)
    assert result.probability == pytest.approx(alert.score, abs=2e-3)
    bounds = [
        (one.query_start_s, one.query_end_s, one.reference_start_s, one.reference_end_s) for one in alert.intervals
    ]
    assert [astuple(match)[:4] for match in result.intervals] == bounds


def test_unrelated_videos_are_no_copies(videos: dict[str, DescribedVideo]) -> None:
    result = compare(videos["unrelated"], videos["original"])
    assert not result.is_copy
    assert result.probability is not None
    assert result.probability < 0.5


def test_videos_of_different_models_are_refused(videos: dict[str, DescribedVideo]) -> None:
    video = videos["original"]
    with pytest.raises(ValueError, match="different models: other"):
        compare(replace(video, model_version="other"), video)


def test_a_video_that_shows_nothing_is_refused_by_side(videos: dict[str, DescribedVideo]) -> None:
    video = videos["original"]
    empty = replace(video, segments=tuple(_without_frames(segment) for segment in video.segments))
    with pytest.raises(ValueError, match="the query cannot be compared: it shows nothing"):
        compare(empty, video)
    with pytest.raises(ValueError, match="the reference cannot be compared: it shows nothing"):
        compare(video, empty)


def _without_frames(segment: tca_model.api.Segment) -> tca_model.api.Segment:
    descriptor = segment.descriptor
    return replace(segment, descriptor=type(descriptor)(descriptor.timestamps_s[:0], descriptor.frames[:0]))


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(DecodeError, match=r"text\.mp4: not a video"):
        describe(path)
    with pytest.raises(BundleError, match="no bundle 'defualt'"):
        describe(path, "defualt")


def test_the_length_of_segments_can_be_chosen(clips: dict[str, Path]) -> None:
    video = Describer(segment_s=10)(clips["original"])
    assert [one.start_s for one in video.segments] == [0, 10, 20, 30]
    assert video.duration_s == pytest.approx(39.4, abs=0.3)
    [whole] = Describer(segment_s=math.inf)(clips["original"]).segments
    assert (whole.start_s, whole.end_s) == (0, video.duration_s)


@pytest.mark.parametrize("segment_s", [0.0, -1.0, math.nan, -math.inf])
def test_a_length_of_segments_that_is_not_positive_is_refused(segment_s: float) -> None:
    with pytest.raises(ValueError, match=f"segment_s must be positive, got {segment_s}"):
        Describer(segment_s=segment_s)


def test_paths_are_not_compared(videos: dict[str, DescribedVideo]) -> None:
    path: Any = "a.mp4"
    with pytest.raises(TypeError, match=r"the query is a str, not a DescribedVideo: call describe\(path\) first"):
        compare(path, path)
    with pytest.raises(TypeError, match="the reference is a str"):
        compare(videos["original"], path)


def test_what_is_described_is_shown_in_a_line(videos: dict[str, DescribedVideo]) -> None:
    video = videos["original"]
    assert repr(video) == (
        f"DescribedVideo({video.duration_s:.1f} s, 2 segments, {len(video.descriptor)} frames, "
        f"model {video.model_version})"
    )
    first = video.segments[0]
    assert repr(first) == f"Segment(0.0-32.0 s, {len(first.descriptor)} frames)"
    assert "1 segment, " in repr(replace(video, segments=(first,)))


def test_a_replaced_bundle_is_loaded_again(clips: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    bundle = load_bundle("bootstrap")
    save_bundle(bundle, folder)
    before = describe(clips["original"], str(folder))
    assert before.calibration.alert_threshold != 0.25
    calibration = bundle.manifest.calibration.model_copy(update={"alert_threshold": 0.25})
    save_bundle(Bundle(bundle.manifest.model_copy(update={"calibration": calibration}), bundle.tensors), folder)
    assert describe(clips["original"], str(folder)).calibration.alert_threshold == 0.25


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'descirbe'"):
        tca_model.descirbe  # noqa: B018


def test_the_package_lists_its_public_names_only() -> None:
    assert {name for name in dir(tca_model) if not name.startswith("__")} == set(tca_model.__all__)
    assert all(hasattr(tca_model, name) for name in tca_model.__all__)
