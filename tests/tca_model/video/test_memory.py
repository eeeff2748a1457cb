"""No picture is kept after it was yielded, even if the garbage collector never runs."""

import gc
from pathlib import Path

import pytest
from av.video.frame import VideoFrame

from tca_model.errors import DecodeError
from tests.clips import drifting, steady, write_clip
from tests.tca_model.video.cases import sample


def count_frames() -> int:
    return sum(type(one) is VideoFrame for one in gc.get_objects())


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("rotation", [None, (90, False, False)])
def test_pictures_are_free_after_they_were_yielded(tmp_path: Path, rotation: tuple[float, bool, bool] | None) -> None:
    clip = write_clip(tmp_path / "a.mp4", steady(20, 1), images=drifting(1, 20, (64, 48)), rotation=rotation)
    before = count_frames()
    assert len(sample(clip, panels=True)) >= 20
    assert count_frames() == before


@pytest.mark.usefixtures("no_collector")
def test_a_damaged_file_leaves_no_picture(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.ts", steady(10, 5), options={"g": "5"})
    data = bytearray(clip.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    clip.write_bytes(data)
    before = count_frames()
    try:
        sample(clip)
    except DecodeError:
        pytest.fail("otherwise this tests nothing")
    assert count_frames() == before
