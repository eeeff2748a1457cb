"""Trains the encoder of a bundle to distinguish copies from other videos, on frame descriptors (TCA, arXiv 2008.01334).

Each step uses a batch of pairs, anchor and positive, and many distractors. Segment descriptors of the distractors are
added to a memory bank. Every anchor should be more similar to its positive than to any key there. The bank's keys get
no gradient. With a momentum, keys and positives come from an encoder that follows slowly, as in MoCo.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor, nn

from tca_model.bundle import Bundle, Manifest
from tca_model.config import DescriptorConfig
from tca_model.errors import TrainingError
from tca_model.matching.calibration import Calibration
from tca_model.networks.encoder import build_encoder
from tca_model.training.augmentation.draw import Draw
from tca_model.training.distributed import Processes
from tca_model.training.losses import circle, info_nce, triplet
from tca_model.training.memory_bank import MemoryBank, momentum_update
from tca_model.training.pairs import Pairs, Reader, pad, piece
from tca_model.training.recipes import EncoderRecipe
from tca_model.training.run import Advance, Run, Schedule
from tca_model.types import FloatArray

KEYS_AT_ONCE = 256  # distractors that are encoded together: each takes 64 x 64 attention weights per head


class Trained(nn.Module):
    """The modules in a checkpoint: the encoder, the bank, and the slow encoder if there is one.

    All are in training mode with dropout: without it, keys could be distinguished from positives by that alone. Raises
    TrainingError for an aggregator without parameters.
    """

    def __init__(self, dimension: int, recipe: EncoderRecipe) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.encoder = build_encoder(dimension, recipe.encoder)
        self.bank = MemoryBank(recipe.bank, dimension)
        self.slow = None if recipe.momentum is None else copy.deepcopy(self.encoder).requires_grad_(False)
        if not any(True for _ in self.encoder.parameters()):
            raise TrainingError(f"the aggregator {recipe.encoder.aggregator!r} has nothing to train: choose another")


def train_encoder(
    recipe: EncoderRecipe, pairs: Pairs, reader: Reader, folder: Path, processes: Processes, advance: Advance
) -> tuple[nn.Module, Run]:
    """The trained encoder, and its run; an interrupted run is resumed.

    Raises TrainingError for fewer pairs than a batch, a loss that is not finite, or a checkpoint of another run.
    """
    device = processes.device
    if len(pairs.positives) < recipe.batch:
        raise TrainingError(
            f"{len(pairs.positives)} pairs do not fill a batch of {recipe.batch}: give more, or a smaller batch"
        )
    trained = Trained(reader(0).shape[1], recipe).to(device).train()
    configuration: dict[str, JsonValue] = {
        **recipe.model_dump(mode="json"),
        **pairs.summary(),
        "model_version": reader.model_version,
    }
    optimizer = torch.optim.Adam(trained.encoder.parameters(), recipe.learning_rate)
    run = Run(folder, configuration, trained, optimizer, processes)
    network = processes.wrap(trained.encoder)
    draw = _Chooser(pairs, recipe, processes.count)

    def pieces(videos: NDArray[np.int64], step: int, places: Sequence[int], shortest: float) -> list[FloatArray]:
        """A random piece of each video; the draws depend on `places` in the step, not on the process."""
        rngs = (np.random.default_rng([recipe.seed, step, place]) for place in places)
        return [piece(reader(v), recipe.frames, shortest, rng) for v, rng in zip(videos, rngs, strict=True)]

    def encode(encoder: nn.Module, some: Sequence[FloatArray]) -> Tensor:
        frames, present = pad(some)
        segment: Tensor = encoder(frames.to(device), present.to(device)).segment
        return segment

    def loss_of(step: int) -> Tensor:
        batch, distractors = draw.pairs(step), draw.distractors(step)
        ours = list(processes.share(len(batch)))
        chosen = pairs.positives[batch[ours]]  # (b, 2)
        anchors = pieces(chosen[:, 0], step, [2 * i for i in ours], recipe.shortest_piece)
        positives = pieces(chosen[:, 1], step, [2 * i + 1 for i in ours], recipe.shortest_piece)
        share = list(processes.share(len(distractors)))
        others = pieces(distractors[share], step, [2 * len(batch) + i for i in share], 1.0)
        with _seed_dropout(device, recipe.seed, step, processes.rank):
            if trained.slow is None:
                anchor, positive = encode(network, anchors + positives).chunk(2)
            else:
                momentum_update(trained.slow, trained.encoder, recipe.momentum or 0.0)
                anchor = encode(network, anchors)
            with torch.no_grad():
                keeper = trained.slow or trained.encoder
                if trained.slow is not None:
                    positive = encode(keeper, positives)
                parts = [others[start : start + KEYS_AT_ONCE] for start in range(0, len(others), KEYS_AT_ONCE)]
                keys = torch.cat([encode(keeper, part) for part in parts])
        trained.bank.push(processes.gather(keys), torch.from_numpy(pairs.works[distractors]))
        counted = trained.bank.negatives_of(torch.from_numpy(pairs.works[chosen[:, 0]]).to(device))
        return _loss(recipe, (anchor * positive).sum(dim=1), anchor @ trained.bank.keys.T, counted)

    run.loop(Schedule(draw.steps, recipe.learning_rate), loss_of, advance)
    return trained.encoder, run


def with_encoder(
    source: Bundle,
    name: str,
    encoder: nn.Module,
    descriptor: DescriptorConfig,
    calibration: Calibration,
    provenance: dict[str, JsonValue],
) -> Bundle:
    """The bundle with another encoder; provenance of the frame part is under `frame_part`."""
    tensors = {key: tensor for key, tensor in source.tensors.items() if not key.startswith("encoder.")}
    tensors |= {f"encoder.{key}": tensor.detach().cpu().numpy() for key, tensor in encoder.state_dict().items()}
    both: dict[str, JsonValue] = {
        **provenance,
        "frame_part": {"model_version": source.model_version, **source.manifest.provenance},
    }
    return Bundle(Manifest(name=name, descriptor=descriptor, calibration=calibration, provenance=both), tensors)


def _loss(recipe: EncoderRecipe, positive: Tensor, negatives: Tensor, counted: Tensor) -> Tensor:
    match recipe.loss:
        case "info-nce":
            return info_nce(positive, negatives, recipe.temperature, counted)
        case "circle":
            return circle(positive, negatives, recipe.gamma, recipe.margin, counted)
        case "triplet":
            return triplet(positive, negatives, recipe.margin, counted)


class _Chooser:
    """The pairs and distractors of each step: every epoch uses all pairs once in a new order."""

    def __init__(self, pairs: Pairs, recipe: EncoderRecipe, processes: int) -> None:
        self._pairs, self._recipe = pairs, recipe
        self._each = len(pairs.positives) // recipe.batch  # steps per epoch, without an incomplete last batch
        self.steps = max(1, round(recipe.epochs * self._each))
        wanted = min(recipe.distractors * recipe.batch, len(pairs.distractors))
        self._distractors = wanted // processes * processes
        if not self._distractors:
            raise TrainingError(f"{wanted} distractors are fewer than {processes} processes: give more")

    def pairs(self, step: int) -> NDArray[np.int64]:
        """Indices of pairs, (batch,)."""
        epoch, within = divmod(step, self._each)
        order = np.random.default_rng([self._recipe.seed, epoch]).permutation(len(self._pairs.positives))
        return order[within * self._recipe.batch : (within + 1) * self._recipe.batch]

    def distractors(self, step: int) -> NDArray[np.int64]:
        """Distinct numbers of videos."""
        rng = np.random.default_rng([self._recipe.seed, step, 2**32])
        return rng.choice(self._pairs.distractors, self._distractors, replace=False)


@contextmanager
def _seed_dropout(device: torch.device, *seeds: int) -> Iterator[None]:
    """Dropout that depends only on the seeds, so that a resumed run draws the same."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(Draw.from_seeds(device, *seeds).generator.initial_seed())
        yield
