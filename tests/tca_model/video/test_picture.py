"""The pictures that the video reader gives: upright, of the size that was asked for, and of the film."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.clips import corners_in, four_corners, write_clip
from tests.tca_model.video.cases import sample


def test_size_squashes_and_none_keeps(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [0], images=[four_corners()])
    for size, shape in (((33, 17), (17, 33, 3)), (None, (48, 64, 3))):
        [frame] = sample(clip, size=size)
        assert frame.image.shape == shape
        assert corners_in(frame.image) == [40, 90, 140, 190]


def test_shrinking_does_not_alias(tmp_path: Path) -> None:
    checkers = np.repeat(((np.indices((480, 640)).sum(0) % 2) * 255)[..., None], 3, axis=2).astype(np.uint8)
    clip = write_clip(tmp_path / "a.mkv", [0], images=[checkers], codec="ffv1", size=(640, 480))
    [frame] = sample(clip, size=(60, 60))
    assert frame.image.std() < 2


@pytest.mark.parametrize("size", [None, (64, 64), (20, 30)])
@pytest.mark.parametrize(
    ("degrees", "hflip", "vflip", "expected"),
    [
        (0, False, False, [40, 90, 140, 190]),
        (90, False, False, [90, 190, 40, 140]),  # counterclockwise
        (180, False, False, [190, 140, 90, 40]),
        (270, False, False, [140, 40, 190, 90]),
        (0, True, False, [90, 40, 190, 140]),
        (0, False, True, [140, 190, 40, 90]),
        (90, True, False, [190, 90, 140, 40]),  # mirrored after the turn
        (90, False, True, [40, 140, 90, 190]),
    ],
)
def test_pictures_come_out_upright(
    tmp_path: Path, degrees: float, hflip: bool, vflip: bool, expected: list[int], size: tuple[int, int] | None
) -> None:
    clip = write_clip(
        tmp_path / "a.mp4", [0], images=[four_corners((96, 48))], size=(96, 48), rotation=(degrees, hflip, vflip)
    )
    [frame] = sample(clip, size=size)
    width, height = size or ((48, 96) if degrees in (90, 270) else (96, 48))
    assert frame.image.shape == (height, width, 3)
    assert corners_in(frame.image) == expected


def test_cover_pictures_are_not_the_film(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        film = container.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        blank = av.VideoFrame.from_ndarray(np.zeros((480, 640, 3), np.uint8), "rgb24").reformat(format="yuvj420p")
        container.mux(cover.encode(blank))
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24").reformat(format="yuv420p")
            container.mux(film.encode(frame))
        container.mux(film.encode())
    assert sample(path)[0].image.shape == (48, 64, 3)
