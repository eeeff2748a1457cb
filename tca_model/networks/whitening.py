"""PCA whitening of pooled vectors (Jegou and Chum, ECCV 2012; as in TCA, section 3.1), fitted in one pass."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

EIGENVALUE_FLOOR = 1e-9  # as in the paper's code: a direction without variance must not be amplified


class CovarianceAccumulator:
    """Mean and covariance of batches of vectors, in float64 and constant memory.

    Batches are merged by Chan's pairwise update, which stays exact where sums of squares would cancel.
    """

    def __init__(self, dimension: int) -> None:
        self.count = 0
        self.mean = torch.zeros(dimension, dtype=torch.float64)
        self._scatter = torch.zeros(dimension, dimension, dtype=torch.float64)

    def update(self, batch: Tensor) -> None:
        """Add vectors (N, D)."""
        vectors = batch.detach().to("cpu", torch.float64)
        count = self.count + len(vectors)
        if len(vectors) == 0:
            return
        mean = vectors.mean(dim=0)
        centred = vectors - mean
        shift = mean - self.mean
        between = self.count * len(vectors) / count
        self._scatter += centred.T @ centred + between * torch.outer(shift, shift)
        self.mean += shift * (len(vectors) / count)
        self.count = count

    def covariance(self) -> Tensor:
        """The unbiased covariance (D, D). Raises ValueError with fewer than two vectors."""
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 vectors, got {self.count}")
        return self._scatter / (self.count - 1)


class Whitening(nn.Module):
    """L2(((x - mean) E) / sqrt(eigenvalue)): (N, D_in) -> (N, D_out) unit rows, E the leading eigenvectors."""

    mean: Tensor
    projection: nn.Parameter  # fixed, except while a backbone is trained, which starts from it

    def __init__(self, mean: Tensor, projection: Tensor) -> None:
        super().__init__()
        if projection.ndim != 2 or mean.shape != projection.shape[:1]:
            raise ValueError(f"expected mean (D_in,), projection (D_in, D_out), got {mean.shape}, {projection.shape}")
        self.register_buffer("mean", mean)
        self.projection = nn.Parameter(projection, requires_grad=False)

    @classmethod
    def fit(cls, statistics: CovarianceAccumulator, dimension: int) -> Self:
        """The whitening to the `dimension` directions of largest variance.

        Raises ValueError if the vectors have or span fewer dimensions.
        """
        if not 1 <= dimension <= len(statistics.mean):
            raise ValueError(f"cannot whiten {len(statistics.mean)} dimensions to {dimension}")
        if statistics.count <= dimension:
            raise ValueError(
                f"{statistics.count} images cannot span {dimension} dimensions: give more, or keep fewer dimensions"
            )
        eigenvalues, eigenvectors = torch.linalg.eigh(statistics.covariance())  # ascending
        leading = eigenvalues[-dimension:].flip(0).clamp(min=EIGENVALUE_FLOOR)
        projection = eigenvectors[:, -dimension:].flip(1) / leading.sqrt()
        return cls(statistics.mean.float(), projection.float())

    def forward(self, vectors: Tensor) -> Tensor:
        """Whiten vectors (N, D_in) to unit rows (N, D_out)."""
        return normalize((vectors - self.mean) @ self.projection, dim=1)
