"""Films are decoded like videos: in chunks, up to where they break, and from a checkpoint on."""

import io
from collections.abc import Iterator

import numpy as np
import pytest

from services.ingest.decode.events import CheckpointReached, DecodeEvent, DecodeFailed, DecodeFinished, FramesDecoded
from tests.chaos.decode import CHECKPOINT_S, FilmDecoders, FilmExtractor
from tests.chaos.films import Film, Piece, describe_pictures, make_pictures

FILM = Film((Piece(1, 0, 60),), noise=1)


def decode(film: Film, *, resume: bytes | None = None, checkpoint_s: float = 60) -> Iterator[DecodeEvent]:
    with FilmDecoders(workers=1) as decoders:
        file = io.BytesIO(film.to_text().encode())
        decoders.submit("job", file, max_duration_s=100, checkpoint_s=checkpoint_s, resume=resume)
        assert decoders.free == 0
        while decoders.free == 0:
            yield from decoders.poll(1)


def times(events: list[DecodeEvent]) -> list[float]:
    return [time_s for event in events if isinstance(event, FramesDecoded) for time_s in event.timestamps_s.tolist()]


def test_every_second_is_decoded_once_with_checkpoints_in_between() -> None:
    events = list(decode(FILM))
    assert times(events) == list(range(60))
    assert events[-1] == DecodeFinished("job", 60.0)
    checkpoints = [event.time_s for event in events if isinstance(event, CheckpointReached)]
    assert checkpoints == [CHECKPOINT_S, 2 * CHECKPOINT_S]
    assert not [event for event in decode(FILM, checkpoint_s=float("inf")) if isinstance(event, CheckpointReached)]


def test_a_checkpoint_is_where_the_frames_before_it_end_and_the_next_decoder_begins() -> None:
    events = list(decode(FILM))
    at, checkpoint = next((n, one) for n, one in enumerate(events) if isinstance(one, CheckpointReached))
    assert max(times(events[:at])) == checkpoint.time_s - 1
    assert times(list(decode(FILM, resume=checkpoint.checkpoint))) == list(range(CHECKPOINT_S, 60))


@pytest.mark.parametrize("broken_after_s", [0, 20])
def test_a_broken_film_ends_where_it_breaks(broken_after_s: int) -> None:
    events = list(decode(Film(FILM.pieces, 1, broken_after_s)))
    assert times(events) == list(range(broken_after_s))
    assert events[-1] == DecodeFailed("job", "the film is broken")


def test_pictures_are_described_as_what_they_show() -> None:
    extractor = FilmExtractor(16)
    pictures = make_pictures(FILM, 0, 8)
    frames = extractor.describe(pictures)
    assert np.array_equal(frames, describe_pictures(pictures, 16))
    ((stored, vector),) = extractor.encode([frames])
    assert stored is frames
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert float(vector @ frames.mean(axis=0)) == pytest.approx(float(np.linalg.norm(frames.mean(axis=0))), abs=1e-5)
