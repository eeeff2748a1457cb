"""Each loss compared with a loop that can be checked by eye, and with values calculated by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from tca_model.training.losses import circle, info_nce, koleo, triplet

Loss = Callable[..., Tensor]


def slow_info_nce(p: float, negatives: list[float], temperature: float) -> float:
    wanted = math.exp(p / temperature)
    return -math.log(wanted / (wanted + sum(math.exp(n / temperature) for n in negatives)))


def slow_circle(p: float, negatives: list[float], gamma: float, margin: float) -> float:
    wanted = math.exp(gamma * max(0.0, 1 + margin - p) * (p - (1 - margin)))
    others = sum(math.exp(gamma * max(0.0, n + margin) * (n - margin)) for n in negatives)
    return -math.log(wanted / (wanted + others))


def slow_triplet(p: float, negatives: list[float], margin: float) -> float:
    return max([0.0, *(n - p + margin for n in negatives)])


def draw_similarities(seed: int, anchors: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    positive = torch.rand(anchors, generator=generator, dtype=torch.float64) * 2 - 1
    negatives = torch.rand(anchors, count, generator=generator, dtype=torch.float64) * 2 - 1
    return positive, negatives, torch.rand(anchors, count, generator=generator) < 0.6


@pytest.mark.parametrize(
    ("loss", "slow", "settings_of_it"),
    [
        (info_nce, slow_info_nce, {"temperature": 0.1}),
        (circle, slow_circle, {"gamma": 16.0, "margin": 0.25}),
        (triplet, slow_triplet, {"margin": 0.2}),
    ],
)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), anchors=st.integers(1, 4), count=st.integers(0, 6))
def test_a_loss_equals_a_slow_loop(
    loss: Loss, slow: Callable[..., float], settings_of_it: dict[str, float], seed: int, anchors: int, count: int
) -> None:
    positive, negatives, counted = draw_similarities(seed, anchors, count)
    expected = [
        slow(p, [n for n, counts in zip(row, mask, strict=True) if counts], **settings_of_it)
        for p, row, mask in zip(positive.tolist(), negatives.tolist(), counted.tolist(), strict=True)
    ]
    assert float(loss(positive, negatives, counted=counted, **settings_of_it)) == pytest.approx(
        sum(expected) / anchors, abs=1e-9
    )
    everything = torch.ones_like(counted)
    assert torch.equal(
        loss(positive, negatives, **settings_of_it), loss(positive, negatives, counted=everything, **settings_of_it)
    )


def test_info_nce_by_hand() -> None:
    # four equally similar candidates: one in four is right
    assert float(info_nce(torch.tensor([0.3]), torch.full((1, 3), 0.3))) == pytest.approx(math.log(4))
    assert float(info_nce(torch.tensor([0.5]), torch.tensor([[0.0]]), temperature=0.5)) == pytest.approx(
        math.log(1 + math.exp(-1))
    )


def test_circle_by_hand() -> None:
    # both at their margins 1 - m and m: both logits are 0, whatever the weights
    assert float(circle(torch.tensor([0.75]), torch.tensor([[0.25]]))) == pytest.approx(math.log(2))
    # p = 1 has the weight m and the logit g m m, n = -m the weight 0
    value = circle(torch.tensor([1.0]), torch.tensor([[-0.25]]), gamma=16.0, margin=0.25)
    assert float(value) == pytest.approx(math.log(1 + math.exp(-16 * 0.25 * 0.25)), rel=1e-5)


def test_circle_weights_the_positives_column_in_every_row() -> None:
    """The published code weights only row 0: a second anchor must be treated as the first."""
    positive, negatives = torch.tensor([0.5]), torch.tensor([[0.2, -0.1]])
    alone = circle(positive, negatives)
    assert float(circle(positive.repeat(3), negatives.repeat(3, 1))) == pytest.approx(float(alone))


def test_weights_of_circle_get_no_gradient() -> None:
    positive = torch.tensor([0.4], requires_grad=True)
    negatives = torch.tensor([[0.1, -0.6]], requires_grad=True)
    torch.autograd.backward(circle(positive, negatives, gamma=8.0, margin=0.25))
    logits = torch.tensor([8 * 0.85 * (0.4 - 0.75), 8 * 0.35 * (0.1 - 0.25), 0.0])
    share = torch.softmax(logits, dim=0)
    assert positive.grad is not None
    assert negatives.grad is not None
    assert float(positive.grad) == pytest.approx(float((share[0] - 1) * 8 * 0.85), rel=1e-5)
    assert negatives.grad[0].tolist() == pytest.approx([float(share[1] * 8 * 0.35), 0.0], rel=1e-5)


def test_triplet_by_hand_pushes_only_the_hardest() -> None:
    positive = torch.tensor([0.5, 0.9], requires_grad=True)
    negatives = torch.tensor([[0.1, 0.4, 0.39], [0.2, 0.6, 0.1]], requires_grad=True)
    loss = triplet(positive, negatives, margin=0.2)
    assert float(loss.detach()) == pytest.approx((0.4 - 0.5 + 0.2) / 2)
    torch.autograd.backward(loss)
    assert negatives.grad is not None
    assert negatives.grad.tolist() == [[0, 0.5, 0], [0, 0, 0]]


@pytest.mark.parametrize("loss", [info_nce, circle, triplet])
def test_negatives_that_do_not_count_get_no_gradient(loss: Loss) -> None:
    positive = torch.tensor([0.2, 0.1], requires_grad=True)
    negatives = torch.tensor([[0.9, 0.3], [0.5, 0.8]], requires_grad=True)
    counted = torch.tensor([[False, True], [False, False]])
    torch.autograd.backward(loss(positive, negatives, counted=counted))
    assert negatives.grad is not None
    assert (negatives.grad != 0).tolist() == counted.tolist()
    assert bool(torch.isfinite(negatives.grad).all())


def test_koleo_equals_a_slow_loop() -> None:
    rows = normalize(torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=1)
    works = [0, 1, 2, 2, 3, 2, 4]
    expected = 0.0
    for i, row in enumerate(rows):
        others = [other for j, other in enumerate(rows) if works[j] != works[i]]
        expected -= math.log(min(math.dist(row.tolist(), other.tolist()) for other in others)) / 7
    assert float(koleo(rows, torch.tensor(works))) == pytest.approx(expected, rel=1e-6)


def test_koleo_by_hand_and_its_gradient() -> None:
    square = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    assert float(koleo(square, torch.arange(4))) == pytest.approx(-math.log(2**0.5), rel=1e-6)
    close = torch.tensor([[1.0, 0.0], [0.8, 0.6]], requires_grad=True)
    torch.autograd.backward(koleo(close, torch.arange(2)))
    assert close.grad is not None
    assert float(close.grad[0] @ (close[0] - close[1]).detach()) < 0  # gradient descent moves each away from the other


def test_koleo_of_a_single_work_is_rejected() -> None:
    with pytest.raises(ValueError, match="a single work"):
        koleo(torch.eye(3), torch.zeros(3, dtype=torch.int64))


def test_koleo_of_equal_rows_is_finite() -> None:
    rows = torch.tensor([[1.0, 0], [1, 0]], requires_grad=True)
    loss = koleo(rows, torch.arange(2))
    torch.autograd.backward(loss)
    assert math.isfinite(float(loss.detach()))
    assert rows.grad is not None
    assert bool(torch.isfinite(rows.grad).all())
