"""Training an encoder: it learns, resumes with the same bits, and rejects impossible input."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tca_model.config import EncoderConfig
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.errors import TrainingError
from tca_model.training.distributed import ALONE
from tca_model.training.encoder import train_encoder
from tca_model.training.pairs import Pairs, Reader
from tca_model.training.recipes import EncoderRecipe
from tca_model.training.run import Run
from tca_model.types import VideoDescriptor

pytestmark = pytest.mark.integration  # seconds of processor

DIMENSION, WORKS, VERSION = 16, 12, "abc"
RECIPE = EncoderRecipe(
    encoder=EncoderConfig(heads=2, feed_forward=32, dropout=0.1, clusters=4),
    epochs=8,
    batch=4,
    distractors=3,
    bank=32,
    learning_rate=3e-3,
    frames=4,
    shortest_piece=0.5,
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    """Two versions of each work; works differ less than the frames of one work do."""
    folder = DescriptorFolder(tmp_path_factory.mktemp("descriptors"))
    rng = np.random.default_rng(0)
    for number in range(2 * WORKS):
        frames = 2 * rng.normal(size=(6, DIMENSION))
        frames[:, : DIMENSION // 2] = np.random.default_rng(number // 2).normal(size=DIMENSION // 2)
        unit = (frames / np.linalg.norm(frames, axis=1, keepdims=True)).astype(np.float32)
        folder.write(str(number), VideoDescriptor(np.arange(6.0), unit), VERSION)
    return Pairs(
        folder,
        tuple(str(number) for number in range(2 * WORKS)),
        works=np.arange(2 * WORKS) // 2,
        positives=np.arange(2 * WORKS).reshape(WORKS, 2),
        distractors=np.arange(2 * WORKS),
        counts={},
    )


def train(pairs: Pairs, run: Path, advance: Any = lambda *_: None, **recipe: Any) -> tuple[nn.Module, Run]:
    changed = RECIPE.model_copy(update=recipe)
    return train_encoder(changed, pairs, Reader(pairs, VERSION), run, ALONE, advance)


@pytest.fixture(scope="module")
def whole(pairs: Pairs, tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Run]:
    return train(pairs, tmp_path_factory.mktemp("whole"), momentum=0.9)


def test_the_loss_falls(whole: tuple[nn.Module, Run]) -> None:
    losses = whole[1].losses
    assert len(losses) == 24
    # the bank is still filling in the first steps, which makes them easier
    assert np.mean(losses[-4:]) < 0.6 * max(losses)


def test_an_interrupted_run_ends_with_the_same_bits(
    pairs: Pairs, whole: tuple[nn.Module, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tca_model.training.run.SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("tca_model.training.run.plot_losses", lambda *_: None)

    def interrupt(step: int, *_: object) -> None:
        if step == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(pairs, tmp_path, interrupt, momentum=0.9)
    torch.manual_seed(1)  # as if numbers were drawn in between
    resumed, run = train(pairs, tmp_path, momentum=0.9)
    assert run.losses == whole[1].losses
    for name, tensor in whole[0].state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


@pytest.mark.parametrize("loss", ["circle", "triplet"])
def test_other_losses_train_too(pairs: Pairs, tmp_path: Path, loss: str) -> None:
    losses = train(pairs, tmp_path, loss=loss, gamma=16.0)[1].losses
    assert np.mean(losses[-4:]) < 0.7 * max(losses)


@pytest.mark.parametrize("aggregator", ["netvlad", "lstm", "gru"])
def test_other_aggregators_learn_too(pairs: Pairs, tmp_path: Path, aggregator: str) -> None:
    encoder = RECIPE.encoder.model_copy(update={"aggregator": aggregator})
    losses = train(pairs, tmp_path, encoder=encoder, epochs=20)[1].losses
    assert np.mean(losses[-9:]) < 0.7 * max(losses)


def test_no_copy_of_the_anchors_work_is_a_negative(pairs: Pairs, tmp_path: Path) -> None:
    """If all distractors show the anchors' own work, there are no negatives."""
    works = np.zeros_like(pairs.works)
    works[-1] = 1  # in no pair and not a distractor
    masked = Pairs(pairs.folder, pairs.videos, works, pairs.positives[:4], pairs.distractors[:8], {})
    losses = train(masked, tmp_path, epochs=1)[1].losses
    assert losses == [0.0]


def test_a_loss_that_is_not_finite_ends_the_run(pairs: Pairs, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss is .* at step \d+: try a lower learning rate"):
        train(pairs, tmp_path, learning_rate=1e30)


def test_an_aggregator_without_weights_is_rejected(pairs: Pairs, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="'mean' has nothing to train"):
        train(pairs, tmp_path, encoder=EncoderConfig(aggregator="mean"))


def test_fewer_pairs_than_a_batch_are_rejected(pairs: Pairs, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="12 pairs do not fill a batch of 13"):
        train(pairs, tmp_path, batch=13)


def test_another_recipe_does_not_resume_the_checkpoint(pairs: Pairs, whole: tuple[nn.Module, Run]) -> None:
    with pytest.raises(TrainingError, match=r"another configuration \(seed 0 there, 1 here\)"):
        train(pairs, whole[1].folder, momentum=0.9, seed=1)
