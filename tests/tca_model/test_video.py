"""The video reader: true times, upright pictures, and words instead of crashes for whatever else is sent."""

import csv
import io
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import BinaryIO

import av
import numpy as np
import pytest

from tca_model.errors import DecodeError
from tca_model.types import Frame
from tca_model.video import DecodeLimits, FrameClock, sample_frames
from tests.clips import corners_in, four_corners, steady, time_in, write_clip, write_sound

BRIGHTNESS_TOLERANCE_S = 0.45


def sample(path: Path, **arguments: object) -> list[Frame]:
    with path.open("rb") as file:
        return list(sample_frames(file, **arguments))


def times(frames: list[Frame]) -> list[float]:
    return [frame.timestamp_s for frame in frames]


def assert_pictures_belong(frames: list[Frame]) -> None:
    for frame in frames:
        assert time_in(frame.image) == pytest.approx(frame.timestamp_s, abs=BRIGHTNESS_TOLERANCE_S)


@pytest.mark.parametrize(("every_s", "expected"), [(1, [0, 1, 2, 3]), (0.5, [n / 2 for n in range(8)]), (2, [0, 2])])
def test_times_are_true_at_any_rate(tmp_path: Path, every_s: float, expected: list[float]) -> None:
    frames = sample(write_clip(tmp_path / "a.mp4", steady(4, 20)), every_s=every_s)
    assert times(frames) == expected
    assert_pictures_belong(frames)


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
    ],
)
def test_any_codec_and_pixel_format_comes_out_as_rgb(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    fast = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    frames = sample(write_clip(tmp_path / name, steady(2.5, 25), codec=codec, pix_fmt=pix_fmt, options=fast))
    assert times(frames) == pytest.approx([0, 1, 2], abs=0.011)
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in frames)
    if pix_fmt != "rgb8":  # too few greys to tell times apart
        assert_pictures_belong(frames)


def test_reordered_frames_in_avi_keep_their_times(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.avi", steady(4, 25), codec="mpeg4", options={"bf": "2"})
    frames = sample(clip)
    assert times(frames) == pytest.approx([0, 1, 2, 3], abs=0.05)
    assert_pictures_belong(frames)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.mkv"])
def test_one_frame_is_enough(tmp_path: Path, name: str) -> None:
    gif = {"codec": "gif", "pix_fmt": "rgb8"} if name == "a.gif" else {}
    assert times(sample(write_clip(tmp_path / name, [0], **gif))) == [0.0]


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


def test_skipping_unneeded_frames_changes_no_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "a.mp4", steady(6, 25), options={"bf": "3", "g": "50"})
    skipped = sample(clip, every_s=0.7)
    monkeypatch.setattr(FrameClock, "skip", lambda *_: False)
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


class TestFrameClock:
    clock = staticmethod(lambda: FrameClock(Fraction(1, 1000), Fraction(40, 1000)))

    def ticks(self, stamps: list[int | None], duration: int = 40) -> list[float]:
        clock = self.clock()
        return [float(clock.tick(stamp, duration)) for stamp in stamps]

    def test_a_frame_without_a_stamp_follows_the_one_before(self) -> None:
        assert self.ticks([500, None, None, 620]) == [0, 0.04, 0.08, 0.12]
        assert self.ticks([None, None, 900, 940]) == [0, 0.04, 0.08, 0.12]
        assert self.ticks([None, None], duration=0) == [0, 0.04]

    def test_recordings_glued_together_run_on(self) -> None:
        assert self.ticks([5000, 7000, 0, 1000]) == pytest.approx([0, 2, 2.04, 3.04])

    def test_an_absurd_jump_is_damage(self) -> None:
        assert self.ticks([0, 40, 2**40, 2**40 + 40]) == pytest.approx([0, 0.04, 0.08, 0.12])

    def test_a_long_still_is_no_damage(self) -> None:
        assert self.ticks([0, 600_000]) == [0, 600]

    def test_a_stamp_that_slips_back_a_little_stays_true(self) -> None:
        assert self.ticks([0, 400, 360, 440]) == [0, 0.4, 0.36, 0.44]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"hello", "not a video"),
        (bytes(np.random.default_rng(0).integers(0, 256, 50_000, np.uint8)), "not a video"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a video"),
    ],
)
def test_what_is_no_video_is_told_so(content: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        list(sample_frames(io.BytesIO(content)))


def test_audio_only(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="audio only"):
        sample(write_sound(tmp_path / "a.m4a"))


def cut(path: Path, part: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    return path


def test_an_mp4_without_its_index_is_truncated(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="truncated"):
        sample(cut(write_clip(tmp_path / "a.mp4", steady(3, 25)), 0.6))


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4"])
def test_a_truncated_stream_gives_the_frames_that_are_there(tmp_path: Path, name: str) -> None:
    faststart = {"movflags": "faststart"} if name == "a.mp4" else {}
    clip = write_clip(tmp_path / name, steady(10, 25), options={"g": "10"}, container_options=faststart)
    frames = sample(cut(clip, 0.6))
    assert 2 <= len(frames) < 10
    assert times(frames) == pytest.approx([float(n) for n in range(len(frames))])
    assert_pictures_belong(frames)


def test_damage_in_the_middle_does_not_lose_the_rest(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (250, 48, 64, 3), np.uint8)
    clip = write_clip(tmp_path / "a.mp4", steady(10, 25), images=noise, options={"g": "10"})
    data = bytearray(clip.read_bytes())
    middle = slice(len(data) // 3, len(data) // 3 + 20_000)
    data[middle] = bytes(20_000)
    frames = sample_frames(io.BytesIO(bytes(data)))
    assert times(list(frames))[-1] == 9.0


@pytest.fixture
def requests() -> Iterator[list[str]]:
    """What is asked of a local web server, whose address is the first item."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    seen.append(f"http://127.0.0.1:{server.server_port}/a.ts")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("kind", ["hls", "concat", "dash", "sdp"])
@pytest.mark.parametrize("target", ["file", "http"])
def test_a_playlist_opens_nothing(tmp_path: Path, requests: list[str], kind: str, target: str) -> None:
    local = write_clip(tmp_path / "secret.ts", steady(1, 25))
    url = requests[0] if target == "http" else str(local)
    text = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{url}'\n",
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}</BaseURL></MPD>',
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\na=control:{url}\nm=video 0 RTP/AVP 96\n",
    }[kind]
    playlist = tmp_path / "a.mp4"
    playlist.write_text(text)
    with pytest.raises(DecodeError, match="not a video"):
        sample(playlist)
    assert len(requests) == 1


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
def test_limits_are_checked_at_birth(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DecodeLimits(**wrong)


@pytest.mark.parametrize("wrong", [{"every_s": 0}, {"every_s": float("nan")}, {"size": (0, 10)}])
def test_arguments_are_checked(wrong: dict[str, object]) -> None:
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
    opened = []
    really_open = av.open
    monkeypatch.setattr(av, "open", lambda *args, **kwargs: opened.append(really_open(*args, **kwargs)) or opened[-1])
    with clip.open("rb") as file:
        frames = sample_frames(file)
        next(frames)
        assert len(opened[0].streams) == 1
        frames.close()
        assert len(opened[0].streams) == 0  # PyAV drops the streams of a container when it closes it
        assert not file.closed


def test_an_error_of_the_file_itself_is_not_the_videos_fault(tmp_path: Path) -> None:
    def fail(_: int) -> bytes:
        raise OSError("disk on fire")

    file = write_clip(tmp_path / "a.mp4", [0]).open("rb")
    first = iter([file.read(8)])
    broken = SimpleNamespace(read=lambda n: next(first, None) or fail(n), seek=file.seek, tell=file.tell)
    with file, pytest.raises(OSError, match="disk on fire"):
        list(sample_frames(broken))


def test_torch_is_not_imported() -> None:
    code = "import sys, tca_model.video, services.ingest.decode_child; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
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
