"""TCA_v: a small trainable network that reads a similarity matrix as a picture and scores the pair of videos.

ViSiL (Kordopatis-Zilos et al., ICCV 2019, arXiv 1908.07410, section 3.3): shared content appears as diagonals, which
convolutions enhance and chamfer similarity sums up. The `score` is a similarity, not a joined score or a probability;
only the ablations use it. Letters: B pairs, Tq and Tr frames.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import hardtanh, max_pool2d, pad, relu

CHANNELS = (32, 64, 128)


class Comparison(NamedTuple):
    """`excess` is ViSiL's similarity regularisation (equation 6), a separate loss per pair:

        sum_ij max(0, S_ij - 1) + max(0, -1 - S_ij)

    for the output S before clipping, which removes the gradient. ViSiL adds a tenth of it to its triplet loss.
    """

    score: Tensor  # (B,) in [-1, 1], the query's directed similarity to the reference
    excess: Tensor  # (B,) at least 0


class VideoComparator(nn.Module):
    """3 x 3 convolutions to 32, 64 and 128 channels, halving between them, 1 x 1 to one, hard tanh, chamfer similarity.

    The last frame is repeated beyond the end. ViSiL's halving drops an odd last frame; here it is kept, so that videos
    of any length, even one frame, have a score. Transpose the matrix for the other direction.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3) for before, after in zip((1, *CHANNELS), CHANNELS, strict=False)
        )
        self.to_one = nn.Conv2d(CHANNELS[-1], 1, 1)
        for layer in (*self.convolutions, self.to_one):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, similarity: Tensor, query_present: Tensor, reference_present: Tensor) -> Comparison:
        """Score similarity matrices (B, Tq, Tr); (B, Tq) and (B, Tr) bool mark the real frames, padding comes last.

        Values in padding change no result and no gradient. Raises ValueError if a video has no real frame, padding
        comes before one, or shapes do not fit.
        """
        if similarity.shape != (*query_present.shape, reference_present.shape[-1]):
            raise ValueError(
                f"matrices {tuple(similarity.shape)} do not fit {tuple(query_present.shape)} query frames "
                f"and {tuple(reference_present.shape)} reference frames"
            )
        rows, columns = _counts(query_present), _counts(reference_present)
        maps = similarity.unsqueeze(1)
        for number, convolve in enumerate(self.convolutions):
            if number:
                maps = max_pool2d(_extend_borders(maps, rows, columns), 2, ceil_mode=True)
                rows, columns = (rows + 1) // 2, (columns + 1) // 2
            maps = relu(convolve(pad(_extend_borders(maps, rows, columns), (1, 1, 1, 1), mode="replicate")))
        output = self.to_one(maps).squeeze(1)
        return _compare_real(output, _real(rows, output.shape[1]), _real(columns, output.shape[2]))


def _compare_real(output: Tensor, rows: Tensor, columns: Tensor) -> Comparison:
    """The comparison from the output matrix (B, R, C); (B, R) and (B, C) bool mark the real rows and columns."""
    real = rows.unsqueeze(2) & columns.unsqueeze(1)
    excess = torch.where(real, output - hardtanh(output), 0).abs().sum(dim=(1, 2))
    nearest = hardtanh(output).masked_fill(~columns.unsqueeze(1), -1).amax(dim=2)
    score = torch.where(rows, nearest, 0).sum(dim=1) / rows.sum(dim=1)
    return Comparison(score, excess)


def _extend_borders(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Maps (B, C, R, S) with the last real row and column repeated in the padding."""
    height, width = maps.shape[2:]
    at = torch.arange(max(height, width), device=maps.device)
    row = torch.minimum(at[:height], rows.unsqueeze(1) - 1)[:, None, :, None]
    column = torch.minimum(at[:width], columns.unsqueeze(1) - 1)[:, None, None, :]
    return maps.gather(2, row.expand(maps.shape)).gather(3, column.expand(maps.shape))


def _counts(present: Tensor) -> Tensor:
    counts = present.sum(dim=1)
    if not bool(counts.all()) or not torch.equal(present, _real(counts, present.shape[1])):
        raise ValueError("every video needs at least one real frame, and padding comes after the real frames")
    return counts


def _real(counts: Tensor, length: int) -> Tensor:
    return torch.arange(length, device=counts.device) < counts.unsqueeze(1)
