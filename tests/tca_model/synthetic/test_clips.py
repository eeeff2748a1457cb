from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tca_model.synthetic.clips import clip_frames, write_clip
from tca_model.types import Image

SIZE = (96, 54)
FPS = 5.0


def frames(seed: int, duration_s: float = 8.0) -> list[Image]:
    return list(clip_frames(seed, duration_s, SIZE, FPS))


def thumbnails(images: Sequence[Image]) -> NDArray[np.float64]:
    """Six by six means of each image, centred, (T, 108): as a very crude descriptor."""
    small = np.stack([image.astype(float).reshape(6, 9, 6, 16, 3).mean(axis=(1, 3)).ravel() for image in images])
    centred: NDArray[np.float64] = small - small.mean(axis=1, keepdims=True)
    return centred


def test_a_clip_has_the_requested_size_and_length() -> None:
    images = frames(0, 2.0)
    assert len(images) == 10
    assert all(image.shape == (54, 96, 3) and image.dtype == np.uint8 for image in images)


def test_the_same_seed_gives_the_same_frames() -> None:
    for first, second in zip(frames(3), frames(3), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_longer_clip_starts_like_the_shorter_one() -> None:
    for short, long in zip(frames(4, 3.0), frames(4, 8.0), strict=False):
        np.testing.assert_array_equal(short, long)


def test_every_second_differs_from_every_other_one() -> None:
    for seed in range(6):
        seconds = thumbnails(frames(seed)[:: int(FPS)])
        distance = np.abs(seconds[:, None] - seconds[None]).mean(axis=2)
        assert distance[~np.eye(len(seconds), dtype=bool)].min() > 1.5, f"seed {seed} stands still"


def test_cuts_are_three_to_six_seconds_apart() -> None:
    images = thumbnails(frames(5, 20.0))
    change = np.abs(np.diff(images, axis=0)).mean(axis=1)
    cuts = np.flatnonzero(change > 4 * np.median(change)) + 1
    assert len(cuts) >= 3
    gaps_s = np.diff([0, *cuts]) / FPS
    assert gaps_s.min() > 2.5
    assert gaps_s.max() < 6.5


def test_clips_of_different_seeds_differ_more_than_neighbouring_frames() -> None:
    clips = [thumbnails(frames(seed, 4.0)) for seed in range(8)]
    within = max(np.median(np.abs(np.diff(clip, axis=0)).mean(axis=1)) for clip in clips)
    nearest = min(
        np.abs(one[:, None] - two[None]).mean(axis=2).min()
        for index, one in enumerate(clips)
        for two in clips[index + 1 :]
    )
    assert nearest > within


def test_clips_of_one_look_are_alike_and_share_no_picture() -> None:
    looks = [
        [thumbnails(list(clip_frames(10 * look + n, 6.0, SIZE, 1, look_seed=look))) for n in range(2)]
        for look in range(8)
    ]
    alike = [np.abs(one[:, None] - two[None]).mean(axis=2) for one, two in looks]
    apart = [np.abs(looks[n][0][:, None] - looks[n - 1][1][None]).mean(axis=2) for n in range(len(looks))]
    assert np.mean(alike) < 0.9 * np.mean(apart)
    assert np.min(alike) > 5


def test_the_camera_never_leaves_the_canvas() -> None:
    # PIL fills the outside with pure black; palettes have it too, but not in a whole corner of many clips.
    for size in ((96, 54), (54, 96), (72, 54)):
        black = [not image[-2:, -2:].any() for seed in range(12) for image in clip_frames(seed, 3.0, size, 2.0)]
        assert np.mean(black) < 0.05


def test_a_written_clip_is_readable(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", 1, duration_s=2.0, size=SIZE, fps=FPS)
    with av.open(str(tmp_path / "a.mp4")) as container:
        played = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
    for written, read in zip(frames(1, 2.0), played, strict=True):
        assert np.abs(thumbnails([written]) - thumbnails([read])).mean() < 6


@pytest.mark.parametrize(("duration_s", "size"), [(0.0, SIZE), (2.0, (0, 54))])
def test_a_clip_without_pictures_is_rejected(duration_s: float, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="nothing to show"):
        next(clip_frames(0, duration_s, size, FPS))
