"""Similarity of frame descriptors: cosine, similarity matrix, directed and symmetric chamfer similarity.

Letters: Tq, Tr frames of query and reference, N references, D dimension. Rows are unit vectors, so an inner
product is a cosine. No function changes its arguments; all raise ValueError on empty input.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tca_model.types import FloatArray


def cosine(left: FloatArray, right: FloatArray) -> float:
    """Cosine of two vectors (D,), a.b / (|a| |b|), in [-1, 1]; 0 when one of them is the zero vector.

    The vectors need not have length 1: segment descriptors are means of frames before they are normalised.
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
    """The matrix with one row and one column per frame: for frames with several views, the most similar pair counts.

    `query_starts`, `reference_starts`: index of the first view of each frame (`first_views`).
    """
    if len(query_starts) < similarity.shape[0]:
        similarity = np.maximum.reduceat(similarity, query_starts, axis=0)
    if len(reference_starts) < similarity.shape[1]:
        similarity = np.maximum.reduceat(similarity, reference_starts, axis=1)
    return similarity


def first_views(*keys: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.intp]:
    """Index of the first view of each frame: where one of the keys (N,), such as the times, changes."""
    changes = np.any([np.diff(key) != 0 for key in keys], axis=0)
    return np.concatenate([[0], np.flatnonzero(changes) + 1])


def chamfer(similarity: FloatArray) -> float:
    """Chamfer similarity of the rows to the columns of a matrix (Tq, Tr), directed.

        CS(q, r) = 1/Tq * sum_i max_j S[i, j]

    Equation 3 of ViSiL (Kordopatis-Zilos et al., ICCV 2019, arXiv 1908.07410), TCA_f of TCA (arXiv 2008.01334).
    It is 1 when the reference shows every query frame, whatever else it shows. Transpose for the other direction.
    """
    _check_matrix(similarity)
    return float(similarity.max(axis=1).mean())


def symmetric_chamfer(similarity: FloatArray) -> float:
    """Symmetric chamfer similarity, (CS(q, r) + CS(r, q)) / 2 (ViSiL equation 4, TCA_sym).

    A short copy in a long video scores low, so the matcher uses the larger direction instead. Not used in the service:
    here for comparison with the papers. `score_table` computes the same as "symmetric-chamfer".
    """
    return (chamfer(similarity) + chamfer(similarity.T)) / 2


def noise_similarity(frames: FloatArray, noise: FloatArray, nearest: int = 10) -> FloatArray:
    """How similar each frame (T, D) is to unrelated videos, (T,): its mean cosine to the nearest rows of noise (M, D).

    The score normalisation of VSC2022 (facebookresearch/vsc2022) subtracts it from a frame's similarities.
    """
    similarity = similarity_matrix(frames, noise)
    nearest = min(nearest, len(noise))
    mean: FloatArray = np.partition(similarity, -nearest, axis=1)[:, -nearest:].mean(axis=1)
    return mean


def subtract_noise(similarity: FloatArray, query_noise: FloatArray, reference_noise: FloatArray) -> FloatArray:
    """The similarity matrix (Tq, Tr) minus the mean noise similarity of both frames:

        S[i, j] - (n_i + m_j) / 2

    for noise similarities n (Tq,), m (Tr,). Both sides count: a reference that resembles everything misleads too.
    """
    if similarity.shape != (len(query_noise), len(reference_noise)):
        raise ValueError(f"{similarity.shape} does not fit {len(query_noise)} and {len(reference_noise)} frames")
    shared = (query_noise[:, np.newaxis] + reference_noise) / 2  # (Tq, Tr)
    return (similarity - shared).astype(np.float32, copy=False)


def chamfer_ragged(
    query: FloatArray, references: FloatArray, lengths: Sequence[int] | NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Chamfer similarity of one query (Tq, D) with N references, as (forward (N,), backward (N,)).

    The references are stacked in `references` (sum Tr, D), `lengths` (N,) frames each, so that one matrix product
    serves all: forward[n] = chamfer(S_n), backward[n] = chamfer(S_n^T), where S_n are the
    columns of reference n. There is no padding, so no mask.
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
