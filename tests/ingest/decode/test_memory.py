"""A child keeps nothing of what it decoded, and a file that fills it harms no file after it."""

import weakref
from collections.abc import Generator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from services.ingest.decode import child as decode_child
from services.ingest.decode.events import DecodeEvent, DecodeFailed, DecodeFinished, FramesDecoded
from services.ingest.decode.pool import DecodePool
from tca_model.types import Frame
from tca_model.video.decode import DecodeLimits, Sampled
from tests.clips import picture, steady, write_clip
from tests.ingest.decode.decoding import MakePool, child_of, drain

MIB = 1024**2
TIMEOUT_S = 200.0  # for some seconds of processor time, on a busy machine


@pytest.mark.usefixtures("no_collector")
def test_reference_cycles_are_collected_with_every_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cycle:
        """Refers to itself, as PyAV's frames and their side data can."""

        def __init__(self) -> None:
            self.itself = self

    alive: weakref.WeakSet[Cycle] = weakref.WeakSet()
    most = 0

    def sample() -> Generator[Any, None, Sampled]:
        nonlocal most
        for n in range(10 * decode_child.CHUNK_FRAMES):
            alive.add(Cycle())
            most = max(most, len(alive))
            yield Frame(float(n), picture(0))
        return Sampled(1.0, 1.0)

    monkeypatch.setattr(decode_child, "_send", lambda *_: None)
    decode_child._send_frames(None, sample())  # type: ignore[arg-type]
    assert most <= decode_child.CHUNK_FRAMES + 1


def repeat(source: Path, target: Path, times: int, every_s: int) -> Path:
    """The packets of a film, which begins with a keyframe, again and again: a long film that is quickly made."""
    with av.open(str(source)) as film, av.open(str(target), "w") as copy:
        [video] = film.streams.video
        stream = copy.add_stream_from_template(video)
        shift = round(every_s / (video.time_base or 1))
        packets = [packet for packet in film.demux(video) if packet.size]
        for n in range(times):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts, again.dts = (packet.pts or 0) + n * shift, (packet.dts or 0) + n * shift
                again.time_base, again.is_keyframe, again.stream = packet.time_base, packet.is_keyframe, stream
                copy.mux(again)
    return target


def frames_in(events: list[DecodeEvent]) -> list[FramesDecoded]:
    return [event for event in events if isinstance(event, FramesDecoded)]


def decode(pool: DecodePool, film: Path) -> list[DecodeEvent]:
    pool.submit(film.name, film.open("rb"))
    return drain(pool, timeout_s=TIMEOUT_S)


@pytest.mark.integration
@pytest.mark.timeout(240)
def test_a_long_film_of_large_pictures_is_described_whole_in_little_memory(make_pool: MakePool, tmp_path: Path) -> None:
    """32 pictures of 4K in 10 bits take 0.8 GB; the child has 0.7 GB of address space, code included."""
    short = write_clip(
        tmp_path / "short.mp4",
        steady(4, 1),
        images=[np.full((2160, 3840, 3), 40 * n, np.uint8) for n in range(1, 5)],
        codec="libx265",
        pix_fmt="yuv420p10le",
        size=(3840, 2160),
        options={"preset": "ultrafast", "x265-params": "log-level=none:bframes=0:pools=none:frame-threads=1"},
    )
    film = repeat(short, tmp_path / "film.mp4", 8, every_s=4)
    pool = make_pool(limits=DecodeLimits(max_memory_bytes=700 * MIB), panels=True, deadline_s=120)
    events = decode(pool, film)
    end = events[-1]
    assert isinstance(end, DecodeFinished), end
    assert end.duration_s == pytest.approx(32, abs=1)
    assert end.decoded_share == 1.0
    times_s = np.concatenate([event.timestamps_s for event in frames_in(events)])
    assert np.unique(np.round(times_s)).tolist() == list(range(32))


@pytest.mark.integration
@pytest.mark.timeout(240)
def test_a_file_that_fills_a_child_harms_no_file_after_it(make_pool: MakePool, clip: Path, tmp_path: Path) -> None:
    """A picture of this GIF takes 9 MB in the decoder; forty take 360."""
    images = [picture(n / 4, (2048, 1088)) for n in range(40)]
    hostile = write_clip(
        tmp_path / "a.gif", steady(40, 1), images=images, codec="gif", pix_fmt="rgb8", size=(2048, 1088)
    )
    limits = DecodeLimits(max_memory_bytes=450 * MIB)
    pool = make_pool(limits=limits)
    end = decode(pool, hostile)[-1]
    assert isinstance(end, DecodeFinished), end
    assert end.duration_s == pytest.approx(40, abs=1)
    after, alone = decode(pool, clip), decode(make_pool(limits=limits), clip)
    assert after[-1] == alone[-1]
    for one, other in zip(frames_in(after), frames_in(alone), strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.timestamps_s, other.timestamps_s)
    assert child_of(pool).resident_bytes < 100 * MIB


def test_a_codec_that_calls_want_of_memory_invalid_data_is_not_believed(make_pool: MakePool, tmp_path: Path) -> None:
    size = (3840, 2160)
    film = write_clip(tmp_path / "a.mp4", steady(2, 1), size=size, options={"preset": "ultrafast", "g": "1"})
    pool = make_pool(limits=DecodeLimits(max_memory_bytes=300 * MIB))
    assert decode(pool, film)[-1] == DecodeFailed("a.mp4", "decoding it needs more memory than is allowed")
    assert pool._idle == [], "its child is not used again"
