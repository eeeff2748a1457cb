"""The alternatives to TCA: NetVLAD, LSTM and GRU compared with slow loops, padding, training."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from tca_model.bundle import load_bundle
from tca_model.config import EncoderConfig
from tca_model.networks.aggregators import NetVLAD, RecurrentAggregator
from tca_model.networks.encoder import build_encoder

Array = NDArray[np.float64]
DIMENSION = 6
NAMES = ["netvlad", "lstm", "gru"]
EACH = pytest.mark.parametrize("name", NAMES)


def aggregator(name: str, **values: object) -> nn.Module:
    """A small one in evaluation mode, every weight random."""
    module = build_encoder(
        DIMENSION, EncoderConfig.model_validate({"aggregator": name, "clusters": 3, "layers": 2} | values)
    )
    numbers = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=numbers) * 0.7
    return module.eval()


MODULES = {name: aggregator(name) for name in NAMES}


def segment(seed: int, frames: int) -> Tensor:
    return normalize(torch.randn(frames, DIMENSION, generator=torch.Generator().manual_seed(seed)), dim=1)


def whole(frames: int) -> Tensor:
    return torch.ones(1, frames, dtype=torch.bool)


def slow_unit(x: Array) -> Array:
    return np.asarray(x / math.sqrt(sum(x * x)))


def slow_sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def weights_of(module: nn.Module) -> dict[str, Array]:
    return {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}


def slow_netvlad(frames: Array, weights: dict[str, Array]) -> Array:
    centres = weights["centres"]
    parts = [np.zeros(DIMENSION) for _ in centres]
    for x in frames:
        logits = [w @ x + b for w, b in zip(weights["assign.weight"], weights["assign.bias"], strict=True)]
        total = sum(math.exp(logit) for logit in logits)
        for k, logit in enumerate(logits):
            parts[k] += math.exp(logit) / total * (x - centres[k])
    vlad = slow_unit(np.concatenate([slow_unit(part) for part in parts]))
    return slow_unit(weights["project.weight"] @ vlad + weights["project.bias"])


def slow_lstm_step(gates: Array, cell: Array) -> tuple[Array, Array]:
    keep_in, forget, new, out = np.split(gates, 4)
    cell = slow_sigmoid(forget) * cell + slow_sigmoid(keep_in) * np.tanh(new)
    return slow_sigmoid(out) * np.tanh(cell), cell


def slow_recurrent(name: str, frames: Array, weights: dict[str, Array]) -> Array:
    """Outputs (T, D) of two layers, by the equations of Hochreiter and Schmidhuber (1997) and Cho et al. (2014)."""
    inputs = frames
    for layer in range(2):
        into, bias = weights[f"layers.weight_ih_l{layer}"], weights[f"layers.bias_ih_l{layer}"]
        across, bias_across = weights[f"layers.weight_hh_l{layer}"], weights[f"layers.bias_hh_l{layer}"]
        hidden, cell = np.zeros(DIMENSION), np.zeros(DIMENSION)
        outputs = []
        for x in inputs:
            left, right = into @ x + bias, across @ hidden + bias_across
            if name == "lstm":
                hidden, cell = slow_lstm_step(left + right, cell)
            else:
                (r_left, z_left, n_left), (r_right, z_right, n_right) = np.split(left, 3), np.split(right, 3)
                reset, update = slow_sigmoid(r_left + r_right), slow_sigmoid(z_left + z_right)
                hidden = (1 - update) * np.tanh(n_left + reset * n_right) + update * hidden
            outputs.append(hidden)
        inputs = np.array(outputs)
    return inputs


def test_netvlad_equals_the_slow_loop_and_does_not_change_frames() -> None:
    frames = segment(1, 5)
    with torch.inference_mode():
        encoded = MODULES["netvlad"](frames[None], whole(5))
    expected = slow_netvlad(frames.double().numpy(), weights_of(MODULES["netvlad"]))
    np.testing.assert_allclose(encoded.segment[0], expected, atol=1e-5)
    torch.testing.assert_close(encoded.refined[0], frames)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_recurrent_aggregators_equal_the_slow_loop(name: str) -> None:
    frames = segment(2, 5)
    with torch.inference_mode():
        encoded = MODULES[name](frames[None], whole(5))
    outputs = slow_recurrent(name, frames.double().numpy(), weights_of(MODULES[name]))
    np.testing.assert_allclose(encoded.refined[0], [slow_unit(row) for row in outputs], atol=1e-5)
    np.testing.assert_allclose(encoded.segment[0], slow_unit(outputs.sum(axis=0) / 5), atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(
    name=st.sampled_from(NAMES),
    seed=st.integers(0, 2**16),
    present=st.lists(st.lists(st.booleans(), min_size=6, max_size=6).filter(any), min_size=1, max_size=4),
    filler=st.sampled_from([0.0, 1e4, float("inf"), float("nan")]),
)
def test_padding_never_leaks_wherever_it_is(name: str, seed: int, present: list[list[bool]], filler: float) -> None:
    real = torch.tensor(present)
    frames = torch.stack([segment(seed + row, 6) for row in range(len(real))])
    with torch.inference_mode():
        encoded = MODULES[name](torch.where(real[..., None], frames, filler), real)
        for row, holds in enumerate(real):
            alone = MODULES[name](frames[row, holds][None], whole(int(holds.sum())))
            torch.testing.assert_close(encoded.segment[row], alone.segment[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(encoded.refined[row, holds], alone.refined[0], atol=1e-5, rtol=1e-5)
            assert encoded.refined[row, ~holds].eq(0).all()


@EACH
def test_rows_have_length_1_the_type_is_kept_and_the_input_not_changed(name: str) -> None:
    frames, present = segment(3, 4).double()[None], torch.tensor([[True, True, False, True]])
    before = frames.clone(), present.clone()
    encoded = aggregator(name).double()(frames, present)
    assert encoded.segment.dtype == encoded.refined.dtype == torch.float64
    torch.testing.assert_close(encoded.segment.norm(dim=1), torch.ones(1).double())
    torch.testing.assert_close(encoded.refined.norm(dim=2), present.double())
    assert torch.equal(frames, before[0])
    assert torch.equal(present, before[1])


@EACH
def test_in_training_no_gradient_depends_on_padding(name: str) -> None:
    module = aggregator(name, dropout=0.2).train()
    frames = torch.full((2, 5, DIMENSION), float("nan"))
    frames[0], frames[1, :2] = segment(4, 5), segment(5, 2)
    encoded = module(frames, torch.tensor([[True] * 5, [True] * 2 + [False] * 3]))
    (encoded.segment.sum() + encoded.refined.sum()).backward()
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()


@EACH
def test_a_segment_without_a_real_frame_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="at least one real frame"):
        MODULES[name](torch.zeros(2, 3, DIMENSION), torch.tensor([[True, False, False], [False, False, False]]))


def test_order_matters_for_recurrent_aggregators_only() -> None:
    frames, order = segment(6, 5), torch.tensor([3, 0, 4, 1, 2])
    with torch.inference_mode():
        moved = {
            n: (m(frames[None], whole(5))[1] - m(frames[order][None], whole(5))[1]).norm() for n, m in MODULES.items()
        }
    assert moved["netvlad"] < 1e-5
    assert moved["lstm"] > 1e-3
    assert moved["gru"] > 1e-3


def test_the_configuration_selects_the_aggregator() -> None:
    shapes = {name: tuple(t.shape) for name, t in aggregator("netvlad", clusters=7).state_dict().items()}
    assert shapes["centres"] == (7, DIMENSION)
    assert shapes["project.weight"] == (DIMENSION, 7 * DIMENSION)
    assert isinstance(build_encoder(4, EncoderConfig(aggregator="netvlad")), NetVLAD)
    for name, kind in (("lstm", nn.LSTM), ("gru", nn.GRU)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # PyTorch warns about dropout between layers if there is only one
            module = aggregator(name, layers=1, dropout=0.5)
        assert isinstance(module, RecurrentAggregator)
        assert isinstance(module.layers, kind)
        assert module.layers.num_layers == 1


def test_untrained_netvlad_assigns_frames_clearly() -> None:
    torch.manual_seed(0)
    module = NetVLAD(128, EncoderConfig(aggregator="netvlad"))
    frames = normalize(torch.randn(500, 128), dim=1)
    with torch.inference_mode():
        shares = module.assign(frames).softmax(dim=1)
    assert torch.equal(shares.argmax(dim=1), (frames @ module.centres.T).argmax(dim=1))
    first, second = shares.topk(2, dim=1).values.T
    assert 30 < (first / second).median() < 300


def test_new_settings_do_not_change_the_version_of_old_bundles() -> None:
    assert load_bundle("bootstrap").model_version == "acb6fe215339"


@EACH
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu(name: str) -> None:
    frames, present = (
        torch.stack([segment(7, 5), segment(8, 5)]),
        torch.tensor([[True] * 5, [True, False] * 2 + [True]]),
    )
    with torch.inference_mode():
        expected = MODULES[name](frames, present)
        encoded = aggregator(name).cuda()(frames.cuda(), present.cuda())
    torch.testing.assert_close(encoded.segment.cpu(), expected.segment, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(encoded.refined.cpu(), expected.refined, atol=1e-3, rtol=1e-3)
