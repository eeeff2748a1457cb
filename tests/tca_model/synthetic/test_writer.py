import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tca_model.synthetic.writer import reproducible_options, write_video
from tca_model.types import Image


def flat(level: int, height: int = 48, width: int = 64) -> Image:
    return np.full((height, width, 3), level, np.uint8)


def read(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_images_come_back_in_order_and_in_colour(tmp_path: Path) -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    write_video(tmp_path / "a.mp4", (flat(0) + np.array(colour, np.uint8) for colour in colours), fps=10)
    for image, colour in zip(read(tmp_path / "a.mp4"), colours, strict=True):
        assert np.abs(image.mean(axis=(0, 1)) - colour).max() < 12


def test_the_file_states_its_codec_rate_and_length(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", (flat(100) for _ in range(30)), fps=30000 / 1001)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == Fraction(30000, 1001)
        assert stream.duration is not None
        assert stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(1.001, abs=1e-3)


def test_an_odd_side_loses_its_last_pixel(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [flat(100, 49, 65)], fps=10)
    assert read(tmp_path / "a.mp4")[0].shape == (48, 64, 3)


def test_a_higher_crf_gives_a_smaller_file(tmp_path: Path) -> None:
    grain = [np.random.default_rng(index).integers(0, 256, (48, 64, 3), np.uint8) for index in range(5)]
    write_video(tmp_path / "fine.mp4", grain, fps=10, crf=20)
    write_video(tmp_path / "coarse.mp4", grain, fps=10, crf=45)
    assert (tmp_path / "coarse.mp4").stat().st_size < (tmp_path / "fine.mp4").stat().st_size / 2


def test_one_image_is_in_memory_at_a_time(tmp_path: Path) -> None:
    written: list[weakref.ref[Image]] = []

    def images() -> Iterator[Image]:
        for _ in range(40):
            image = flat(50)
            written.append(weakref.ref(image))
            # the first one, kept for its size, the one being written, and this one
            assert sum(reference() is not None for reference in written) <= 3
            yield image

    write_video(tmp_path / "a.mp4", images(), fps=10)
    assert len(written) == 40


@pytest.mark.parametrize(
    ("images", "fps", "message"),
    [
        ([], 10, "no images"),
        ([flat(0), flat(0, 50)], 10, "image 1 is"),
        ([flat(0, 1, 1)], 10, "too small"),
        ([flat(0)], 0, "fps must be positive"),
        ([flat(0)], float("nan"), "fps must be positive"),
    ],
)
def test_a_video_that_cannot_be_written_leaves_no_file(
    tmp_path: Path, images: list[Image], fps: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "a.mp4", images, fps=fps)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_source_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, [flat(10)], fps=10)
    before = path.read_bytes()

    def broken() -> Iterator[Image]:
        yield flat(200)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_video(path, broken(), fps=10)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_images_give_the_same_file(tmp_path: Path) -> None:
    grain = [np.random.default_rng(index).integers(0, 256, (64, 96, 3), np.uint8) for index in range(30)]
    for name in "abcd":
        write_video(tmp_path / name, grain, fps=10)
    assert len({(tmp_path / name).read_bytes() for name in "abcd"}) == 1


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ("flags : fpu sse2 avx2 avx512f avx512bw", {"threads": "1", "x264-params": "asm=avx2"}),
        ("flags : fpu sse2 avx2", {"threads": "1"}),
        ("Features : asimd", {"threads": "1"}),
        ("", {"threads": "1"}),
    ],
)
def test_only_avx_512_is_turned_off(flags: str, options: dict[str, str]) -> None:
    assert reproducible_options(flags) == options
