"""All ablation tables on made-up descriptors, with a few steps per variant; and the training of the comparator."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tca_model.config import EncoderConfig
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.evaluation.benchmark import Benchmark, Clip, Copy
from tca_model.training.ablation import FRAMES, SEGMENT, Ablation, comparator_scores
from tca_model.training.comparator import compare_batch, train_comparator
from tca_model.training.pairs import Pairs, Reader
from tca_model.training.recipes import ComparatorRecipe, EncoderRecipe
from tca_model.types import FloatArray, VideoDescriptor

pytestmark = pytest.mark.integration  # seconds of processor

DIMENSION, WORKS, VERSION = 16, 6, "abc"


def frames(work: int, count: int, seed: int) -> FloatArray:
    """Frames of a work with some noise, different for each seed."""
    rows = np.random.default_rng(work).normal(size=(count, DIMENSION))
    rows += 0.3 * np.random.default_rng(seed).normal(size=rows.shape)
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def store(folder: DescriptorFolder, name: str, rows: FloatArray) -> None:
    folder.write(name, VideoDescriptor(np.arange(float(len(rows))), rows), VERSION)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    """Two videos of each of six works."""
    folder = DescriptorFolder(tmp_path_factory.mktemp("training"))
    for number in range(2 * WORKS):
        store(folder, str(number), frames(number // 2, 8, 1000 + number))
    numbers = np.arange(2 * WORKS)
    names = tuple(map(str, numbers))
    return Pairs(folder, names, numbers // 2, numbers.reshape(WORKS, 2), numbers, counts={"videos": WORKS})


@pytest.fixture(scope="module")
def benchmark() -> Benchmark:
    clips = [Clip(Path(f"/{number}.mp4"), str(number)) for number in range(4)]
    copies = [Copy(Path(f"/{n}-crop.mp4"), "crop", clips[n], clips[3], n) for n in range(2)]
    return Benchmark(tuple(copies), (clips[3],), tuple(clips[:3]))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> DescriptorFolder:
    folder = DescriptorFolder(tmp_path_factory.mktemp("benchmark"))
    for number in range(4):
        store(folder, str(number), frames(100 + number, 7, number))
        store(folder, f"{number}-crop", frames(100 + number, 7, 50 + number))
    return folder


def test_every_variant_of_the_paper_is_trained_and_judged(
    pairs: Pairs, benchmark: Benchmark, stored: DescriptorFolder, tmp_path: Path
) -> None:
    started: list[str] = []

    def start(name: str):  # type: ignore[no-untyped-def]
        started.append(name)
        return lambda *_: None

    recipe = EncoderRecipe(
        encoder=EncoderConfig(heads=2, feed_forward=16, clusters=4),
        epochs=1,
        batch=3,
        distractors=1,
        learning_rate=1e-3,
    )
    ablation = Ablation(
        benchmark, stored, pairs, VERSION, recipe, ComparatorRecipe(steps=2, batch=3), tmp_path, {"one": stored}, start
    )
    tables = {table.name: table for table in ablation.tables()}

    names = {name: [row.name for row in table.rows] for name, table in tables.items()}
    assert names["aggregators"] == ["mean, untrained", "NetVLAD", "LSTM", "GRU", "TCA"]
    assert names["poolings"] == ["one"]
    assert names["losses"] == ["InfoNCE", "Circle", "triplet"]
    assert names["bank"] == ["256 keys", "1,024 keys", "4,096 keys", "16,384 keys"]
    assert names["momentum"] == ["none", "0.9", "0.99", "0.999"]
    assert len(names["similarities"]) == 8
    mean = tables["aggregators"].rows[0].judged
    assert mean[FRAMES].micro_ap == 1
    assert tables["poolings"].rows[0].judged == mean
    # The same recipe under two names is trained once, with the same figures.
    tca = tables["aggregators"].rows[-1].judged
    assert tables["losses"].rows[0].judged == tables["bank"].rows[2].judged == tables["momentum"].rows[0].judged == tca
    assert tables["losses"].rows[1].judged[SEGMENT] != tca[SEGMENT]
    assert len(set(started)) == 4 + 2 + 3 + 3 + 2


def test_the_comparator_learns_to_recognise_copies(pairs: Pairs, tmp_path: Path) -> None:
    reader = Reader(pairs, VERSION)
    first, second = ([reader(video) for video in side] for side in pairs.positives.T)
    others = second[1:] + second[:1]

    def margin(steps: int) -> float:
        recipe = ComparatorRecipe(steps=steps, batch=6)
        comparator = train_comparator(recipe, pairs, reader, tmp_path / str(steps), lambda *_: None)
        with torch.no_grad():
            near, far = compare_batch(comparator, first, second).score, compare_batch(comparator, first, others).score
        return float((near - far).min())

    assert margin(40) > margin(1) + 0.2


def test_comparator_scores_are_the_larger_direction(benchmark: Benchmark, stored: DescriptorFolder) -> None:
    class Sizes(torch.nn.Module):
        """Scores a pair by how much longer the query is."""

        def forward(self, similarity, query, reference):  # type: ignore[no-untyped-def]
            from tca_model.networks.comparator import Comparison

            return Comparison(query.sum(dim=1) - reference.sum(dim=1), similarity.sum(dim=(1, 2)))

    store(stored, "0-crop", frames(100, 3, 0))
    scores = comparator_scores(benchmark, stored, Sizes())  # type: ignore[arg-type]
    assert len(scores) == 9
    assert scores["0-crop", "1"] == 4
    assert scores["1-crop", "1"] == 0
