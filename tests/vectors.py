"""Unit vectors for tests."""

import numpy as np

from tca_model.types import FloatArray


def unit(vectors: FloatArray) -> FloatArray:
    """The rows (N, D) at length 1."""
    result: FloatArray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return result


def unit_rows(seed: int, count: int = 1, dimension: int = 16) -> FloatArray:
    """Random unit rows (count, dimension), the same for the same seed."""
    return unit(np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32))
