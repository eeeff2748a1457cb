"""Contrastive losses on similarities: one positive and many negatives an anchor.

Letters: B anchors, N negatives each, D dimension. Similarities are cosines; `counted` (B, N) says which negatives
count: one that shows the anchor's own work does not.
"""

import torch
from torch import Tensor

CLOSEST = 1e-8  # two equal descriptors must not give an infinite loss


def info_nce(positive: Tensor, negatives: Tensor, temperature: float = 0.07, counted: Tensor | None = None) -> Tensor:
    """InfoNCE (van den Oord et al., 2018; TCA, equation 5), the mean over anchors of

        -log( exp(p / t) / (exp(p / t) + sum_j exp(n_j / t)) )

    for positive (B,) and negatives (B, N), temperature t. With no negative that counts it is 0.
    """
    logits = negatives / temperature
    if counted is not None:
        logits = logits.masked_fill(~counted, float("-inf"))
    wanted = positive / temperature
    every: Tensor = torch.logsumexp(torch.cat([wanted.unsqueeze(1), logits], dim=1), dim=1)
    return (every - wanted).mean()


def koleo(descriptors: Tensor) -> Tensor:
    """Kozachenko-Leonenko estimate of differential entropy, negated, of unit rows (B, D):

        -1/B sum_i log( min_{j != i} |x_i - x_j| )

    Sablayrolles et al. (ICLR 2019, arXiv 1806.03198); SSCD (CVPR 2022) adds it to InfoNCE, so that distances mean the
    same all over the sphere. B is at least 2.
    """
    with torch.no_grad():
        similarity = descriptors @ descriptors.T
        nearest = similarity.fill_diagonal_(-2).argmax(dim=1)
    distance = (descriptors - descriptors[nearest]).norm(dim=1)
    return -torch.log(distance + CLOSEST).mean()
