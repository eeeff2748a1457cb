import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tca_model.networks.pooling import POOLINGS, _windows, imac, irmac, l3_imac, l3_irmac

Pooling = Callable[[Tensor], Tensor]
BOTH = pytest.mark.parametrize("pool", [imac, irmac])


def stage_map(seed: int, shape: tuple[int, int, int, int]) -> Tensor:
    """A map as after a ReLU: half of it is zero."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).clamp(min=0)


def unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]


def slow_imac(image: Tensor) -> list[float]:
    channels, height, width = image.shape
    best = [-math.inf] * channels
    for y in range(height):
        for x in range(width):
            location = unit(image[:, y, x].tolist())
            best = [max(pair) for pair in zip(best, location, strict=True)]
    return best


def slow_irmac(image: Tensor, windows: Callable[[int], list[range]]) -> list[float]:
    channels, height, width = image.shape
    total = [0.0] * channels
    for rows in windows(height):
        for columns in windows(width):
            region = unit([max(float(image[c, y, x]) for y in rows for x in columns) for c in range(channels)])
            total = [sum(pair) for pair in zip(total, region, strict=True)]
    return unit(total)


def papers_windows(side: int) -> list[range]:
    """As in the paper's code: a max pool of kernel int(1.5 p) and stride p, p = int(2 n / 7), without padding."""
    p = int(2 * side / 7)
    kernel = int(1.5 * p)
    return [range(start, start + kernel) for start in range(0, side - kernel + 1, p)]


def our_windows(side: int) -> list[range]:
    return [range(window.start, window.stop) for window in _windows(side)]


def test_imac_equals_the_slow_loop() -> None:
    stage = stage_map(0, (3, 4, 5, 6)) + 0.01
    for image, vector in zip(stage, imac(stage), strict=True):
        assert vector.tolist() == pytest.approx(slow_imac(image), abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (14, 7), (5, 10), (2, 3), (1, 1)])
def test_irmac_equals_the_slow_loop(height: int, width: int) -> None:
    stage = stage_map(1, (2, 4, height, width)) + 0.01
    for image, vector in zip(stage, irmac(stage), strict=True):
        assert vector.tolist() == pytest.approx(slow_irmac(image, our_windows), abs=1e-6)


@pytest.mark.parametrize("side", [7, 14, 28, 56])
def test_on_the_papers_input_size_the_regions_are_the_papers(side: int) -> None:
    assert our_windows(side) == papers_windows(side)
    assert len(papers_windows(side)) == 3
    stage = stage_map(2, (1, 2, side, side)) + 0.01
    assert irmac(stage)[0].tolist() == pytest.approx(slow_irmac(stage[0], papers_windows), abs=1e-6)


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 6, 8, 10, 13, 20, 40, 64, 100])
def test_on_any_input_three_regions_per_side_cover_the_map(side: int) -> None:
    windows = our_windows(side)
    assert len(windows) == 3
    assert {position for window in windows for position in window} == set(range(side))
    assert {len(window) for window in windows} == {math.ceil(3 * side / 7)}


def test_every_location_of_a_map_matters() -> None:
    for y in range(10):
        for x in range(5):
            stage = torch.zeros(1, 2, 10, 5)
            stage[0, 1, y, x] = 1
            assert irmac(stage).tolist() == [[0, 1]]
            assert imac(stage).tolist() == [[0, 1]]


@BOTH
def test_a_batch_equals_its_images_one_by_one(pool: Pooling) -> None:
    stage = stage_map(3, (5, 6, 10, 10))
    single = torch.cat([pool(image.unsqueeze(0)) for image in stage])
    torch.testing.assert_close(pool(stage), single)


@BOTH
def test_the_scale_of_a_whole_map_does_not_matter(pool: Pooling) -> None:
    stage = stage_map(4, (2, 6, 10, 10))
    torch.testing.assert_close(pool(stage * 7.5), pool(stage))


@BOTH
def test_a_map_of_zeros_gives_zeros_not_nan(pool: Pooling) -> None:
    assert pool(torch.zeros(2, 3, 7, 7)).eq(0).all()


@BOTH
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_type_is_that_of_the_map_which_is_not_changed(pool: Pooling, dtype: torch.dtype) -> None:
    stage = stage_map(5, (2, 6, 7, 7)).to(dtype)
    before = stage.clone()
    assert pool(stage).dtype == dtype
    assert torch.equal(stage, before)


@BOTH
def test_the_memory_layout_does_not_matter(pool: Pooling) -> None:
    stage = stage_map(6, (2, 6, 10, 10))
    torch.testing.assert_close(pool(stage.to(memory_format=torch.channels_last)), pool(stage))


def test_l3_concatenates_all_stages() -> None:
    stages = [stage_map(7 + i, (2, 3 + i, side, side)) for i, side in enumerate((40, 20, 10, 5))]
    for name, one, all_stages in (("l3-imac", imac, l3_imac), ("l3-irmac", irmac, l3_irmac)):
        pooled = all_stages(stages)
        assert POOLINGS[name] is all_stages
        assert pooled.shape == (2, 3 + 4 + 5 + 6)
        assert torch.equal(pooled, torch.cat([one(stage) for stage in stages], dim=1))
    # each stage has the same weight: one unit vector per stage
    for part in torch.split(l3_irmac(stages), [3, 4, 5, 6], dim=1):
        torch.testing.assert_close(part.norm(dim=1), torch.ones(2))


@BOTH
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu(pool: Pooling) -> None:
    stage = stage_map(8, (4, 16, 10, 10))
    pooled = pool(stage.cuda())
    assert pooled.is_cuda
    torch.testing.assert_close(pooled.cpu(), pool(stage), atol=1e-3, rtol=1e-3)
