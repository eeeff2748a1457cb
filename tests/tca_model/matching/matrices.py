"""Similarity matrices made by hand, and a check of the intervals found in them."""

import numpy as np
from numpy.typing import NDArray

from tca_model.types import FloatArray, Match


def background(query_frames: int, reference_frames: int, seed: int = 0) -> FloatArray:
    """Similarities of unrelated whitened frames: about 0, some pairs similar by chance."""
    noise = np.random.default_rng(seed).normal(0.02, 0.1, size=(query_frames, reference_frames))
    return np.clip(noise, -0.2, 0.2).astype(np.float32)


def plant(
    similarity: FloatArray, query_start: int, count: int, reference_start: float, speed: float, value: float = 0.8
) -> None:
    """A copy: `count` query frames starting at `query_start` show the reference starting at `reference_start`."""
    for step in range(count):
        column = int(reference_start + speed * step)
        similarity[query_start + step, column] = value


def seconds(count: int, start: float = 0.0) -> NDArray[np.float64]:
    return start + np.arange(count, dtype=np.float64)


def assert_near(match: Match, expected: tuple[float, float, float, float], within_s: float) -> None:
    found = (match.query_start_s, match.query_end_s, match.reference_start_s, match.reference_end_s)
    assert np.abs(np.subtract(found, expected)).max() <= within_s, f"{found} is not {expected}"
