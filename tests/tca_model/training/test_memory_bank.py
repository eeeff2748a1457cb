"""The ring buffer of earlier keys, and the encoder that follows slowly."""

import copy

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tca_model.training.memory_bank import EMPTY, MemoryBank, momentum_update


def rows(*values: float) -> torch.Tensor:
    return torch.tensor([[value, -value] for value in values])


def test_a_new_key_replaces_the_oldest() -> None:
    bank = MemoryBank(4, 2)
    bank.push(rows(1, 2, 3), torch.tensor([1, 2, 3]))
    assert bank.ids.tolist() == [1, 2, 3, EMPTY]
    bank.push(rows(4, 5), torch.tensor([4, 5]))
    assert bank.ids.tolist() == [5, 2, 3, 4]
    assert torch.equal(bank.keys, rows(5, 2, 3, 4))


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 5), pushes=st.lists(st.integers(0, 8), max_size=6))
def test_it_holds_the_last_keys_for_any_sequence_of_pushes(size: int, pushes: list[int]) -> None:
    bank, everything = MemoryBank(size, 2), list[int]()
    for count in pushes:
        new = list(range(len(everything), len(everything) + count))
        bank.push(rows(*new).reshape(-1, 2), torch.tensor(new, dtype=torch.int64))
        everything += new
    held = {number for number in bank.ids.tolist() if number != EMPTY}
    assert held == set(everything[-size:])
    assert all(bank.keys[place, 0] == number for place, number in enumerate(bank.ids.tolist()) if number != EMPTY)


def test_empty_places_and_the_anchors_own_video_are_not_negatives() -> None:
    bank = MemoryBank(4, 2)
    bank.push(rows(1, 2, 3), torch.tensor([7, 8, 7]))
    assert bank.negatives_of(torch.tensor([7, 9])).tolist() == [[False, True, False, False], [True, True, True, False]]


def test_keys_have_no_gradient() -> None:
    bank = MemoryBank(2, 2)
    keys = rows(1.0, 2.0).requires_grad_()
    bank.push(keys * 2, torch.tensor([1, 2]))
    assert not bank.keys.requires_grad


def test_a_checkpoint_contains_the_bank() -> None:
    bank, other = MemoryBank(3, 2), MemoryBank(3, 2)
    bank.push(rows(1, 2, 3, 4), torch.tensor([1, 2, 3, 4]))
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(bank.state_dict())))
    for one in (bank, other):
        one.push(rows(5), torch.tensor([5]))
    assert torch.equal(bank.keys, other.keys)
    assert torch.equal(bank.ids, other.ids)


def test_a_bank_without_places_is_rejected() -> None:
    with pytest.raises(ValueError, match="at least one place, got 0"):
        MemoryBank(0, 2)


def test_momentum_moves_parameters_and_buffers() -> None:
    slow, fast = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    with torch.no_grad():
        fast.weight.fill_(3)
        fast.running_mean.fill_(10)  # type: ignore[union-attr]
        fast.num_batches_tracked.fill_(4)  # type: ignore[union-attr]
    momentum_update(slow, fast, 0.75)
    assert slow.weight.item() == pytest.approx(0.75 * 1 + 0.25 * 3)
    assert slow.running_mean.item() == pytest.approx(0.25 * 10)  # type: ignore[union-attr]
    assert slow.num_batches_tracked.item() == 4  # type: ignore[union-attr]
    assert fast.weight.item() == 3


def test_a_momentum_of_0_copies_every_bit() -> None:
    fast = nn.Linear(3, 2)
    slow = copy.deepcopy(fast)
    with torch.no_grad():
        fast.weight.normal_()
    momentum_update(slow, fast, 0.0)
    assert torch.equal(slow.weight, fast.weight)


@pytest.mark.parametrize("momentum", [1.0, -0.1, 1.5])
def test_a_momentum_outside_its_range_is_rejected(momentum: float) -> None:
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\)"):
        momentum_update(nn.Linear(1, 1), nn.Linear(1, 1), momentum)


def test_encoders_with_other_tensors_are_rejected() -> None:
    with pytest.raises(ValueError, match="has other tensors"):
        momentum_update(nn.Linear(2, 2), nn.Linear(2, 2, bias=False), 0.9)
