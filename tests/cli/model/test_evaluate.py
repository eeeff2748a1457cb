"""`copydetect model evaluate`: from JSON and stored descriptors to figures and missing videos."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.contracts.errors import UsageError
from tca_model.data.annotations import Annotations, write_annotations
from tca_model.data.cc_web_video import CcWebVideoAnnotations
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.data.evve import Event, EvveAnnotations
from tca_model.data.fivr import FivrAnnotations
from tca_model.data.vcdb import CopiedPair, VcdbAnnotations
from tca_model.data.vsc2022 import CopiedPart, Vsc2022Annotations
from tca_model.types import VideoDescriptor

VIDEOS = {"q": [0, 1], "copy": [0, 1], "part": [1, 2, 3], "other": [4, 5]}  # which unit vectors their frames are
QUERIES, DATABASE = ("q",), tuple(VIDEOS)
PART = CopiedPart(query="q", reference="copy", query_start_s=0, query_end_s=1, reference_start_s=0, reference_end_s=1)
BENCHMARKS: dict[str, Annotations] = {
    "fivr": FivrAnnotations(queries=QUERIES, database=DATABASE, labels={"q": {"ND": ("copy",), "CS": ("part",)}}),
    "cc-web-video": CcWebVideoAnnotations(
        queries=QUERIES, database=DATABASE, labels={"q": {"q": "E", "copy": "S", "other": "X"}}, excluded={}
    ),
    "evve": EvveAnnotations(
        queries=QUERIES,
        database=DATABASE,
        events={"e": Event(queries=("q",), positives=("q", "copy"), undecided=())},
    ),
    "vcdb": VcdbAnnotations(
        queries=("q", "copy"),
        database=DATABASE,
        pairs=(CopiedPair(videos=("q", "copy"), overlap=(1, 1)),),
        distractors=("other",),
    ),
    "vsc2022": Vsc2022Annotations(queries=QUERIES, database=DATABASE, parts=(PART,)),
}


@pytest.fixture
def descriptors(tmp_path: Path) -> Path:
    stored = DescriptorFolder(tmp_path / "descriptors")
    for video, vectors in VIDEOS.items():
        frames = np.eye(6, dtype=np.float32)[vectors]
        stored.write(video, VideoDescriptor(np.arange(len(frames), dtype=np.float64), frames), "abc")
    return stored.folder


def command(tmp_path: Path, protocol: str, descriptors: Path, *more: str) -> list[str]:
    annotations = tmp_path / "annotations.json"
    write_annotations(annotations, BENCHMARKS[protocol])
    return ["model", "evaluate", protocol, "--annotations", str(annotations), "--descriptors", str(descriptors), *more]


@pytest.mark.parametrize("similarity", ["cosine", "chamfer", "symmetric-chamfer", "larger-chamfer"])
@pytest.mark.parametrize("protocol", [name for name in BENCHMARKS if name != "vsc2022"])
def test_every_protocol_finds_its_copies_first(
    tmp_path: Path, descriptors: Path, protocol: str, similarity: str
) -> None:
    more = ("--similarity", similarity, "--output", "json")
    result = CliRunner().invoke(app, command(tmp_path, protocol, descriptors, *more))
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert {figure["mean"] for figure in report["figures"]} == {1.0}
    assert (report["similarity"], report["missing_queries"], report["missing_videos"]) == (similarity, [], [])


def test_micro_ap_counts_a_query_that_is_also_a_reference(tmp_path: Path, descriptors: Path) -> None:
    result = CliRunner().invoke(app, command(tmp_path, "vsc2022", descriptors, "--output", "json"))
    assert json.loads(result.stdout)["figures"] == [{"name": "micro-AP", "mean": 0.5, "at_least": 0.5, "queries": 1}]


def test_the_table_counts_what_is_missing(tmp_path: Path, descriptors: Path) -> None:
    whole = CliRunner().invoke(app, command(tmp_path, "fivr", descriptors)).stdout
    assert "all 1 queries and 4 videos were compared" in whole
    assert "at least" not in whole
    (descriptors / "copy.npz").unlink()
    DescriptorFolder(descriptors).write("other", VideoDescriptor(np.zeros(0), np.zeros((0, 6), np.float32)), "abc")
    lacking = " ".join(CliRunner().invoke(app, command(tmp_path, "fivr", descriptors)).stdout.split())
    assert "FIVR-200K, chamfer" in lacking
    assert "│ DSVR │ - │ 0.0000 │ 0 │" in lacking
    assert "│ CSVR │ 1.0000 │ 0.5000 │ 1 │" in lacking
    assert "missing: 0 of 1 queries, 2 of 4 videos to search (expected results missing: 1)" in lacking
    assert "1 of them are stored without a frame" in lacking


def test_wrong_usage_says_what_to_do(tmp_path: Path, descriptors: Path) -> None:
    arguments = command(tmp_path, "fivr", descriptors)
    for wrong, problem in (
        ([*arguments[:-1], str(tmp_path / "nowhere")], "there is no folder"),
        (["model", "evaluate", "vcdb", *arguments[3:]], "does not hold annotations of VCDB"),
        ([*arguments[:-1], str(tmp_path)], "none of the 1 queries"),
        ([*arguments[:4], str(tmp_path / "none.json"), *arguments[5:]], "No such file"),
    ):
        result = CliRunner().invoke(app, wrong)
        assert isinstance(result.exception, UsageError), result.output
        assert problem in str(result.exception)
