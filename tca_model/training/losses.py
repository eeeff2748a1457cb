"""Contrastive losses on similarities: one positive and many negatives per anchor.

Letters: B anchors, N negatives each, D dimension. Similarities are cosines. `counted` (B, N) bool says which negatives
count: one that shows the anchor's own work does not, and gets no gradient. An anchor without a counted negative has the
loss 0.
"""

import torch
from torch import Tensor
from torch.nn.functional import relu

CLOSEST = 1e-8  # two equal descriptors must not give an infinite loss


def info_nce(positive: Tensor, negatives: Tensor, temperature: float = 0.07, counted: Tensor | None = None) -> Tensor:
    """InfoNCE (van den Oord et al., 2018, arXiv 1807.03748; the loss of TCA), the mean over anchors of

        -log( exp(p / t) / (exp(p / t) + sum_j exp(n_j / t)) )

    for positive (B,) and negatives (B, N), temperature t.
    """
    return _cross_entropy(positive / temperature, negatives / temperature, counted)


def circle(
    positive: Tensor, negatives: Tensor, gamma: float = 256.0, margin: float = 0.25, counted: Tensor | None = None
) -> Tensor:
    """Circle loss (Sun et al., CVPR 2020, arXiv 2002.10857; used by TCA), the mean over anchors of

        -log( exp(g a_p (p - 1 + m)) / (exp(g a_p (p - 1 + m)) + sum_j exp(g a_j (n_j - m))) ),
        a_p = max(0, 1 + m - p),   a_j = max(0, n_j + m)

    for positive (B,) and negatives (B, N), scale g, margin m: InfoNCE at the temperature 1 / g, in which a similarity
    has more weight the further it is from its optimum. As in Sun et al., no gradient flows through the weights a; the
    gradient on n_j is softmax_j g a_j. TCA's published code weights rows of the batch instead of the positive's column;
    this follows the equation.
    """
    weight_positive = relu(1 + margin - positive.detach())
    weight_negative = relu(negatives.detach() + margin)
    return _cross_entropy(
        gamma * weight_positive * (positive - 1 + margin), gamma * weight_negative * (negatives - margin), counted
    )


def triplet(positive: Tensor, negatives: Tensor, margin: float = 0.2, counted: Tensor | None = None) -> Tensor:
    """Triplet loss with the hardest negative (FaceNet, Schroff et al., CVPR 2015), the mean over anchors of

        max(0, max_j n_j - p + m)

    for positive (B,) and negatives (B, N), margin m, on cosines: |a - b|^2 = 2 - 2 a.b of unit vectors makes it half
    the loss on squared distances at the margin 2 m. Only the hardest negative of an anchor ever gets a gradient.
    """
    if counted is not None:
        negatives = negatives.masked_fill(~counted, float("-inf"))
    # The extra column makes the maximum defined even without negatives.
    hardest = torch.cat([negatives, torch.full_like(positive, float("-inf")).unsqueeze(1)], dim=1).amax(dim=1)
    return relu(hardest - positive + margin).mean()


def koleo(descriptors: Tensor, works: Tensor) -> Tensor:
    """Kozachenko-Leonenko estimate of differential entropy, negated, of unit rows (B, D) that show the works (B,):

        -1/B sum_i log( min_{j shows another work than i} |x_i - x_j| )

    Sablayrolles et al. (ICLR 2019, arXiv 1806.03198). SSCD (CVPR 2022, arXiv 2202.10261) adds it to InfoNCE so that
    distances mean the same everywhere on the sphere. Views of x_i's own picture are left out, because a copy must never
    be pushed away from its original. Raises ValueError for a single work.
    """
    if bool((works == works[0]).all()):
        raise ValueError("rows of a single work have no nearest other work")
    with torch.no_grad():
        similarity = descriptors @ descriptors.T
        nearest = similarity.masked_fill(works.unsqueeze(1) == works, -2).argmax(dim=1)
    distance = (descriptors - descriptors[nearest]).norm(dim=1)
    return -torch.log(distance + CLOSEST).mean()


def _cross_entropy(wanted: Tensor, others: Tensor, counted: Tensor | None) -> Tensor:
    """The mean over anchors of -log softmax of the wanted logit (B,) among itself and the others (B, N)."""
    if counted is not None:
        others = others.masked_fill(~counted, float("-inf"))
    every: Tensor = torch.logsumexp(torch.cat([wanted.unsqueeze(1), others], dim=1), dim=1)
    return (every - wanted).mean()
