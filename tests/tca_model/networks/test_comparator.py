"""The video comparator compared with a slow loop, with padding and short videos; it learns."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from tca_model.networks.comparator import Comparison, VideoComparator

Array = NDArray[np.float64]


def comparator(seed: int = 0, scale: float = 1.0) -> VideoComparator:
    """Random weights, biases not zero; a large `scale` of the last layer moves the output out of [-1, 1]."""
    numbers = torch.Generator().manual_seed(seed)
    module = VideoComparator()
    for parameter in module.parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 10
        parameter.data = torch.randn(parameter.shape, generator=numbers) / fan_in**0.5
    module.to_one.weight.data *= scale
    return module.eval()


MODULE = comparator()
WIDE = comparator(1, scale=20.0)


def matrix(seed: int, rows: int, columns: int) -> Tensor:
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def compare_alone(module: VideoComparator, similarity: Tensor) -> Comparison:
    rows, columns = similarity.shape
    compared: Comparison = module(
        similarity[None], torch.ones(1, rows, dtype=torch.bool), torch.ones(1, columns, dtype=torch.bool)
    )
    return compared


def last_bias(module: VideoComparator) -> Tensor:
    assert module.to_one.bias is not None
    return module.to_one.bias


def pad_all(matrices: list[Tensor], filler: float) -> tuple[Tensor, Tensor, Tensor]:
    rows, columns = (max(m.shape[axis] for m in matrices) for axis in (0, 1))
    similarity = torch.full((len(matrices), rows, columns), filler)
    query, reference = torch.zeros(len(matrices), rows).bool(), torch.zeros(len(matrices), columns).bool()
    for number, m in enumerate(matrices):
        similarity[number, : len(m), : m.shape[1]] = m
        query[number, : len(m)] = True
        reference[number, : m.shape[1]] = True
    return similarity, query, reference


def slow_output(similarity: Array, module: VideoComparator) -> Array:
    """The output matrix before clipping, cell by cell."""
    maps = similarity[None]
    for number, layer in enumerate(module.convolutions):
        weight, bias = (layer.state_dict()[name].double().numpy() for name in ("weight", "bias"))
        if number:
            halves = [[slice(i, i + 2) for i in range(0, size, 2)] for size in maps.shape[1:]]
            maps = np.array([[[m[r, c].max() for c in halves[1]] for r in halves[0]] for m in maps])
        height, width = maps.shape[1:]
        out = np.zeros((len(weight), height, width))
        for i in range(height):
            for j in range(width):
                total = bias.copy()
                for di in (-1, 0, 1):
                    for dj in (-1, 0, 1):
                        cell = maps[:, min(max(i + di, 0), height - 1), min(max(j + dj, 0), width - 1)]
                        total += weight[:, :, di + 1, dj + 1] @ cell
                out[:, i, j] = np.maximum(total, 0)
        maps = out
    joined: Array = np.einsum("c,cij->ij", module.to_one.weight.detach().double().numpy()[0, :, 0, 0], maps)
    return joined + last_bias(module).item()


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 7), (5, 6), (9, 4)])
@pytest.mark.parametrize("module", [MODULE, WIDE])
def test_the_comparator_equals_the_slow_loop(module: VideoComparator, rows: int, columns: int) -> None:
    similarity = matrix(1, rows, columns)
    output = slow_output(similarity.double().numpy(), module)
    assert output.shape == (-(-rows // 4), -(-columns // 4))
    score = excess = 0.0
    for row in output:
        score += max(min(1.0, max(-1.0, value)) for value in row) / len(output)
        excess += sum(max(0.0, value - 1) + max(0.0, -1 - value) for value in row)
    with torch.inference_mode():
        compared = compare_alone(module, similarity)
    np.testing.assert_allclose(compared.score, [score], atol=1e-5)
    np.testing.assert_allclose(compared.excess, [excess], rtol=1e-4, atol=1e-5)


def test_the_excess_counts_outputs_out_of_bounds() -> None:
    with torch.inference_mode():
        assert compare_alone(WIDE, matrix(2, 16, 16)).excess.item() > 1
        assert compare_alone(comparator(scale=0.01), matrix(2, 16, 16)).excess.item() == 0


@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 2**16),
    sizes=st.lists(st.tuples(st.integers(1, 11), st.integers(1, 11)), min_size=1, max_size=4),
    filler=st.sampled_from([0.0, 50.0, float("-inf"), float("nan")]),
)
def test_padding_never_leaks(seed: int, sizes: list[tuple[int, int]], filler: float) -> None:
    matrices = [matrix(seed + i, *size) for i, size in enumerate(sizes)]
    with torch.inference_mode():
        together = WIDE(*pad_all(matrices, filler))
        for number, m in enumerate(matrices):
            by_itself = compare_alone(WIDE, m)
            torch.testing.assert_close(together.score[number], by_itself.score[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(together.excess[number], by_itself.excess[0], atol=1e-4, rtol=1e-4)


def test_gradients_reach_every_weight_and_real_cell_but_no_padding() -> None:
    similarity, query, reference = pad_all([matrix(3, 8, 9), matrix(4, 3, 5)], filler=float("nan"))
    similarity.requires_grad_()
    module = comparator(scale=0.3).train()
    compared = module(similarity, query, reference)
    (compared.score.sum() + 0.1 * compared.excess.mean()).backward()
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()
    assert similarity.grad is not None
    real = query[:, :, None] & reference[:, None, :]
    assert similarity.grad[~real].eq(0).all()
    assert similarity.grad.isfinite().all()
    assert similarity.grad[real].ne(0).float().mean() > 0.3


def test_the_excess_brings_a_score_back_into_bounds() -> None:
    module = comparator(scale=0.1)
    last_bias(module).data.fill_(4.0)  # clipped everywhere: the score itself has no gradient
    compared = compare_alone(module, matrix(5, 8, 8))
    assert compared.score.item() == 1.0
    (gradient,) = torch.autograd.grad(compared.excess.sum(), last_bias(module))
    assert gradient.item() > 0


def test_it_learns_that_a_diagonal_is_a_copy() -> None:
    """With two kinds of noise: other works, and the same frames shuffled, which chamfer cannot distinguish."""
    torch.manual_seed(0)
    module = VideoComparator()
    optimizer = torch.optim.Adam(module.parameters(), 1e-3)
    present = torch.ones(12, 16, dtype=torch.bool)

    def make_matrix(seed: int) -> Tensor:
        numbers = torch.Generator().manual_seed(seed)
        frames, noise, others = normalize(torch.randn(3, 4, 16, 32, generator=numbers), dim=3)
        copies = normalize(frames + 0.5 * noise, dim=2)
        shuffled = copies[:, torch.randperm(16, generator=numbers)]
        return torch.cat([frames @ other.transpose(1, 2) for other in (copies, others, shuffled)])

    for step in range(15):
        score, excess = module(make_matrix(step), present, present)
        copy, other, shuffled = score.split(4)
        loss = (torch.relu(torch.cat([other, shuffled]) - copy.repeat(2) + 1) + 0.1 * excess.mean()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        copy, other, shuffled = module(make_matrix(1000), present, present).score.split(4)
    assert copy.min() > other.max() + 0.5
    assert copy.min() > shuffled.max() + 0.5


@pytest.mark.parametrize(
    ("query", "reference", "message"),
    [
        ([[True, True, True]], [[False, False]], "at least one real frame"),
        ([[False, True, True]], [[True, True]], "padding comes after"),
        ([[True, True]], [[True, True]], "do not fit"),
        ([[True] * 3, [True] * 3], [[True, True]], "do not fit"),
    ],
)
def test_unfit_shapes_are_rejected(query: list[list[bool]], reference: list[list[bool]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODULE(torch.zeros(1, 3, 2), torch.tensor(query), torch.tensor(reference))


def test_the_type_is_that_of_the_input_which_is_not_changed() -> None:
    similarity, query, reference = pad_all([matrix(6, 5, 5), matrix(7, 2, 3)], filler=0.0)
    before = similarity.clone()
    compared = comparator().double()(similarity.double(), query, reference)
    assert compared.score.dtype == compared.excess.dtype == torch.float64
    assert torch.equal(similarity, before)
