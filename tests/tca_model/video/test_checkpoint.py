"""Sampling that goes on at a checkpoint gives exactly the frames that it would have given without the interruption."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame

from tca_model.types import Frame
from tca_model.video.checkpoint import Checkpoint
from tca_model.video.decode import Sampled, SampleOptions, sample_frames, sample_with_checkpoints
from tca_model.video.reader import decode_frames
from tests.clips import drifting, four_corners, steady, write_clip

SECONDS, FPS = 24, 4
EVERY_S = 5.0
OPTIONS = SampleOptions(size=(64, 48), remove_bars=True, panels=True)
GOP = {"g": "12"}  # a keyframe every 3 s


def write_film(path: Path, *, seed: int = 1, codec: str = "libx264", options: dict[str, str] | None = None) -> Path:
    """Two scenes side by side, and after 14 s one that fills the picture."""
    count = SECONDS * FPS
    left, right = drifting(seed, count, (160, 180)), drifting(seed + 1, count, (160, 180))
    whole = drifting(seed + 2, count, (320, 180))
    images = [np.concatenate((left[n], right[n]), axis=1) if n < 14 * FPS else whole[n] for n in range(count)]
    return write_clip(
        path, steady(SECONDS, FPS), images=images, size=(320, 180), codec=codec, options={**GOP, **(options or {})}
    )


def sample(
    path: Path, *, resume: Checkpoint | None = None, checkpoint_s: float = EVERY_S, options: SampleOptions = OPTIONS
) -> tuple[list[Frame | Checkpoint], Sampled]:
    """What is yielded, and what is known at the end."""
    yielded: list[Frame | Checkpoint] = []
    with path.open("rb") as file:
        sampling = sample_with_checkpoints(file, options, checkpoint_s=checkpoint_s, resume=resume)
        while True:
            try:
                yielded.append(next(sampling))
            except StopIteration as end:
                return yielded, end.value


def frames_in(yielded: list[Frame | Checkpoint]) -> list[Frame]:
    return [one for one in yielded if isinstance(one, Frame)]


def checkpoints_in(yielded: list[Frame | Checkpoint]) -> list[Checkpoint]:
    return [one for one in yielded if isinstance(one, Checkpoint)]


def assert_equal(frames: list[Frame], others: list[Frame]) -> None:
    assert [frame.timestamp_s for frame in frames] == [frame.timestamp_s for frame in others]
    for frame, other in zip(frames, others, strict=True):
        np.testing.assert_array_equal(frame.image, other.image)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "3"}),
        ("a.mp4", "libx264", {"bf": "3", "x264-params": "open-gop=1"}),
        ("a.mp4", "mpeg4", {}),
        ("a.mkv", "libx264", {"bf": "3"}),
        ("a.ts", "libx264", {"bf": "2"}),
        ("a.flv", "libx264", {}),
        ("a.wmv", "wmv2", {}),
        ("a.webm", "libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_the_frames_after_a_checkpoint_are_the_same(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = write_film(tmp_path / name, codec=codec, options=options)
    whole, end = sample(path)
    checkpoints = checkpoints_in(whole)
    assert [checkpoint.time_s for checkpoint in checkpoints] == [5, 10, 15, 20]
    assert len(frames_in(whole)) > SECONDS, "otherwise this tests no panels"
    for checkpoint in checkpoints:
        rest = whole[whole.index(checkpoint) + 1 :]
        again, same_end = sample(path, resume=Checkpoint.from_bytes(checkpoint.to_bytes()))
        assert_equal(frames_in(again), frames_in(rest))
        assert same_end == end
        later = [other.to_bytes() for other in checkpoints_in(rest)]
        assert [other.to_bytes() for other in checkpoints_in(again)] == later


def test_checkpoints_change_no_frame(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4")
    with path.open("rb") as file:
        frames = list(sample_frames(file, size=OPTIONS.size, remove_bars=True, panels=True))
    assert_equal(frames_in(sample(path)[0]), frames)
    assert checkpoints_in(sample(path, checkpoint_s=math.inf)[0]) == []


def test_only_a_little_is_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "a.mp4")
    *_, last = checkpoints_in(sample(path)[0])
    shown: list[float] = []

    def note_frames(*arguments: Any) -> Iterator[VideoFrame]:
        for frame in decode_frames(*arguments):
            shown.append(frame.time)
            yield frame

    monkeypatch.setattr("tca_model.video.decode.decode_frames", note_frames)
    sample(path, resume=last)
    assert last.time_s == 20
    assert 17 <= min(shown) <= 20, "the keyframe before the checkpoint"


def test_another_picture_at_the_checkpoint_is_not_taken_for_it(tmp_path: Path) -> None:
    *_, checkpoint = checkpoints_in(sample(write_film(tmp_path / "a.mp4", seed=1))[0])
    other = write_film(tmp_path / "b.mp4", seed=7)
    assert_equal(frames_in(sample(other, resume=checkpoint)[0]), frames_in(sample(other)[0]))


@pytest.mark.parametrize("seconds", [3, 0.2])
def test_a_file_that_ends_before_the_checkpoint_is_sampled_from_its_start(tmp_path: Path, seconds: float) -> None:
    *_, checkpoint = checkpoints_in(sample(write_film(tmp_path / "a.mp4"))[0])
    short = write_clip(tmp_path / "b.mp4", steady(seconds, 10))
    assert_equal(frames_in(sample(short, resume=checkpoint)[0]), frames_in(sample(short)[0]))


def test_a_file_without_times_of_its_pictures_has_no_checkpoints(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.avi", codec="mpeg4")
    assert checkpoints_in(sample(path)[0]) == []


def test_there_are_no_checkpoints_once_times_have_started_again(tmp_path: Path) -> None:
    part = write_film(tmp_path / "a.ts").read_bytes()
    path = tmp_path / "twice.ts"
    path.write_bytes(part + part)
    yielded, end = sample(path)
    assert end.duration_s > 1.5 * SECONDS
    assert all(checkpoint.time_s < SECONDS for checkpoint in checkpoints_in(yielded))
    assert len(checkpoints_in(yielded)) == 4


def test_a_checkpoint_waits_for_pictures_that_are_held_back(tmp_path: Path) -> None:
    """A still has too few distinct frames for panels; its frames come four at a time."""
    still = write_clip(tmp_path / "a.mp4", steady(12, 2), images=[four_corners()] * 24, options=GOP)
    whole, _ = sample(still, checkpoint_s=1)
    assert [checkpoint.time_s for checkpoint in checkpoints_in(whole)] == [4, 8]
    for checkpoint in checkpoints_in(whole):
        rest = whole[whole.index(checkpoint) + 1 :]
        assert_equal(frames_in(sample(still, resume=checkpoint)[0]), frames_in(rest))


def test_the_limit_of_frames_counts_those_before_the_checkpoint(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4")
    first, *_ = checkpoints_in(sample(path)[0])
    assert first.sampled == 5


@pytest.mark.parametrize("panels", [True, False])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, panels: bool) -> None:
    options = SampleOptions(size=(64, 48), panels=panels)
    checkpoint, *_ = checkpoints_in(sample(write_film(tmp_path / "a.mp4"), options=options)[0])
    value = checkpoint.to_bytes()
    assert Checkpoint.from_bytes(value).to_bytes() == value
    for place in range(0, len(value), max(1, len(value) // 200)):
        damaged = bytearray(value)
        damaged[place] ^= 0x10
        with pytest.raises(ValueError):  # noqa: PT011 - any of them
            Checkpoint.from_bytes(bytes(damaged))
    for wrong in (b"", value[:7], value[:-1], b"x" + value):
        with pytest.raises(ValueError):  # noqa: PT011 - any of them
            Checkpoint.from_bytes(wrong)
