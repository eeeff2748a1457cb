"""The video reader: true times in every format, within limits of size, length and memory."""

import csv
import io
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import pytest

from tca_model.errors import DecodeError
from tca_model.types import Frame
from tca_model.video.clock import FrameClock
from tca_model.video.decode import DecodeLimits, sample_frames
from tests.clips import four_corners, steady, write_clip, write_parted_clip
from tests.tca_model.video.cases import Sampling, assert_pictures_belong, sample, times


@pytest.mark.parametrize(("every_s", "expected"), [(1, [0, 1, 2, 3]), (0.5, [n / 2 for n in range(8)]), (2, [0, 2])])
def test_times_are_true_at_any_rate(tmp_path: Path, every_s: float, expected: list[float]) -> None:
    frames = sample(write_clip(tmp_path / "a.mp4", steady(4, 20)), every_s=every_s)
    assert times(frames) == expected
    assert_pictures_belong(frames)


def test_panels_follow_their_frame_beginning_with_the_first(tmp_path: Path) -> None:
    clip = write_parted_clip(tmp_path / "a.mp4", seconds=6)
    views = sample(clip, panels=True)
    assert times(views) == [float(n) for n in range(6) for _ in range(3)]
    assert [view.image.shape[1] for view in views[:3]] == pytest.approx([320, 160, 160], abs=2)
    whole = sample(clip)
    for frame, view, (left, right) in zip(whole, views[::3], zip(views[1::3], views[2::3], strict=True), strict=True):
        assert np.array_equal(frame.image, view.image)
        cut = left.image.shape[1]
        assert np.array_equal(np.concatenate([left.image, right.image], axis=1), frame.image)
        assert cut == pytest.approx(160, abs=2)


def test_a_video_too_short_for_panels_yields_whole_frames(tmp_path: Path) -> None:
    assert times(sample(write_parted_clip(tmp_path / "a.mp4", seconds=3), panels=True)) == [0, 1, 2]


def test_a_still_is_not_held_back_for_its_panels(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", steady(9, 5), images=[four_corners()] * 45)
    with clip.open("rb") as file:
        frames = sample_frames(file, panels=True)
        assert next(frames).timestamp_s == 0
        assert [frame.timestamp_s for frame in frames] == [float(n) for n in range(1, 9)]


def test_a_third_and_a_tenth_of_a_second_lie_on_the_grid(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", steady(2, 30))
    assert times(sample(clip, every_s=0.1)) == pytest.approx([n / 10 for n in range(20)])
    assert times(sample(clip, every_s=1 / 3)) == pytest.approx([n / 3 for n in range(6)])


def test_variable_frame_rate_gives_the_first_frame_at_or_after_each_second(tmp_path: Path) -> None:
    shown = [0, 0.4, 0.9, 1.3, 1.4, 2.0, 2.7, 3.1, 6.5, 6.6, 7.0, 9.9]
    frames = sample(write_clip(tmp_path / "a.mp4", shown))
    assert times(frames) == pytest.approx([0, 1.3, 2.0, 3.1, 6.5, 7.0, 9.9])
    assert_pictures_belong(frames)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_time_starts_at_the_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = sample(write_clip(tmp_path / f"a{suffix}", steady(3, 25), start_s=100))
    assert times(frames) == pytest.approx([0, 1, 2])


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p10le"),
        ("a.mp4", "libx265", "yuv420p"),
        ("a.mkv", "ffv1", "gbrp16le"),
        ("a.mkv", "ffv1", "gray"),
        ("a.mov", "png", "rgba"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.flv", "flv", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
        ("a.ts", "libx264", "yuv422p"),
        ("a.mpg", "mpeg1video", "yuv420p"),
        ("a.vob", "mpeg2video", "yuv422p"),
        ("a.wmv", "wmv2", "yuv420p"),
        ("a.asf", "msmpeg4", "yuv420p"),
    ],
)
def test_any_codec_and_pixel_format_comes_out_as_rgb(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    fast = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    frames = sample(write_clip(tmp_path / name, steady(2.5, 25), codec=codec, pix_fmt=pix_fmt, options=fast))
    assert times(frames) == pytest.approx([0, 1, 2], abs=0.011)
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in frames)
    if pix_fmt != "rgb8":  # too few greys to distinguish times
        assert_pictures_belong(frames)


def test_reordered_frames_in_avi_keep_their_times(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.avi", steady(4, 25), codec="mpeg4", options={"bf": "2"})
    frames = sample(clip)
    assert times(frames) == pytest.approx([0, 1, 2, 3], abs=0.05)
    assert_pictures_belong(frames)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.mkv"])
def test_one_frame_is_enough(tmp_path: Path, name: str) -> None:
    codec, pix_fmt = ("gif", "rgb8") if name == "a.gif" else ("libx264", "yuv420p")
    assert times(sample(write_clip(tmp_path / name, [0], codec=codec, pix_fmt=pix_fmt))) == [0.0]


def test_skipping_unneeded_frames_changes_no_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "a.mp4", steady(6, 25), options={"bf": "3", "g": "50"})
    skipped = sample(clip, every_s=0.7)
    monkeypatch.setattr(FrameClock, "skip_if_early", lambda *_: False)
    whole = sample(clip, every_s=0.7)
    assert times(skipped) == times(whole)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(skipped, whole, strict=True))


def test_the_return_value_is_the_duration(tmp_path: Path) -> None:
    durations = []

    def exhaust(file: BinaryIO) -> Iterator[Frame]:
        durations.append((yield from sample_frames(file)))

    with write_clip(tmp_path / "a.mp4", steady(2.6, 25)).open("rb") as file:
        assert len(list(exhaust(file))) == 3
    assert durations == [pytest.approx(2.6, abs=0.05)]


def test_limits(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", steady(5, 25))
    for limits, reason in (
        (DecodeLimits(max_pixels=64 * 48 - 1), "64x48 pixels exceed the limit of 3071 pixels"),
        (DecodeLimits(max_bytes=100), "exceed the limit of 100 bytes"),
        (DecodeLimits(max_sampled_frames=3), "more than 3 sampled frames"),
        (DecodeLimits(max_duration_s=2.5), "longer than the limit of 2.5 s"),
    ):
        with pytest.raises(DecodeError, match=reason):
            sample(clip, limits=limits)
    assert len(sample(clip, limits=DecodeLimits(max_pixels=64 * 48, max_sampled_frames=5, max_duration_s=5))) == 5


def test_the_pixel_limit_holds_when_the_picture_grows(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "small.ts", steady(2, 25))
    large = write_clip(tmp_path / "large.ts", steady(2, 25), size=(640, 480))
    glued = io.BytesIO(small.read_bytes() + large.read_bytes())
    limited = list(sample_frames(glued, limits=DecodeLimits(max_pixels=64 * 48)))
    assert {frame.image.shape for frame in limited} == {(48, 64, 3)}
    shapes = [frame.image.shape for frame in sample_frames(glued)]
    assert shapes[0] == (48, 64, 3)
    assert shapes[-1] == (480, 640, 3)


@pytest.mark.parametrize("wrong", [{"max_bytes": 0}, {"max_pixels": -1}, {"max_duration_s": float("inf")}])
def test_limits_are_checked_at_birth(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DecodeLimits(**wrong)


@pytest.mark.parametrize("wrong", [{"every_s": 0}, {"every_s": float("nan")}, {"size": (0, 10)}])
def test_arguments_are_checked(wrong: Sampling) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        list(sample_frames(io.BytesIO(b"x"), **wrong))


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", steady(20, 10), size=(160, 120))
    with clip.open("rb") as file:
        frames = sample_frames(file, every_s=0.1)
        next(frames)
        tracemalloc.start()
        for _ in range(5):
            next(frames)
        early, _ = tracemalloc.get_traced_memory()
        count = sum(1 for _ in frames)
        late, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count > 180
    assert late - early < 3 * 160 * 120 * 3  # a few frames at most; the whole clip would be 194


def test_closing_early_closes_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "a.mp4", steady(3, 25))
    opened: list[Any] = []
    really_open = av.open

    def note_opened(*args: Any, **kwargs: Any) -> Any:
        opened.append(really_open(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(av, "open", note_opened)
    with clip.open("rb") as file:
        frames = sample_frames(file)
        next(frames)
        assert len(opened[0].streams) == 1
        frames.close()
        assert len(opened[0].streams) == 0  # PyAV drops the streams of a container when it closes it
        assert not file.closed


def test_torch_is_not_imported() -> None:
    code = "import sys, tca_model.video.decode, services.ingest.decode.child; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


@pytest.mark.integration
@pytest.mark.timeout(240)  # 800 frames of 1920x800 AV1 and VP9, on a busy core
def test_every_real_format_is_read_upright(real_videos: Path) -> None:
    folder = real_videos / "formats"
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        # 0.5 s, so that clips of one second have a second sample to be right about
        frames = sample(folder / row["clip"], every_s=0.5)
        width, height = map(int, row["orig_size"].split("x"))
        if row["rotation"] in ("90", "-90", "270"):
            width, height = height, width
        assert {frame.image.shape for frame in frames} == {(height, width, 3)}, row["clip"]
        slots = [int(time_s / 0.5) for time_s in times(frames)]
        assert slots == sorted(set(slots)), row["clip"]
        # The ogv stands still for more than a second, and has no frame to show for two slots.
        expected = max(1, round(float(row["orig_duration_s"]) * 2))
        assert abs(len(frames) - expected) <= 2, row["clip"]
        assert max(frame.image.std() for frame in frames) > 10, row["clip"]
