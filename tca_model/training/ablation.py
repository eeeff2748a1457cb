"""The paper's ablations on the project's own benchmark: the variants and their figures.

All variants are trained on the same pairs for the same number of steps and judged on the same stored frame descriptors.
Each trained variant is kept in its own folder; another run trains only the missing ones.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tca_model.config import EncoderConfig
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.evaluation.benchmark import Benchmark
from tca_model.evaluation.described import (
    chamfer_without_noise,
    comparable_pairs,
    cosine_of_weighted_means,
    encode_videos,
    joined_score,
    judge_pairs,
    judge_scores,
    judge_similarity,
    read_videos,
    videos_of,
)
from tca_model.evaluation.quality import Quality
from tca_model.networks.aggregators import MeanAggregator
from tca_model.networks.comparator import VideoComparator
from tca_model.training.comparator import compare_batch, train_comparator
from tca_model.training.distributed import ALONE
from tca_model.training.encoder import train_encoder
from tca_model.training.pairs import Pairs, Reader
from tca_model.training.recipes import ComparatorRecipe, EncoderRecipe
from tca_model.types import FloatArray

SEGMENT, FRAMES = "segment descriptors, cosine", "frame descriptors, chamfer"  # chamfer: the larger direction
NOISE_FRAMES = 1000
COMPARED_AT_ONCE = 64  # pairs: with 64 frames each, 32 maps of a matrix take 512 KB per pair

Started = Callable[[str], Callable[[int, int, float], None]]  # name of the next training -> its progress function


@dataclass(frozen=True, slots=True)
class Row:
    """One variant and its figures by similarity; all rows of a table have the same ones."""

    name: str
    judged: Mapping[str, Quality]


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Ablation:
    """The input of all variants; `poolings` has the benchmark's frame descriptors by name of the pooling."""

    benchmark: Benchmark
    stored: DescriptorFolder  # the benchmark's frame descriptors
    pairs: Pairs  # for training
    model_version: str
    recipe: EncoderRecipe
    comparator: ComparatorRecipe
    work: Path
    poolings: Mapping[str, DescriptorFolder]
    started: Started

    def tables(self) -> Iterator[Table]:
        """Yield all tables; each is trained and judged when it is requested."""
        yield self._train_variants(
            "aggregators",
            "Aggregators: from frame descriptors to refined ones and a segment descriptor",
            {
                "NetVLAD": {"encoder": self._encoder(aggregator="netvlad")},
                "LSTM": {"encoder": self._encoder(aggregator="lstm")},
                "GRU": {"encoder": self._encoder(aggregator="gru")},
                "TCA": {},
            },
            before=(Row("mean, untrained", self._judge(MeanAggregator())),),
        )
        yield Table(
            "poolings",
            "Pooling of the stage maps: frame descriptors as they are, and their mean",
            tuple(Row(name, self._judge(MeanAggregator(), stored)) for name, stored in self.poolings.items()),
        )
        losses: dict[str, dict[str, Any]] = {
            "InfoNCE": {},
            "Circle": {"loss": "circle"},
            "triplet": {"loss": "triplet"},
        }
        yield self._train_variants("losses", "Losses, with TCA", losses)
        sizes = {f"{size:,} keys": {"bank": size} for size in (256, 1024, 4096, 16384)}
        yield self._train_variants("bank", "Size of the memory bank, with TCA and InfoNCE", sizes)
        momenta = {str(momentum or "none"): {"momentum": momentum} for momentum in (None, 0.9, 0.99, 0.999)}
        yield self._train_variants("momentum", "Momentum of the encoder of keys, with TCA and InfoNCE", momenta)
        yield self._similarities()

    def _encoder(self, **changes: Any) -> EncoderConfig:
        return self.recipe.encoder.model_copy(update=changes)

    def _train_variants(
        self, name: str, title: str, variants: Mapping[str, dict[str, Any]], before: tuple[Row, ...] = ()
    ) -> Table:
        rows = [Row(variant, self._judge(self._train(changes))) for variant, changes in variants.items()]
        return Table(name, title, (*before, *rows))

    def _train(self, changes: Mapping[str, Any]) -> nn.Module:
        """The trained encoder of the recipe with these changes. Equal recipes share a folder."""
        recipe = self.recipe.model_copy(update=dict(changes))
        varied = [f"{recipe.encoder.aggregator}", recipe.loss, f"bank-{recipe.bank}", f"momentum-{recipe.momentum}"]
        name = " ".join(varied)
        reader = Reader(self.pairs, self.model_version)
        encoder, _ = train_encoder(recipe, self.pairs, reader, self.work / name, ALONE, self.started(name))
        return encoder

    def _judge(self, encoder: nn.Module, stored: DescriptorFolder | None = None) -> dict[str, Quality]:
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            refined, whole = DescriptorFolder(Path(folder) / "refined"), DescriptorFolder(Path(folder) / "whole")
            videos = [path.stem for path in videos_of(self.benchmark)]
            encode_videos(videos, stored or self.stored, encoder, refined, whole)
            return {
                SEGMENT: judge_similarity(self.benchmark, whole, "cosine"),
                FRAMES: judge_similarity(self.benchmark, refined, "larger-chamfer"),
            }

    def _similarities(self) -> Table:
        """Ways to compare two videos, on unchanged frame descriptors and on those refined by TCA."""
        columns = {"frame descriptors": MeanAggregator(), "refined by TCA": self._train({})}
        judged: dict[str, dict[str, Quality]] = {}
        for column, encoder in columns.items():
            for row, quality in self._compare_videos(column, encoder).items():
                judged.setdefault(row, {})[column] = quality
        title = "Similarities of two videos"
        return Table("similarities", title, tuple(Row(name, by_column) for name, by_column in judged.items()))

    def _compare_videos(self, column: str, encoder: nn.Module) -> dict[str, Quality]:
        with tempfile.TemporaryDirectory(dir=self.work) as temporary:
            folder = Path(temporary)
            refined, whole, seen = (DescriptorFolder(folder / name) for name in ("refined", "whole", "seen"))
            encode_videos([path.stem for path in videos_of(self.benchmark)], self.stored, encoder, refined, whole)
            encode_videos(self.pairs.videos, self.pairs.folder, encoder, seen, DescriptorFolder(folder / "unused"))
            pairs = replace(self.pairs, folder=seen)
            name = f"comparator {column}"
            comparator = train_comparator(
                self.comparator, pairs, Reader(pairs, self.model_version), self.work / name, self.started(name)
            )
            noise = _noise(pairs)
            return {
                "cosine of segment descriptors (TCA_c)": judge_similarity(self.benchmark, whole, "cosine"),
                "chamfer, query to reference (TCA_f)": judge_similarity(self.benchmark, refined, "chamfer"),
                "symmetric chamfer (TCA_sym)": judge_similarity(self.benchmark, refined, "symmetric-chamfer"),
                "comparator, larger direction (TCA_v)": judge_scores(
                    self.benchmark, comparator_scores(self.benchmark, refined, comparator)
                ),
                "chamfer, larger direction": judge_similarity(self.benchmark, refined, "larger-chamfer"),
                "the same, normalised by noise": judge_pairs(self.benchmark, refined, chamfer_without_noise(noise)),
                "cosine of means, frames weighted by noise": judge_pairs(
                    self.benchmark, refined, cosine_of_weighted_means(noise)
                ),
                "the matcher's joined score": judge_pairs(self.benchmark, refined, joined_score),
            }


def _noise(pairs: Pairs) -> FloatArray:
    """Random frames of the training videos, (NOISE_FRAMES, D) or fewer."""
    frames = np.concatenate([pairs.folder.read(video)[0].frames for video in pairs.videos])
    return frames[np.random.default_rng(0).permutation(len(frames))[:NOISE_FRAMES]]


@torch.inference_mode()
def comparator_scores(
    benchmark: Benchmark, stored: DescriptorFolder, comparator: VideoComparator
) -> dict[tuple[str, str], float]:
    """The comparator's similarity of every query with every reference, the larger of both directions."""
    read = read_videos(benchmark, stored)
    pairs = comparable_pairs(benchmark, read)
    # Similar lengths together, to keep padding small.
    pairs.sort(key=lambda pair: (len(read[pair[0]]), len(read[pair[1]])))
    scores: dict[tuple[str, str], float] = {}
    for start in range(0, len(pairs), COMPARED_AT_ONCE):
        some = pairs[start : start + COMPARED_AT_ONCE]
        queries = [read[query].frames for query, _ in some]
        references = [read[reference].frames for _, reference in some]
        forward = compare_batch(comparator, queries, references).score.numpy()
        backward = compare_batch(comparator, references, queries).score.numpy()
        scores |= zip(some, np.maximum(forward, backward).tolist(), strict=True)
    return scores
