"""Why softmax losses find hard negatives by themselves: how strongly each negative is pushed away, by its similarity.

The gradient analysis of TCA (arXiv 2008.01334). Descriptors are normalised, z = v / |v|, so only the part of the
gradient on z that is orthogonal to z reaches v, divided by |v|. With s_j = z_a . z_j the gradient on z_j is
(dL/ds_j) z_a, hence

    |dL/dv_j| = |dL/ds_j| * |z_a - s_j z_j| / |v_j| = |dL/ds_j| * sqrt(1 - s_j^2) / |v_j|

and the losses differ only in the slope dL/ds_j. For InfoNCE it is softmax_j / t: it grows exponentially with similarity
and is near 0 for easy negatives. Letters: N negatives, D dimension; one anchor, one positive.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, relu

from tca_model.training.losses import circle, info_nce, triplet

SHOWN = 1e-6  # share of the largest gradient

Loss = Callable[[Tensor, Tensor], Tensor]  # of the similarities of positive (1,) and negatives (1, N)
Slopes = Callable[[Tensor, Tensor], Tensor]  # the same: |dL/ds_j| of each negative, (N,)


class Analysis(NamedTuple):
    """A loss with its slopes in closed form."""

    name: str
    loss: Loss
    slopes: Slopes


def analyse_info_nce(temperature: float = 0.07) -> Analysis:
    """InfoNCE: softmax_j / t, where softmax runs over the positive and all negatives."""

    def slopes(positive: Tensor, negatives: Tensor) -> Tensor:
        logits = torch.cat([positive, negatives[0]]) / temperature
        return torch.softmax(logits, dim=0)[1:] / temperature

    return Analysis(f"InfoNCE, temperature {temperature:g}", lambda p, n: info_nce(p, n, temperature), slopes)


def analyse_circle(gamma: float = 256.0, margin: float = 0.25) -> Analysis:
    """Circle: softmax_j g a_j, with the weight a_j = max(0, s_j + m), which grows with similarity too."""

    def slopes(positive: Tensor, negatives: Tensor) -> Tensor:
        weights = relu(negatives[0] + margin)
        wanted = relu(1 + margin - positive) * (positive - 1 + margin)
        logits = gamma * torch.cat([wanted, weights * (negatives[0] - margin)])
        return torch.softmax(logits, dim=0)[1:] * gamma * weights

    return Analysis(f"Circle, scale {gamma:g}, margin {margin:g}", lambda p, n: circle(p, n, gamma, margin), slopes)


def analyse_triplet(margin: float = 0.2) -> Analysis:
    """Triplet: 1 for the hardest negative while it is within the margin, 0 for all others."""

    def slopes(positive: Tensor, negatives: Tensor) -> Tensor:
        hardest = torch.arange(negatives.shape[1]) == negatives[0].argmax()
        return (hardest & (negatives[0] - positive + margin > 0)).to(negatives)

    return Analysis(f"triplet, margin {margin:g}", lambda p, n: triplet(p, n, margin), slopes)


class Gradients(NamedTuple):
    similarity: Tensor  # (N,) of each negative with the anchor
    measured: Tensor  # (N,) norm of the gradient on its vector before normalisation, by autograd
    closed_form: Tensor  # (N,) the same by the equation above


def gradients_on_negatives(analysis: Analysis, anchor: Tensor, positive: Tensor, negatives: Tensor) -> Gradients:
    """The gradients for vectors of any length: anchor (D,), positive (D,), negatives (N, D)."""
    vectors = negatives.detach().clone().requires_grad_()
    unit_anchor, unit_positive, unit = normalize(anchor, dim=0), normalize(positive, dim=0), normalize(vectors, dim=1)
    similarity = unit @ unit_anchor
    wanted = (unit_anchor @ unit_positive).unsqueeze(0)
    (gradient,) = torch.autograd.grad(analysis.loss(wanted, similarity.unsqueeze(0)), vectors)
    with torch.no_grad():
        slopes = analysis.slopes(wanted, similarity.unsqueeze(0))
        projected = torch.sqrt(relu(1 - similarity**2)) / vectors.norm(dim=1)
        return Gradients(similarity.detach(), gradient.norm(dim=1), slopes * projected)


def example_batch(count: int, *, seed: int = 0, dimension: int = 128) -> tuple[Tensor, Tensor, Tensor]:
    """An anchor (D,), a positive of similarity 0.7, and negatives (N, D) of similarities between -0.3 and 0.99.

    Most negatives are easy, as in a batch of different works. Lengths are between 0.5 and 2. All are float64, so that
    autograd and the closed form can be compared closely.
    """
    rng = np.random.default_rng(seed)
    anchor = torch.from_numpy(rng.normal(size=dimension))
    spread = torch.from_numpy(-0.3 + 1.29 * rng.beta(1.2, 2.5, size=count))
    similarity = torch.cat([torch.tensor([0.7], dtype=torch.float64), spread])
    axis = normalize(anchor, dim=0)
    beside = torch.from_numpy(rng.normal(size=(count + 1, dimension)))
    beside = normalize(beside - (beside @ axis).unsqueeze(1) * axis, dim=1)
    vectors = similarity.unsqueeze(1) * axis + torch.sqrt(1 - similarity**2).unsqueeze(1) * beside
    vectors *= torch.from_numpy(rng.uniform(0.5, 2, size=(count + 1, 1)))
    return anchor, vectors[0], vectors[1:]


def draw_gradients(path: Path, *, count: int = 256, seed: int = 0) -> None:
    """Write a PNG of the gradient norms of InfoNCE, Circle and triplet over the similarities of an example batch.

    Vectors are normalised here, so that the points lie on curves; dots are from autograd, lines from the closed form.
    Values below a millionth of the largest are not shown. At the paper's scale of 256, Circle pushes hardly more than
    the hardest negative, so it is drawn at 32 too. Raises ImportError without matplotlib (extra `viz`).
    """
    from matplotlib.figure import Figure

    anchor, positive, negatives = example_batch(count, seed=seed)
    figure = Figure(figsize=(10, 7), layout="constrained")
    drawn = (analyse_info_nce(), analyse_circle(32.0), analyse_triplet(), analyse_circle())
    for axes, analysis in zip(figure.subplots(2, 2).flat, drawn, strict=True):
        gradients = gradients_on_negatives(analysis, anchor, positive, normalize(negatives, dim=1))
        order = gradients.similarity.argsort()
        similarity = gradients.similarity[order].numpy()
        axes.plot(similarity, gradients.closed_form[order].numpy(), color="C1", label="closed form")
        axes.plot(similarity, gradients.measured[order].numpy(), ".", color="C0", label="autograd")
        if int((gradients.measured > 0).sum()) > 1:
            largest = float(gradients.measured.max())
            axes.set(yscale="log", ylim=(largest * SHOWN, largest * 3))
        axes.axvline(0.7, color="0.6", linestyle="--", linewidth=1, label="the positive")
        axes.set(title=analysis.name)
    figure.supylabel("norm of the gradient on the negative")
    figure.supxlabel("similarity of the negative with the anchor")
    figure.axes[0].legend(loc="upper left")
    figure.savefig(path, format="png", dpi=120)
