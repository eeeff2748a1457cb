"""A decoder goes on at a checkpoint that another one sent, in a process of its own."""

from pathlib import Path

import numpy as np
import pytest

from services.ingest.decode import child as decode_child
from services.ingest.decode.events import CheckpointReached, DecodeEvent, DecodeFinished, FramesDecoded
from services.ingest.decode.pool import DecodePool
from tca_model.video.decode import SampleOptions, sample_with_checkpoints
from tests.clips import drifting, steady, write_clip
from tests.ingest.decode.decoding import MakePool, drain

SECONDS = 50


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures side by side, with a keyframe every 4 s."""
    halves = zip(drifting(1, SECONDS, (80, 90)), drifting(2, SECONDS, (80, 90)), strict=True)
    images = [np.concatenate(pair, axis=1) for pair in halves]
    path = tmp_path_factory.mktemp("films") / "a.mp4"
    return write_clip(path, steady(SECONDS, 1), images=images, size=(160, 90), options={"g": "4"})


def decode(pool: DecodePool, film: Path, resume: bytes | None = None) -> list[DecodeEvent]:
    pool.submit("job", film.open("rb"), checkpoint_s=10, resume=resume)
    return drain(pool)


def join(events: list[DecodeEvent]) -> tuple[np.ndarray, np.ndarray]:
    """All times and all images."""
    chunks = [event for event in events if isinstance(event, FramesDecoded)]
    return np.concatenate([one.timestamps_s for one in chunks]), np.concatenate([one.images for one in chunks])


def test_another_process_goes_on_at_each_checkpoint(make_pool: MakePool, film: Path) -> None:
    events = decode(make_pool(panels=True), film)
    times_s, images = join(events)
    assert len(times_s) > 2 * SECONDS
    reached = [event for event in events if isinstance(event, CheckpointReached)]
    assert [one.time_s for one in reached] == [10, 20, 30, 40]
    other = make_pool(panels=True)
    for one in reached:
        before = [event for event in events[: events.index(one)] if isinstance(event, FramesDecoded)]
        sent = np.concatenate([event.timestamps_s for event in before])
        np.testing.assert_array_equal(sent, times_s[times_s < one.time_s])
        again = decode(other, film, one.checkpoint)
        rest = times_s >= one.time_s
        np.testing.assert_array_equal(join(again)[0], times_s[rest])
        np.testing.assert_array_equal(join(again)[1], images[rest])
        assert again[-1] == events[-1]
        later = [event.checkpoint for event in again if isinstance(event, CheckpointReached)]
        assert later == [other.checkpoint for other in reached[reached.index(one) + 1 :]]


@pytest.mark.parametrize("resume", [b"", b"nonsense"])
def test_without_a_checkpoint_of_this_release_it_begins_at_the_start(
    make_pool: MakePool, film: Path, resume: bytes
) -> None:
    times_s, _ = join(decode(make_pool(), film, resume))
    assert times_s.tolist() == list(range(SECONDS))


def test_a_checkpoint_that_is_too_large_is_not_sent(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_child, "MAX_CHECKPOINT_BYTES", 10)
    sent: list[str] = []
    monkeypatch.setattr(decode_child, "_send", lambda _channel, header, *_payload: sent.append(header["type"]))
    with film.open("rb") as file:
        sampling = sample_with_checkpoints(file, SampleOptions(size=(32, 24)), checkpoint_s=10)
        sampled = decode_child._send_frames(None, sampling)  # type: ignore[arg-type]
    assert sampled.duration_s == pytest.approx(SECONDS, abs=1)
    assert set(sent) == {"frames"}


def test_a_child_serves_other_files_after_one_that_was_resumed(make_pool: MakePool, film: Path, clip: Path) -> None:
    pool = make_pool()
    [first, *_] = [event for event in decode(pool, film) if isinstance(event, CheckpointReached)]
    decode(pool, film, first.checkpoint)
    pool.submit("clip", clip.open("rb"))
    *_, end = drain(pool)
    assert isinstance(end, DecodeFinished)
    assert end.job == "clip"
