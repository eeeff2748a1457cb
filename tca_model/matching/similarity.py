"""Similarity of frame descriptors: cosine, similarity matrix, chamfer similarity, one way and both ways.

Letters: Tq, Tr frames of query and reference, N references, D dimension. Rows are unit vectors, so an inner
product is a cosine. Every function leaves its arguments as they were and raises ValueError on empty input.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tca_model.types import FloatArray


def cosine(left: FloatArray, right: FloatArray) -> float:
    """Cosine of two vectors (D,), a.b / (|a| |b|), in [-1, 1]; 0 when one of them is the zero vector.

    Segment descriptors are means of frames before they are normalised: lengths are not taken for granted here.
    """
    if left.ndim != 1 or left.shape != right.shape or not len(left):
        raise ValueError(f"expected two vectors of one dimension, got {left.shape} and {right.shape}")
    lengths = float(np.linalg.norm(left)) * float(np.linalg.norm(right))
    return min(1.0, max(-1.0, float(left @ right) / lengths)) if lengths > 0 else 0.0


def similarity_matrix(query: FloatArray, reference: FloatArray) -> FloatArray:
    """Similarity matrix (Tq, Tr) of frame descriptors (Tq, D) and (Tr, D): S[i, j] = q_i . r_j."""
    if query.ndim != 2 or reference.ndim != 2 or query.shape[1] != reference.shape[1]:
        raise ValueError(f"expected (Tq, D) and (Tr, D), got {query.shape} and {reference.shape}")
    if not query.size or not reference.size:
        raise ValueError("a video without frames has no similarity")
    similarity: FloatArray = (query @ reference.T).astype(np.float32, copy=False)
    return similarity


def best_views(
    similarity: FloatArray, query_starts: NDArray[np.intp], reference_starts: NDArray[np.intp]
) -> FloatArray:
    """The matrix with one row and one column a frame, where frames have several views: the most similar pair counts.

    `query_starts`, `reference_starts`: where the views of each frame begin (`first_views`).
    """
    if len(query_starts) < similarity.shape[0]:
        similarity = np.maximum.reduceat(similarity, query_starts, axis=0)
    if len(reference_starts) < similarity.shape[1]:
        similarity = np.maximum.reduceat(similarity, reference_starts, axis=1)
    return similarity


def first_views(*keys: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.intp]:
    """Where one of the keys (N,), such as the times, changes: the first of the views of each frame."""
    changes = np.any([np.diff(key) != 0 for key in keys], axis=0)
    return np.concatenate([[0], np.flatnonzero(changes) + 1])


def chamfer(similarity: FloatArray) -> float:
    """Chamfer similarity of the rows to the columns of a matrix (Tq, Tr), directed.

        CS(q, r) = 1/Tq * sum_i max_j S[i, j]

    Equation 3 of ViSiL (Kordopatis-Zilos et al., ICCV 2019, arXiv 1908.07410), TCA_f of TCA (arXiv 2008.01334).
    It is 1 when the reference shows every query frame, whatever else it shows; transpose for the other direction.
    """
    _check_matrix(similarity)
    return float(similarity.max(axis=1).mean())


def symmetric_chamfer(similarity: FloatArray) -> float:
    """Symmetric chamfer similarity, (CS(q, r) + CS(r, q)) / 2 (ViSiL equation 4, TCA_sym).

    A short copy in a long video scores low here; ranking takes the larger direction instead.
    """
    return (chamfer(similarity) + chamfer(similarity.T)) / 2


def noise_similarity(frames: FloatArray, noise: FloatArray, nearest: int = 10) -> FloatArray:
    """How like any other video each of the frames (T, D) is, (T,): the mean cosine to its nearest rows of noise (M, D).

    Score normalisation of VSC2022 (facebookresearch/vsc2022) subtracts it from the similarities of a frame.
    """
    similarity = similarity_matrix(frames, noise)
    nearest = min(nearest, len(noise))
    mean: FloatArray = np.partition(similarity, -nearest, axis=1)[:, -nearest:].mean(axis=1)
    return mean


def normalised(similarity: FloatArray, query_noise: FloatArray, reference_noise: FloatArray) -> FloatArray:
    """Similarity matrix (Tq, Tr) less what its frames have in common with noise, half of it from each side:

        S[i, j] - (n_i + m_j) / 2

    for noise similarities n (Tq,), m (Tr,). Both sides, since a reference that is like everything misleads as well.
    """
    if similarity.shape != (len(query_noise), len(reference_noise)):
        raise ValueError(f"{similarity.shape} does not fit {len(query_noise)} and {len(reference_noise)} frames")
    shared = (query_noise[:, np.newaxis] + reference_noise) / 2  # (Tq, Tr)
    return (similarity - shared).astype(np.float32, copy=False)


def chamfer_ragged(
    query: FloatArray, references: FloatArray, lengths: Sequence[int] | NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Chamfer similarity of one query (Tq, D) with N references, as (forward (N,), backward (N,)).

    The references lie one below the other in `references` (sum Tr, D), `lengths` (N,) frames each, so that one
    matrix product serves them all: forward[n] = chamfer(S_n), backward[n] = chamfer(S_n^T), where S_n are the
    columns of reference n. No padding, therefore no mask.
    """
    counts = np.asarray(lengths, dtype=np.int64)
    if counts.ndim != 1 or not len(counts) or counts.min() < 1 or counts.sum() != len(references):
        raise ValueError(f"lengths must be positive and add up to {len(references)} rows")
    similarity = similarity_matrix(query, references)
    starts = np.cumsum(counts) - counts
    forward: FloatArray = np.maximum.reduceat(similarity, starts, axis=1).mean(axis=0)
    sums: FloatArray = np.add.reduceat(similarity.max(axis=0), starts)
    backward: FloatArray = np.divide(sums, counts, dtype=np.float32)
    return forward, backward


def _check_matrix(similarity: FloatArray) -> None:
    if similarity.ndim != 2 or not similarity.size:
        raise ValueError(f"expected a similarity matrix (Tq, Tr) with entries, got {similarity.shape}")
