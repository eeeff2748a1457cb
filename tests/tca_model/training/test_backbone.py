"""Training a frame descriptor: it learns, resumes with the same bits, and rejects impossible input."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tca_model.config import FrameConfig, RandomWeights
from tca_model.errors import TrainingError
from tca_model.training.backbone import TrainedBackbone, train_backbone
from tca_model.training.distributed import ALONE
from tca_model.training.pictures import Pictures, gather
from tca_model.training.recipes import BackboneRecipe
from tca_model.training.run import CHECKPOINT, LOG, PLOT

pytestmark = pytest.mark.integration  # seconds of processor each

FRAME = FrameConfig(backbone="test_efficientnet", weights=RandomWeights(seed=0), input_px=64, dimension=12)
RECIPE = BackboneRecipe(input_px=64, epochs=8, batch=16, learning_rate=2e-3, warmup=2, koleo=0.1)


def no_progress(*_: object) -> None:
    """No progress bar."""


@pytest.fixture(scope="module", autouse=True)
def one_precision() -> Iterator[None]:
    """Runs that are compared have the same precision, whatever this processor is faster at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tca_model.training.backbone.bfloat16_is_faster", lambda *_: False)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 pictures that differ in colours and layout, and one broken file."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(32):
        blocks = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(blocks.repeat(16, axis=0).repeat(16, axis=1)).save(folder / f"{number:02}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    return folder


@pytest.fixture(scope="module")
def pictures(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return gather([folder], tmp_path_factory.mktemp("run"), ALONE, no_progress)


def train(pictures: Pictures, run: Path, advance: Any = no_progress, **recipe: Any) -> TrainedBackbone:
    return train_backbone(FRAME, RECIPE.model_copy(update=recipe), pictures, run, ALONE, advance)


@pytest.fixture(scope="module")
def whole(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> TrainedBackbone:
    return train(pictures, tmp_path_factory.mktemp("whole"))


def test_the_loss_falls(whole: TrainedBackbone) -> None:
    losses = whole[1].losses
    assert len(losses) == 16
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])


def test_a_run_leaves_a_checkpoint_a_log_and_a_plot(whole: TrainedBackbone) -> None:
    lines = (whole[1].folder / LOG).read_text().splitlines()
    assert lines[0] == "step,loss,learning_rate,seconds"
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(1, 17))
    assert (whole[1].folder / CHECKPOINT).exists()
    with Image.open(whole[1].folder / PLOT) as plot:
        assert min(plot.size) > 300


def test_an_interrupted_run_ends_with_the_same_bits(
    pictures: Pictures, whole: TrainedBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tca_model.training.run.SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("tca_model.training.run.plot_losses", no_progress)

    def interrupt(step: int, *_: object) -> None:
        if step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(pictures, tmp_path, interrupt)
    monkeypatch.setattr("tca_model.training.backbone.bfloat16_is_faster", lambda *_: True)  # measured too late
    resumed, run, _ = train(pictures, tmp_path)
    assert run.losses == whole[1].losses
    for name, tensor in whole[0].state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


def test_training_changes_backbone_and_projection_but_no_statistics(
    pictures: Pictures, whole: TrainedBackbone, tmp_path: Path
) -> None:
    after_one_step = train(pictures, tmp_path, epochs=0.5)[0].state_dict()
    moved = {name for name, tensor in whole[0].state_dict().items() if not torch.equal(tensor, after_one_step[name])}
    assert "whitening.projection" in moved
    assert any("conv" in name for name in moved)
    assert not any("running" in name for name in moved)


def test_another_recipe_does_not_resume_the_checkpoint(pictures: Pictures, whole: TrainedBackbone) -> None:
    with pytest.raises(TrainingError, match=r"another configuration \(seed 0 there, 1 here\): use another folder"):
        train(pictures, whole[1].folder, seed=1)


def test_a_damaged_checkpoint_is_an_error(pictures: Pictures, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"not safetensors")
    with pytest.raises(TrainingError, match=r"cannot read checkpoint .* remove it to start again"):
        train(pictures, tmp_path)


def test_a_loss_that_is_not_finite_ends_the_run(pictures: Pictures, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss is .* at step \d+: try a lower learning rate"):
        train(pictures, tmp_path, learning_rate=1e30, warmup=0)


def test_a_full_disk_leaves_the_previous_checkpoint(
    pictures: Pictures, whole: TrainedBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tca_model.training.run.SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("tca_model.training.run.plot_losses", no_progress)
    write = Path.write_bytes
    written: list[bytes] = []

    def full(path: Path, content: bytes) -> int:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(content)
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(TrainingError, match="No space left on device; the latest checkpoint there is whole"):
            train(pictures, tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == written[-1]
    assert train(pictures, tmp_path)[1].losses == whole[1].losses


def test_fewer_pictures_than_a_batch_are_rejected(pictures: Pictures, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="32 pictures do not fill a batch of 48"):
        train(pictures, tmp_path, batch=48)
