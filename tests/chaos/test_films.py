"""Made films: copies score as copies with the real thresholds, different works do not, and no frame is a still."""

import numpy as np
import pytest

from tca_model.bundle import DEFAULT, load_bundle
from tca_model.matching.evidence import JoinedEvidence, join, observe
from tca_model.types import FloatArray
from tca_model.video.segments import SegmentCutter
from tca_model.video.stills import Stills
from tests.chaos.films import Film, Piece, describe_pictures, make_pictures, parse_film

DIMENSION = load_bundle(DEFAULT).manifest.descriptor.frame.dimension


@pytest.mark.parametrize(
    "film",
    [Film((Piece(17, 40, 96),), noise=3), Film((Piece(1, 0, 8), Piece(2, 16, 13)), noise=0, broken_after_s=9)],
)
def test_a_film_is_read_as_it_was_written(film: Film) -> None:
    assert parse_film(film.to_text()) == film


def test_another_text_is_no_film() -> None:
    with pytest.raises(ValueError, match="not a film"):
        parse_film("work=1")


def test_every_second_of_a_film_is_described() -> None:
    film = Film((Piece(3, 0, 17),), noise=1)
    pictures, times_s = make_pictures(film, 0, 17), np.arange(17.0)
    cutter = SegmentCutter(dimension=DIMENSION, segment_s=8)
    frames = describe_pictures(pictures, DIMENSION)
    cuts = [*cutter.add(times_s, frames, Stills().track(times_s, pictures)), cutter.finish(17.0)]
    assert [(cut.start_s, cut.end_s, len(cut.descriptor)) for cut in cuts] == [(0, 8, 8), (8, 16, 8), (16, 17, 1)]


def test_descriptors_are_the_same_in_every_process_and_differ_by_noise() -> None:
    film = Film((Piece(5, 2, 4),), noise=1)
    again = Film((Piece(5, 0, 2), Piece(5, 2, 4)), noise=1)
    other = Film((Piece(5, 2, 4),), noise=2)
    frames = describe(film, 0, 4)
    assert np.array_equal(frames, describe(again, 2, 6))
    assert np.allclose(np.linalg.norm(frames, axis=1), 1, atol=1e-6)
    similarity = (frames * describe(other, 0, 4)).sum(axis=1)
    assert similarity.min() > 0.88
    assert similarity.max() < 0.96


@pytest.mark.parametrize("offset_s", [0, 3])
def test_a_copy_of_eight_seconds_is_a_copy_for_the_default_bundle(offset_s: int) -> None:
    """In one piece, and in two segments that each hold a part of it."""
    calibration = load_bundle(DEFAULT).manifest.calibration
    original = Film((Piece(1, 0, 40),), noise=1)
    clip = Film((Piece(2, 0, offset_s), Piece(1, 16, 8), Piece(3, 0, 5)), noise=2)
    joined = compare(clip, original)
    assert calibration.alert_score(joined.joined_score) > calibration.alert_threshold + 0.05
    (interval,) = joined.intervals
    found = (interval.query_start_s, interval.query_end_s, interval.reference_start_s, interval.reference_end_s)
    assert found == pytest.approx((offset_s, offset_s + 8, 16, 24), abs=1)


def test_different_works_are_no_copies_for_the_default_bundle() -> None:
    calibration = load_bundle(DEFAULT).manifest.calibration
    joined = [compare(Film((Piece(n, 0, 120),), n), Film((Piece(100 + n, 0, 120),), n)) for n in range(5)]
    assert max(calibration.alert_score(one.joined_score) for one in joined) < 0.1


def describe(film: Film, start_s: int, end_s: int) -> FloatArray:
    return describe_pictures(make_pictures(film, start_s, end_s), DIMENSION)


def compare(query: Film, reference: Film) -> JoinedEvidence:
    """The joined evidence of the query's segments of 8 s."""
    references = describe(reference, 0, reference.length_s)
    reference_times = np.arange(reference.length_s, dtype=np.float64)
    evidence = []
    for index, start_s in enumerate(range(0, query.length_s, 8)):
        frames = describe(query, start_s, start_s + 8)
        times = start_s + np.arange(len(frames), dtype=np.float64)
        evidence.append(
            observe(index, frames @ references.T, times, reference_times, (reference_times // 8).astype(np.int64))
        )
    return join(evidence, query_frames=query.length_s, reference_frames=reference.length_s)
