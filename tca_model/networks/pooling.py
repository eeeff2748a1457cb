"""From stage maps to one vector per image: iMAC and L3-iRMAC (TCA, arXiv 2008.01334, section 3.1).

Both treat the four stage maps in the same way and concatenate the results: 3840 dimensions for ResNet-50.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

GRID = 3  # regions per side


def imac(stage: Tensor) -> Tensor:
    """Maximum over all locations, each L2-normalised over channels: (B, C, H, W) -> (B, C)."""
    return normalize(stage, dim=1).amax(dim=(2, 3))


def irmac(stage: Tensor) -> Tensor:
    """Sum of L2-normalised region maxima, L2-normalised: (B, C, H, W) -> (B, C).

        v = L2( sum_r L2( max_{(y, x) in r} stage[:, :, y, x] ) ),  r over 3 x 3 overlapping regions

    A region spans 3/7 of a side. On maps whose side is a multiple of 7 (any input of 224 k pixels) these are exactly
    the windows of the paper's code, p = int(2 n / 7), kernel int(1.5 p), stride p. On other maps that formula gives
    four or five regions per side; evenly spaced starts keep the 3 x 3 that the paper states.
    """
    rows, columns = _windows(stage.shape[2]), _windows(stage.shape[3])
    regions = [stage[:, :, row, column].amax(dim=(2, 3)) for row in rows for column in columns]
    # (R, B, C): every region has the same weight, however strong its response
    return normalize(normalize(torch.stack(regions), dim=2).sum(dim=0), dim=1)


def _windows(side: int) -> list[slice]:
    length = -(-3 * side // 7)
    starts = [round(i * (side - length) / (GRID - 1)) for i in range(GRID)]
    return [slice(start, start + length) for start in starts]


def l3_imac(stages: list[Tensor]) -> Tensor:
    """iMAC of every stage map, concatenated: (B, sum C_i)."""
    return torch.cat([imac(stage) for stage in stages], dim=1)


def l3_irmac(stages: list[Tensor]) -> Tensor:
    """iRMAC of every stage map, concatenated: (B, sum C_i)."""
    return torch.cat([irmac(stage) for stage in stages], dim=1)


POOLINGS = {"l3-imac": l3_imac, "l3-irmac": l3_irmac}
