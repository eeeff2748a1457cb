"""The pairs of the benchmark, and the copies that it keeps."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tca_model.data.held_out import DISTRACTORS, HELD_OUT, MANIFEST, ORIGINALS
from tca_model.evaluation.benchmark import Benchmark, Clip, Copy, edits_digest, plan
from tca_model.synthetic import edits
from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import EDITS, apply_edit
from tca_model.types import FloatArray
from tca_model.video.decode import sample_frames


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with a clip of every family, and a second take of an original and of a distractor."""
    rows = [(f"{family}.mp4", family) for family in sorted(HELD_OUT)]
    rows += [("original-again.mp4", ORIGINALS[0]), ("distractor-again.mp4", DISTRACTORS[1]), ("x.mp4", "of training")]
    with (tmp_path / MANIFEST).open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "family"), *rows])
    return tmp_path


def pictures(path: Path) -> list[FloatArray]:
    with path.open("rb") as file:
        return [frame.image.astype(np.float32) for frame in sample_frames(file, every_s=0.2)]


def relations(benchmark: Benchmark, query: str) -> dict[str, bool]:
    """The references that a query is compared with, and whether it copies them."""
    return {pair.reference.stem: pair.is_copy for pair in benchmark.pairs() if pair.query.stem == query}


def test_a_copy_is_paired_with_its_original_but_not_with_other_takes_of_it(clips: Path) -> None:
    benchmark = plan(clips, clips / "work", names=["crop"], originals=2)

    assert relations(benchmark, f"{ORIGINALS[0]}-crop") == {
        ORIGINALS[0]: True,
        ORIGINALS[1]: False,
        "distractor-again": False,
    }
    assert relations(benchmark, f"{ORIGINALS[1]}-crop") == {
        ORIGINALS[0]: False,
        ORIGINALS[1]: True,
        "original-again": False,
        "distractor-again": False,
    }


def test_other_takes_of_a_second_video_in_a_copy_are_left_out_too(clips: Path) -> None:
    benchmark = plan(clips, clips / "work", names=["insert"], originals=2)

    assert benchmark.copies[1].other.family == DISTRACTORS[1]
    assert "distractor-again" not in relations(benchmark, f"{ORIGINALS[1]}-insert")
    assert "distractor-again" in relations(benchmark, f"{ORIGINALS[0]}-insert")


def test_distractors_are_copies_of_nothing(clips: Path) -> None:
    benchmark = plan(clips, clips / "work", originals=2)

    everything = {ORIGINALS[0]: False, ORIGINALS[1]: False, "original-again": False, "distractor-again": False}
    assert relations(benchmark, DISTRACTORS[0]) == everything
    del everything["distractor-again"]
    assert relations(benchmark, DISTRACTORS[1]) == everything


def test_every_original_has_every_edit_and_no_training_clip_is_used(clips: Path) -> None:
    benchmark = plan(clips, clips / "work")

    assert {(copy.original.family, copy.edit) for copy in benchmark.copies} == {
        (family, edit) for family in ORIGINALS for edit in EDITS
    }
    assert len({copy.path for copy in benchmark.copies}) == len(ORIGINALS) * len(EDITS)
    assert {clip.family for clip in benchmark.references} == {*ORIGINALS, DISTRACTORS[1]}
    assert len(benchmark.queries) == len(benchmark.copies) + len(DISTRACTORS)


@pytest.mark.parametrize(
    ("wrong", "why"), [({"names": ["melt"]}, "no edit 'melt'"), ({"originals": 0}, "there are 24 originals")]
)
def test_an_impossible_plan_is_an_error(clips: Path, wrong: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        plan(clips, clips / "work", **wrong)  # type: ignore[arg-type]


def test_a_folder_without_the_families_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no manifest"):
        plan(tmp_path, tmp_path)
    (tmp_path / MANIFEST).write_text("clip,family\na.mp4,someone\n")
    with pytest.raises(ValueError, match="lacks 64 families"):
        plan(tmp_path, tmp_path)


def test_a_copy_is_made_once_with_its_truth(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    write_clip(source, 0, duration_s=2, size=(64, 48), fps=5)
    clip = Clip(source, "a family")
    copy = Copy(tmp_path / "copies" / "source-trim.mp4", "trim", clip, clip, seed=3)

    copy.make()
    assert copy.truth() == apply_edit("trim", source, tmp_path / "again.mp4", seed=3)
    for one, two in zip(pictures(copy.path), pictures(tmp_path / "again.mp4"), strict=True):
        assert np.abs(one - two).mean() < 1
    assert {path.name for path in copy.path.parent.iterdir()} == {"source-trim.mp4", "source-trim.json"}

    made = copy.path.stat().st_mtime_ns
    copy.make()
    assert copy.path.stat().st_mtime_ns == made

    copy.truth_path.write_text("{}")
    with pytest.raises(ValueError, match="remove the video to make both again"):
        copy.truth()


def test_copies_are_made_again_if_code_changes_and_not_if_words_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "edits.py"
    monkeypatch.setattr(edits, "__file__", str(source))
    digests = []
    for text in (
        'def f():\n    """One."""\n    return 1\n',
        "def f():  # a word\n    return 1\n",
        "def f():\n    return 2\n",
    ):
        source.write_text(text)
        digests.append(edits_digest())
    assert digests[0] == digests[1] != digests[2]
