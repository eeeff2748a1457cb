"""The paper's gradient analysis: autograd agrees with the equation, and hard negatives are pushed most."""

import math

import pytest
import torch
from torch import Tensor

from tca_model.training.gradients import (
    Analysis,
    analyse_circle,
    analyse_info_nce,
    analyse_triplet,
    example_batch,
    gradients_on_negatives,
)

ANALYSED = [
    analyse_info_nce(),
    analyse_info_nce(1.0),
    analyse_circle(),
    analyse_circle(16.0, 0.4),
    analyse_triplet(0.2),
    analyse_triplet(2.0),
]


@pytest.mark.parametrize("analysis", ANALYSED, ids=lambda analysis: analysis.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_autograd_measures_the_closed_form(analysis: Analysis, seed: int) -> None:
    gradients = gradients_on_negatives(analysis, *example_batch(64, seed=seed))
    assert float(gradients.measured.sum()) > 0
    torch.testing.assert_close(gradients.measured, gradients.closed_form, rtol=1e-8, atol=1e-12)


def test_one_negative_by_hand() -> None:
    """p = 0, s = 0.6, t = 1, |v| = 2: softmax e^0.6 / (1 + e^0.6), times sqrt(1 - 0.36) = 0.8, over 2."""
    anchor, positive, negative = [torch.tensor(v, dtype=torch.float64) for v in ([5, 0], [0, 3], [[1.2, 1.6]])]
    gradients = gradients_on_negatives(analyse_info_nce(1.0), anchor, positive, negative)
    assert gradients.similarity.tolist() == pytest.approx([0.6])
    assert gradients.measured.tolist() == pytest.approx([math.exp(0.6) / (1 + math.exp(0.6)) * 0.8 / 2])


def share_of_the_hardest(gradients: Tensor, similarity: Tensor, part: float) -> float:
    hardest = similarity.argsort(descending=True)[: round(part * len(similarity))]
    return float(gradients[hardest].sum() / gradients.sum())


@pytest.mark.parametrize("analysis", [analyse_info_nce(), analyse_circle()], ids=lambda analysis: analysis.name)
def test_softmax_losses_push_hard_negatives_by_themselves(analysis: Analysis) -> None:
    gradients = gradients_on_negatives(analysis, *example_batch(256))
    assert share_of_the_hardest(gradients.measured, gradients.similarity, 0.1) > 0.8
    easy = gradients.similarity < 0
    assert int(easy.sum()) > 50
    assert float(gradients.measured[easy].max()) < 1e-3 * float(gradients.measured.max())


def test_a_high_temperature_mines_nothing() -> None:
    gradients = gradients_on_negatives(analyse_info_nce(10.0), *example_batch(256))
    assert share_of_the_hardest(gradients.measured, gradients.similarity, 0.1) < 0.12


def test_triplet_pushes_one_negative_and_none_outside_the_margin() -> None:
    anchor, positive, negatives = example_batch(64)
    gradients = gradients_on_negatives(analyse_triplet(), anchor, positive, negatives)
    assert gradients.measured.nonzero().tolist() == [[int(gradients.similarity.argmax())]]
    easy = negatives[gradients.similarity < 0.4]  # the positive's 0.7 is more than a margin of 0.2 above
    assert float(gradients_on_negatives(analyse_triplet(), anchor, positive, easy).measured.sum()) == 0


def test_a_negative_equal_to_the_anchor_is_not_pushed() -> None:
    """The gradient is orthogonal to the negative, so nothing of it remains: sqrt(1 - s^2) = 0."""
    anchor, positive, negatives = example_batch(4)
    same = torch.cat([negatives, 3 * anchor.unsqueeze(0)])
    gradients = gradients_on_negatives(analyse_info_nce(), anchor, positive, same)
    assert float(gradients.measured[-1]) == pytest.approx(0, abs=1e-6)
