"""Trains TCA_v, the network that scores a pair of videos from their similarity matrix, on pairs of copies.

As in ViSiL (arXiv 1908.07410, section 3.4): a triplet loss with margin 0.5, plus a tenth of the output's excess over
[-1, 1] before clipping. The negative of an anchor is the highest scoring video of another work in its batch.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tca_model.networks.comparator import Comparison, VideoComparator
from tca_model.training.pairs import Pairs, Reader, pad, piece
from tca_model.training.recipes import ComparatorRecipe
from tca_model.training.run import Advance, Run, Schedule
from tca_model.types import FloatArray

EXCESS_SHARE = 0.1


def train_comparator(
    recipe: ComparatorRecipe, pairs: Pairs, reader: Reader, folder: Path, advance: Advance
) -> VideoComparator:
    """The trained comparator; an interrupted run is resumed. Raises TrainingError as `Run` does."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        comparator = VideoComparator()
    optimizer = torch.optim.Adam(comparator.parameters(), recipe.learning_rate)
    configuration = {**recipe.model_dump(mode="json"), **pairs.summary(), "model_version": reader.model_version}
    run = Run(folder, configuration, comparator, optimizer)

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng([recipe.seed, step])
        chosen = pairs.positives[_of_different_works(pairs, recipe.batch, rng)]  # (b, 2)
        anchors, positives = (
            [piece(reader(video), recipe.frames, recipe.shortest_piece, rng) for video in side] for side in chosen.T
        )
        negatives = _hardest(comparator, anchors, positives)
        near, far = compare_batch(comparator, anchors, positives), compare_batch(comparator, anchors, negatives)
        triplet = (recipe.margin + far.score - near.score).clamp(min=0).mean()
        return triplet + EXCESS_SHARE * (near.excess + far.excess).mean()

    run.loop(Schedule(recipe.steps, recipe.learning_rate), loss_of, advance)
    return comparator.eval()


def compare_batch(comparator: nn.Module, queries: Sequence[FloatArray], references: Sequence[FloatArray]) -> Comparison:
    """Compare each query with the reference of the same index; each is frame descriptors (T_i, D)."""
    (query, query_present), (reference, reference_present) = pad(queries), pad(references)
    result: Comparison = comparator(query @ reference.transpose(1, 2), query_present, reference_present)
    return result


def _of_different_works(pairs: Pairs, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Random indices of up to `count` pairs, no two of one work."""
    order = rng.permutation(len(pairs.positives))
    _, first_of_work = np.unique(pairs.works[pairs.positives[order, 0]], return_index=True)
    numbers: NDArray[np.int64] = order[rng.permutation(first_of_work)[:count]]
    return numbers


@torch.no_grad()
def _hardest(comparator: nn.Module, anchors: Sequence[FloatArray], others: Sequence[FloatArray]) -> list[FloatArray]:
    """For each anchor, the highest scoring one of the others, except its own."""
    count = len(anchors)
    every = compare_batch(comparator, [one for one in anchors for _ in others], list(others) * count)
    scores = every.score.view(count, count).fill_diagonal_(-2)
    return [others[number] for number in scores.argmax(dim=1).tolist()]
