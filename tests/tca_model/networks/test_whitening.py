import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from tca_model.networks.whitening import CovarianceAccumulator, Whitening


def correlated_vectors(seed: int, count: int, dimension: int, *, offset: float = 0.0) -> NDArray[np.float64]:
    """Vectors with very different variances by direction and a mean far from the origin."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(dimension, dimension)) * np.geomspace(1, 0.01, dimension)
    return rng.normal(size=(count, dimension)) @ mix + rng.normal(size=dimension) + offset


def accumulate(*batches: NDArray[np.float64]) -> CovarianceAccumulator:
    statistics = CovarianceAccumulator(batches[0].shape[1])
    for batch in batches:
        statistics.update(torch.from_numpy(batch))
    return statistics


def fit_whitening(seed: int = 0, dimension: int = 5) -> tuple[Whitening, Tensor]:
    vectors = correlated_vectors(seed, 400, 8)
    return Whitening.fit(accumulate(vectors), dimension), torch.from_numpy(vectors).float()


def slow_covariance(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    count, dimension = vectors.shape
    mean = [sum(row[i] for row in vectors) / count for i in range(dimension)]
    return np.array(
        [
            [sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in vectors) / (count - 1) for j in range(dimension)]
            for i in range(dimension)
        ]
    )


def test_the_covariance_equals_the_slow_loop() -> None:
    vectors = correlated_vectors(1, 20, 4)
    np.testing.assert_allclose(accumulate(vectors).covariance(), slow_covariance(vectors), rtol=1e-10)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**16),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(lambda sizes: sum(sizes) >= 2),
    offset=st.sampled_from([0.0, 1.0, 1e6]),
)
def test_the_covariance_equals_numpys_however_the_vectors_are_split(seed: int, sizes: list[int], offset: float) -> None:
    vectors = correlated_vectors(seed, sum(sizes), 6, offset=offset)
    statistics = accumulate(*np.split(vectors, np.cumsum(sizes)[:-1]))
    assert statistics.count == len(vectors)
    np.testing.assert_allclose(statistics.mean, vectors.mean(axis=0), rtol=1e-12)
    # with an offset of 1e6 a sum of squares would be exact to only 4 of 16 digits
    np.testing.assert_allclose(statistics.covariance(), np.cov(vectors, rowvar=False), rtol=1e-6, atol=1e-8)


def test_float32_batches_are_summed_in_float64() -> None:
    vectors = torch.from_numpy(correlated_vectors(2, 300, 5, offset=100.0)).float()
    statistics = CovarianceAccumulator(5)
    for batch in torch.split(vectors, 7):
        statistics.update(batch)
    assert statistics.mean.dtype == statistics.covariance().dtype == torch.float64
    np.testing.assert_allclose(statistics.covariance(), np.cov(vectors.double().numpy(), rowvar=False), rtol=1e-9)


def test_a_covariance_needs_two_vectors() -> None:
    for count in (0, 1):
        with pytest.raises(ValueError, match=f"at least 2 vectors, got {count}"):
            accumulate(np.ones((count, 3))).covariance()


def test_the_covariance_of_whitened_vectors_is_the_identity() -> None:
    whitening, vectors = fit_whitening()
    before_l2 = ((vectors - whitening.mean) @ whitening.projection).double().numpy()
    np.testing.assert_allclose(np.cov(before_l2, rowvar=False), np.eye(5), atol=1e-3)
    np.testing.assert_allclose(before_l2.mean(axis=0), 0, atol=1e-4)


def test_whitening_follows_the_formula() -> None:
    whitening, vectors = fit_whitening(dimension=3)
    data = vectors.double().numpy()
    eigenvalues, eigenvectors = np.linalg.eigh(np.cov(data, rowvar=False))
    leading = sorted(range(8), key=lambda i: -eigenvalues[i])[:3]
    for row, result in zip(data[:20], whitening(vectors[:20]), strict=True):
        centred = row - data.mean(axis=0)
        white = [float(centred @ eigenvectors[:, i]) / float(eigenvalues[i]) ** 0.5 for i in leading]
        expected = np.array(white) / np.linalg.norm(white)
        # the sign of an eigenvector is arbitrary, but the same for all vectors
        signs = np.sign((whitening.projection.double().numpy() * eigenvectors[:, leading]).sum(axis=0))
        np.testing.assert_allclose(result, expected * signs, atol=1e-4)


def test_a_direction_without_variance_is_not_amplified() -> None:
    vectors = correlated_vectors(3, 50, 4)
    vectors[:, 2] = 7.0
    whitening = Whitening.fit(accumulate(vectors), 4)
    white = whitening(torch.from_numpy(vectors).float())
    assert white.isfinite().all()
    assert whitening.projection.abs().max() <= 1e-9**-0.5 * 1.01


@pytest.mark.parametrize("dimension", [0, 9])
def test_too_many_dimensions_or_none_are_rejected(dimension: int) -> None:
    with pytest.raises(ValueError, match=f"cannot whiten 8 dimensions to {dimension}"):
        Whitening.fit(accumulate(correlated_vectors(4, 30, 8)), dimension)


def test_more_dimensions_than_the_vectors_span_are_rejected() -> None:
    # five vectors span four directions around their mean
    with pytest.raises(ValueError, match="5 images cannot span 5 dimensions: give more"):
        Whitening.fit(accumulate(correlated_vectors(5, 5, 8)), 5)
    assert Whitening.fit(accumulate(correlated_vectors(5, 5, 8)), 4).projection.shape == (8, 4)


def test_tensors_that_do_not_fit_are_rejected() -> None:
    for mean, projection in ((torch.zeros(3), torch.zeros(4, 2)), (torch.zeros(4), torch.zeros(4))):
        with pytest.raises(ValueError, match="expected mean"):
            Whitening(mean, projection)


def test_rows_have_length_1_and_do_not_depend_on_the_batch() -> None:
    whitening, vectors = fit_whitening()
    before = vectors.clone()
    white = whitening(vectors)
    assert torch.equal(vectors, before)
    assert white.shape == (400, 5)
    torch.testing.assert_close(white.norm(dim=1), torch.ones(400))
    torch.testing.assert_close(torch.cat([whitening(row.unsqueeze(0)) for row in vectors[:9]]), white[:9])
    assert whitening(vectors[:0]).shape == (0, 5)


def test_a_whitening_is_restored_from_its_state() -> None:
    whitening, vectors = fit_whitening()
    assert whitening.state_dict().keys() == {"mean", "projection"}
    again = Whitening(**whitening.state_dict())
    assert torch.equal(again(vectors), whitening(vectors))
    assert whitening.double()(vectors.double()).dtype == torch.float64


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu() -> None:
    whitening, vectors = fit_whitening()
    expected = whitening(vectors)
    white = whitening.cuda()(vectors.cuda())
    assert white.is_cuda
    torch.testing.assert_close(white.cpu(), expected, atol=1e-3, rtol=1e-3)
    statistics = CovarianceAccumulator(8)
    statistics.update(vectors.cuda())
    np.testing.assert_allclose(statistics.covariance(), np.cov(vectors.double().numpy(), rowvar=False), rtol=1e-6)
