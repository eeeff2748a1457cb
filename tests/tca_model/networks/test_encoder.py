import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from tca_model.config import EncoderConfig
from tca_model.networks.aggregators import MeanAggregator
from tca_model.networks.encoder import TCAEncoder, build_encoder

Array = NDArray[np.float64]
DIMENSION, HEADS, FEED_FORWARD = 8, 2, 12


def encoder(seed: int = 0, layers: int = 1) -> TCAEncoder:
    """A small one in evaluation mode, every weight random: an untrained norm would hide a missing factor."""
    module = TCAEncoder(DIMENSION, EncoderConfig(layers=layers, heads=HEADS, feed_forward=FEED_FORWARD, dropout=0.5))
    numbers = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=numbers) * 0.5
    return module.eval()


AGGREGATORS = pytest.mark.parametrize("module", [MeanAggregator(), encoder(), encoder(layers=2)])


def segment(seed: int, frames: int) -> Tensor:
    rows = torch.randn(frames, DIMENSION, generator=torch.Generator().manual_seed(seed))
    return normalize(rows, dim=1)


def whole(frames: int, batch: int = 1) -> Tensor:
    return torch.ones(batch, frames, dtype=torch.bool)


def pad_all(segments: list[Tensor], filler: float = 0.0) -> tuple[Tensor, Tensor]:
    longest = max(len(frames) for frames in segments)
    frames = torch.full((len(segments), longest, DIMENSION), filler)
    present = torch.zeros(len(segments), longest, dtype=torch.bool)
    for row, real in enumerate(segments):
        frames[row, : len(real)] = real
        present[row, : len(real)] = True
    return frames, present


def slow_layer(frames: Array, weights: dict[str, Array]) -> Array:
    """One encoder layer, post-norm: x = norm1(x + attention(x)), then norm2(x + feed_forward(x))."""
    attended = slow_attention(frames, weights)
    after = np.array(
        [
            slow_norm(x + a, weights["norm1.weight"], weights["norm1.bias"])
            for x, a in zip(frames, attended, strict=True)
        ]
    )
    out = []
    for x in after:
        hidden = np.maximum(weights["linear1.weight"] @ x + weights["linear1.bias"], 0)
        y = weights["linear2.weight"] @ hidden + weights["linear2.bias"]
        out.append(slow_norm(x + y, weights["norm2.weight"], weights["norm2.bias"]))
    return np.array(out)


def slow_attention(frames: Array, weights: dict[str, Array]) -> Array:
    value, value_bias = (
        np.split(weights["self_attn.in_proj_weight"], 3)[2],
        np.split(weights["self_attn.in_proj_bias"], 3)[2],
    )
    out = []
    for i in range(len(frames)):
        heads = []
        for head, shares in enumerate(slow_shares(frames, weights)[:, i]):
            own = slice(head * DIMENSION // HEADS, (head + 1) * DIMENSION // HEADS)
            values = [(value @ other + value_bias)[own] for other in frames]
            heads.append(sum(share * v for share, v in zip(shares, values, strict=True)))
        out.append(weights["self_attn.out_proj.weight"] @ np.concatenate(heads) + weights["self_attn.out_proj.bias"])
    return np.array(out)


def slow_shares(frames: Array, weights: dict[str, Array]) -> Array:
    """How much of each frame's attention (second axis) goes to each (third axis), in each head."""
    width = DIMENSION // HEADS
    query, key, _ = np.split(weights["self_attn.in_proj_weight"], 3)
    query_bias, key_bias, _ = np.split(weights["self_attn.in_proj_bias"], 3)
    shares = np.zeros((HEADS, len(frames), len(frames)))
    for head in range(HEADS):
        own = slice(head * width, (head + 1) * width)
        for i, x in enumerate(frames):
            q = (query @ x + query_bias)[own]
            scores = [float(q @ (key @ other + key_bias)[own]) / math.sqrt(width) for other in frames]
            exponentials = [math.exp(score - max(scores)) for score in scores]
            shares[head, i] = [e / sum(exponentials) for e in exponentials]
    return shares


def slow_norm(x: Array, weight: Array, bias: Array) -> Array:
    mean = sum(x) / len(x)
    variance = sum((x - mean) ** 2) / len(x)
    return np.asarray((x - mean) / math.sqrt(variance + 1e-5) * weight + bias)


def slow_unit(x: Array) -> Array:
    return np.asarray(x / math.sqrt(sum(x * x)))


@pytest.mark.parametrize("layers", [1, 2])
def test_the_encoder_equals_the_slow_loop(layers: int) -> None:
    module, frames = encoder(layers=layers), segment(1, 5)
    expected = frames.double().numpy() * math.sqrt(DIMENSION)
    for layer in module.layers.layers:
        weights = {name: tensor.double().numpy() for name, tensor in layer.state_dict().items()}
        expected = slow_layer(expected, weights)
    with torch.inference_mode():
        encoded = module(frames.unsqueeze(0), whole(5))
    for refined, x in zip(encoded.refined[0], expected, strict=True):
        np.testing.assert_allclose(refined, slow_unit(x), atol=1e-5)
    # the mean is over the outputs of the layer, not over their unit rows
    np.testing.assert_allclose(encoded.segment[0], slow_unit(np.mean(expected, axis=0)), atol=1e-5)


def test_an_untrained_encoder_is_nearly_the_mean() -> None:
    frames = normalize(torch.randn(1, 9, 256, generator=torch.Generator().manual_seed(3)), dim=2)
    present = whole(9)
    mean = MeanAggregator()(frames, present)
    with torch.inference_mode():
        encoded = TCAEncoder(256, EncoderConfig(layers=2)).eval()(frames, present)
    assert float((encoded.refined * mean.refined).sum(dim=2).min()) > 0.95
    assert float((encoded.segment * mean.segment).sum(dim=1)) > 0.99


def test_attention_weights_equal_the_slow_loop() -> None:
    module, segments = encoder(layers=2), [segment(1, 5), segment(2, 3)]
    with torch.inference_mode():
        weights = module.attention(*pad_all(segments, filler=float("nan")))
    assert weights.shape == (2, 2, HEADS, 5, 5)
    for row, frames in enumerate(segments):
        x = frames.double().numpy() * math.sqrt(DIMENSION)
        for number, layer in enumerate(module.layers.layers):
            of_layer = {name: tensor.double().numpy() for name, tensor in layer.state_dict().items()}
            real = weights[number, row, :, : len(frames)]
            np.testing.assert_allclose(real[..., : len(frames)], slow_shares(x, of_layer), atol=1e-5)
            assert real[..., len(frames) :].eq(0).all()
            x = slow_layer(x, of_layer)


def test_the_mean_aggregator_equals_the_slow_loop() -> None:
    segments = [segment(2, 4), segment(3, 1), segment(4, 6)]
    encoded = MeanAggregator()(*pad_all(segments, filler=9.0))
    for row, frames in enumerate(segments):
        total = np.zeros(DIMENSION)
        for frame in frames.double().numpy():
            total += frame
        np.testing.assert_allclose(encoded.segment[row], slow_unit(total / len(frames)), atol=1e-6)
        torch.testing.assert_close(encoded.refined[row, : len(frames)], frames)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    filler=st.sampled_from([0.0, 1e4, float("inf"), float("nan")]),
    layers=st.sampled_from([0, 1, 2]),
)
def test_padding_never_leaks(seed: int, lengths: list[int], filler: float, layers: int) -> None:
    module = encoder(layers=layers) if layers else MeanAggregator()
    segments = [segment(seed + i, length) for i, length in enumerate(lengths)]
    with torch.inference_mode():
        encoded = module(*pad_all(segments, filler))
        for row, frames in enumerate(segments):
            alone = module(frames.unsqueeze(0), whole(len(frames)))
            torch.testing.assert_close(encoded.refined[row, : len(frames)], alone.refined[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(encoded.segment[row], alone.segment[0], atol=1e-5, rtol=1e-5)
            assert encoded.refined[row, len(frames) :].eq(0).all()


def test_padding_may_be_anywhere() -> None:
    frames, holes = segment(5, 6).unsqueeze(0), torch.tensor([[True, False, True, True, False, True]])
    real = frames[holes].unsqueeze(0)
    with torch.inference_mode():
        torch.testing.assert_close(encoder()(frames, holes).segment, encoder()(real, whole(4)).segment)


@AGGREGATORS
def test_the_order_of_frames_does_not_matter(module: nn.Module) -> None:
    frames, order = segment(6, 7), torch.tensor([3, 0, 6, 1, 5, 2, 4])
    with torch.inference_mode():
        straight, shuffled = module(frames[None], whole(7)), module(frames[order][None], whole(7))
    torch.testing.assert_close(shuffled.segment, straight.segment, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(shuffled.refined[0], straight.refined[0, order], atol=1e-5, rtol=1e-5)


@AGGREGATORS
def test_rows_have_length_1_and_the_input_is_not_changed(module: nn.Module) -> None:
    frames, present = pad_all([segment(7, 5), segment(8, 2)])
    before = frames.clone(), present.clone()
    with torch.inference_mode():
        encoded = module(frames, present)
    assert torch.equal(frames, before[0])
    assert torch.equal(present, before[1])
    torch.testing.assert_close(encoded.segment.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(encoded.refined.norm(dim=2), present.float())


@AGGREGATORS
def test_the_type_is_that_of_the_input(module: nn.Module) -> None:
    module = module.double()
    encoded = module(segment(9, 3).double()[None], whole(3))
    assert encoded.refined.dtype == encoded.segment.dtype == torch.float64
    module.float()


@AGGREGATORS
def test_a_segment_without_a_real_frame_is_rejected(module: nn.Module) -> None:
    with pytest.raises(ValueError, match="at least one real frame"):
        module(torch.zeros(2, 3, DIMENSION), torch.tensor([[True, False, False], [False, False, False]]))


def test_in_training_neither_result_nor_gradient_depends_on_padding() -> None:
    module = encoder().train()
    frames, present = pad_all([segment(10, 5), segment(11, 2)], filler=float("nan"))
    module(frames, present).segment.sum().backward()
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


def test_evaluation_is_the_same_with_and_without_gradients() -> None:
    # PyTorch has two implementations of the layer; one runs only without gradients
    frames, present = pad_all([segment(12, 5), segment(13, 2)])
    with_gradients = encoder()(frames, present)
    with torch.inference_mode():
        without = encoder()(frames, present)
    torch.testing.assert_close(with_gradients.refined.detach(), without.refined, atol=1e-5, rtol=1e-5)


def test_the_configuration_selects_the_aggregator() -> None:
    assert isinstance(build_encoder(16, EncoderConfig(aggregator="mean")), MeanAggregator)
    module = build_encoder(16, EncoderConfig(layers=3, heads=4, feed_forward=24))
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    assert sum(name.endswith("norm1.weight") for name in shapes) == 3
    assert shapes["layers.layers.2.linear1.weight"] == (24, 16)
    assert not build_encoder(16, EncoderConfig(aggregator="mean")).state_dict()


@AGGREGATORS
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu(module: nn.Module) -> None:
    frames, present = pad_all([segment(14, 5), segment(15, 2)], filler=float("nan"))
    with torch.inference_mode():
        expected = module(frames, present)
        encoded = module.cuda()(frames.cuda(), present.cuda())
    module.cpu()
    assert encoded.refined.is_cuda
    torch.testing.assert_close(encoded.refined.cpu(), expected.refined, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(encoded.segment.cpu(), expected.segment, atol=1e-3, rtol=1e-3)
