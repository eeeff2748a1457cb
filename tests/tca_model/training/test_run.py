"""The training loop never saves values that are not finite."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tca_model.errors import TrainingError
from tca_model.training.run import CHECKPOINT, Run, Schedule


def no_progress(*_: object) -> None:
    """No progress bar."""


@pytest.fixture
def module() -> nn.Linear:
    return nn.Linear(2, 1, bias=False)


def run(folder: Path, module: nn.Module) -> Run:
    return Run(folder, {"seed": 0}, module, torch.optim.SGD(module.parameters(), 0.1))


def test_a_gradient_that_is_not_finite_is_never_applied(module: nn.Linear, tmp_path: Path) -> None:
    before = module.weight.detach().clone()

    def flat(_: int) -> Tensor:
        return (module.weight * 0).sum().sqrt()  # 0, with an infinite slope

    with pytest.raises(TrainingError, match=r"the gradient is nan at step 0: .*; nothing is saved"):
        run(tmp_path, module).loop(Schedule(3, 0.1), flat, no_progress)
    assert torch.equal(module.weight, before)
    assert not (tmp_path / CHECKPOINT).exists()


def test_weights_that_are_not_finite_are_never_saved(module: nn.Linear, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the largest weight is inf at step 1: try a lower learning rate than 1e"):
        run(tmp_path, module).loop(Schedule(1, 1e38), lambda _: 100 * module.weight.sum(), no_progress)
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_checkpoint_of_another_network_is_an_error(module: nn.Linear, tmp_path: Path) -> None:
    run(tmp_path, module).loop(Schedule(1, 0.1), lambda _: module.weight.sum(), no_progress)
    with pytest.raises(TrainingError, match="is of another network"):
        run(tmp_path, nn.Linear(3, 1, bias=False))
    again = run(tmp_path, module)
    assert (again.done, len(again.losses)) == (1, 1)


def test_a_choice_is_made_once_per_run(module: nn.Linear, tmp_path: Path) -> None:
    first = run(tmp_path, module)
    assert first.choose("faster", lambda: True)
    first.loop(Schedule(1, 0.1), lambda _: module.weight.sum(), no_progress)
    assert run(tmp_path, module).choose("faster", lambda: False)
    assert not run(tmp_path / "other", module).choose("faster", lambda: False)


def test_the_schedule_warms_up_and_falls_to_zero() -> None:
    rates = [Schedule(10, 1.0, warmup=4)(step) for step in range(10)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.1
