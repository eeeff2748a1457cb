"""Annotations: the public files, made-up ones with their peculiarities, and files of other content."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.contracts.errors import UsageError
from tca_model.data.annotations import read_annotations, read_ids, write_annotations
from tca_model.data.cc_web_video import CcWebVideoAnnotations, convert_cc_web_video
from tca_model.data.evve import Event, EvveAnnotations, convert_evve
from tca_model.data.fivr import FivrAnnotations, convert_fivr
from tca_model.data.vcdb import VcdbAnnotations, convert_vcdb
from tca_model.data.vsc2022 import Vsc2022Annotations, convert_vsc2022


@pytest.fixture(scope="session")
def public(real_videos: Path) -> Path:
    """The folder of public annotations, next to that of real clips."""
    folder = real_videos.parent / "annotations"
    if not folder.is_dir():
        pytest.skip(f"no public annotations in {folder}")
    return folder


def write_pickle(path: Path, value: object) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=3))
    return path


def test_vcdb_has_its_known_counts(public: Path) -> None:
    vcdb, remarks = convert_vcdb(public / "vcdb.pickle")
    assert (len(vcdb.pairs), len(vcdb.distractors)) == (5_612, 99_180)
    assert (len(vcdb.queries), len(vcdb.database), len(set(vcdb.distractors))) == (528, 100_306, 99_176)
    assert set(vcdb.distractors) < set(vcdb.database)
    assert sum(map(len, vcdb.copies().values())) == 2 * 5_612
    assert all(vcdb.copies().values())
    assert remarks == ["4 distractors are named twice"]


def test_cc_web_video_has_its_known_counts(public: Path) -> None:
    annotations, remarks = convert_cc_web_video(public / "cc_web_video.pickle")
    assert (len(annotations.queries), len(annotations.database)) == (24, 13_115)
    assert annotations.labels["1_1_Y"]["1_1_Y"] == "E"
    assert sum(map(len, annotations.labels.values())) == 12_876 - 10
    assert sum(map(len, annotations.excluded.values())) == 125
    assert set().union(*annotations.labels.values()) <= set(annotations.database)
    assert remarks == [
        "5 labelled videos have no name and are left out",
        "5 labelled videos are named twice and counted once",
    ]


def test_evve_has_its_known_counts(public: Path) -> None:
    evve = convert_evve(public / "evve.pickle")
    assert (len(evve.events), len(evve.queries), len(evve.database)) == (13, 620, 2_373)
    assert sum(len(event.queries) for event in evve.events.values()) == 620
    assert len(evve.events["strokkur+geyser"].positives) == 431


def test_fivr_200k_has_its_known_counts(public: Path) -> None:
    fivr = convert_fivr(public / "fivr200k_annotation.json", public / "fivr200k_youtube_ids.txt")
    assert (len(fivr.queries), len(fivr.database)) == (100, 225_960)
    labelled = {label: sum(len(of.get(label, ())) for of in fivr.labels.values()) for label in ("ND", "DS", "CS", "IS")}
    assert labelled == {"ND": 1_325, "DS": 6_133, "CS": 1_887, "IS": 3_523}
    assert all(fivr.relevant(query, "DSVR") <= fivr.relevant(query, "ISVR") for query in fivr.queries)


def test_the_command_converts_vcdb(public: Path, tmp_path: Path) -> None:
    output = tmp_path / "made" / "vcdb.json"
    command = ["model", "convert-annotations", "vcdb", str(public / "vcdb.pickle"), "--output", str(output)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "528 queries, 100,306 videos" in result.output
    assert len(json.loads(output.read_text())["pairs"]) == 5_612
    assert [file.name for file in output.parent.iterdir()] == ["vcdb.json"]


FIVR_LABELS: dict[str, Any] = {"q": {"ND": ["a", "q"], "DS": ["b"], "DA": ["c"]}, "other": {"IS": ["a"]}}


def test_fivr_uses_the_queries_in_its_database(tmp_path: Path) -> None:
    (tmp_path / "annotation.json").write_text(json.dumps(FIVR_LABELS))
    (tmp_path / "ids.txt").write_text("b\nq\n\na\nb\n")
    fivr = convert_fivr(tmp_path / "annotation.json", tmp_path / "ids.txt")
    assert (fivr.queries, fivr.database) == (("q",), ("b", "q", "a"))
    assert (fivr.relevant("q", "DSVR"), fivr.relevant("other", "DSVR")) == ({"a", "b"}, set())


def test_fivr_pickle_has_two_subsets(tmp_path: Path) -> None:
    parts = {"5k": {"queries": ["q"], "database": {"a", "q"}}, "200k": {"queries": ["q"], "database": ["a", "b"]}}
    source = write_pickle(tmp_path / "fivr.pickle", {"annotation": FIVR_LABELS, **parts})
    assert convert_fivr(source, None, "5k").database == ("a", "q")
    assert convert_fivr(source, None).database == ("a", "b")
    with pytest.raises(ValueError, match=r"no entry '1k' \(it has 200k, 5k, annotation\)"):
        convert_fivr(source, None, "1k")


def test_fivr_json_needs_the_database(tmp_path: Path) -> None:
    (tmp_path / "annotation.json").write_text(json.dumps(FIVR_LABELS))
    (tmp_path / "ids.txt").write_text("elsewhere\n")
    with pytest.raises(ValueError, match="--database"):
        convert_fivr(tmp_path / "annotation.json", None)
    with pytest.raises(ValueError, match="none of the queries"):
        convert_fivr(tmp_path / "annotation.json", tmp_path / "ids.txt")


def cc_web(**changes: object) -> dict[str, object]:
    whole = {"index": ["", "q", "a", "a", "b", ""], "vid2index": {"q": 1, "a": 3, "b": 4}, "queries": ["q"]}
    return {**whole, "ground_truth": [{1: "E", 2: "S", 3: "S", 5: "X"}], "excluded": [{4}], **changes}


def test_cc_web_video_maps_numbers_to_names_and_remarks_on_the_rest(tmp_path: Path) -> None:
    annotations, remarks = convert_cc_web_video(write_pickle(tmp_path / "cc.pickle", cc_web()))
    assert annotations.labels == {"q": {"q": "E", "a": "S"}}
    assert (annotations.database, annotations.excluded) == (("q", "a", "b"), {"q": ("b",)})
    assert len(remarks) == 2


def test_cc_web_video_with_two_labels_for_a_video_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a is labelled S and X"):
        convert_cc_web_video(write_pickle(tmp_path / "cc.pickle", cc_web(ground_truth=[{2: "S", 3: "X"}])))


def test_vsc2022_reads_csv_files(tmp_path: Path) -> None:
    rows = ["ref_id,query_id,query_start,query_end,ref_start,ref_end", "R1,Q1,0,4.5,10,14.5", "R1,Q1,5,6,20,21"]
    (tmp_path / "gt.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "queries.csv").write_text("video_id,duration\nQ1,9.0\nQ2,8.0\n")
    (tmp_path / "refs.txt").write_text("R1\nR2\n")
    vsc = convert_vsc2022(tmp_path / "gt.csv", tmp_path / "queries.csv", tmp_path / "refs.txt")
    assert (vsc.queries, vsc.database, vsc.pairs()) == (("Q1", "Q2"), ("R1", "R2"), {("Q1", "R1")})
    assert [part.query_end_s for part in vsc.parts] == [4.5, 6.0]
    (tmp_path / "refs.txt").write_text("R2\n")
    with pytest.raises(ValueError, match="Q1 or R1 is not in the lists"):
        convert_vsc2022(tmp_path / "gt.csv", tmp_path / "queries.csv", tmp_path / "refs.txt")
    (tmp_path / "gt.csv").write_text("ref_id,query_id\nR1,Q1\n")
    with pytest.raises(ValueError, match="no column query_start"):
        convert_vsc2022(tmp_path / "gt.csv", tmp_path / "queries.csv", tmp_path / "refs.txt")


def test_json_comes_back_as_written(tmp_path: Path) -> None:
    event = Event(queries=("q",), positives=("a",), undecided=("b",))
    evve = EvveAnnotations(queries=("q",), database=("a", "b"), events={"e": event})
    write_annotations(tmp_path / "evve.json", evve)
    assert read_annotations(tmp_path / "evve.json", EvveAnnotations) == evve


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"benchmark": "EVVE", "queries": ["q"], "database": ["a"], "events": {}}', "benchmark: .*VCDB.*and 3 more"),
        ('{"benchmark": "VCDB"}', "queries: Field required"),
        ('{"queries": ["q", "q"], "database": ["a"], "distractors": [], "pairs": []}', "1 of 2 ids are repeated"),
        ('{"queries": ["q"], "database": [], "distractors": [], "pairs": []}', "database: there is no video"),
        ('{"queries": ["q"], "database": ["a"], "distractors": [], "pairs": '
         '[{"videos": ["q", "x"], "overlap": [1, 1]}]}', "the pair .* is not of two core videos"),
        ("[", "Invalid JSON"),
        ("\xff", "not text"),
    ],
)  # fmt: skip
def test_the_error_for_other_json_says_what_is_wrong(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "vcdb.json").write_bytes(content.encode("latin1"))
    with pytest.raises(ValueError, match=f"does not hold annotations of VCDB: .*{problem}.*convert-annotations"):
        read_annotations(tmp_path / "vcdb.json", VcdbAnnotations)


@pytest.mark.parametrize("value", [[], {"annotation": 1}, {"index": ["a"], "negs": 3, "video_pairs": []}, {}])
def test_the_error_for_another_pickle_says_what_is_missing(tmp_path: Path, value: object) -> None:
    source = write_pickle(tmp_path / "some.pickle", value)
    for convert in (convert_vcdb, convert_evve, convert_cc_web_video):
        with pytest.raises(ValueError, match=r"some\.pickle is not laid out as the public annotations"):
            convert(source)


def test_a_list_without_ids_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("\n\n")
    with pytest.raises(ValueError, match="names no video"):
        read_ids(tmp_path / "ids.txt")


def test_the_command_says_what_to_do(tmp_path: Path) -> None:
    source = write_pickle(tmp_path / "some.pickle", {"a": 1})
    for benchmark, problem in (("vcdb", "not laid out"), ("vsc2022", "--queries and --database")):
        command = ["model", "convert-annotations", benchmark, str(source), "--output", str(tmp_path / "x.json")]
        result = CliRunner().invoke(app, command)
        assert isinstance(result.exception, UsageError)
        assert problem in str(result.exception)
    assert not (tmp_path / "x.json").exists()


def test_every_benchmark_states_its_name() -> None:
    kinds = (FivrAnnotations, CcWebVideoAnnotations, EvveAnnotations, VcdbAnnotations, Vsc2022Annotations)
    assert len({kind.model_fields["benchmark"].default for kind in kinds}) == len(kinds)
