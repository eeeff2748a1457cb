"""The generated benchmark: which clips it has, what is compared with what, and a tiny run of all of it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench import generated, generated_clips
from bench.generated_clips import GeneratedClip, cast_clips
from bench.quality import Judged
from tca_model.evaluation.benchmark import Pair
from tca_model.evaluation.quality import ScoredPair, judge
from tca_model.synthetic.edits import EDITS


def pairs_of(query: Path, pairs: list[Pair]) -> dict[str, bool]:
    """The references that a query is compared with, and whether it copies them."""
    return {pair.reference.stem: pair.is_copy for pair in pairs if pair.query == query}


def test_every_original_has_look_alikes_and_a_stranger_and_no_clip_is_there_twice() -> None:
    cast = cast_clips(Path("work"))

    looks = Counter(clip.look_seed for clip in cast.clips)
    assert [looks[clip.look_seed] for clip in cast.originals] == [4] * 12
    assert {clip.look_seed for clip in cast.alike_queries} == {clip.look_seed for clip in cast.originals}
    assert [looks[clip.look_seed] for clip in cast.strangers] == [1] * 12
    assert len({clip.seed for clip in cast.clips}) == len({clip.path for clip in cast.clips}) == len(cast.clips) == 60
    assert {clip.duration_s for clip in cast.originals} == {6, 10, 16}


def test_a_quick_look_has_the_first_clips_of_all() -> None:
    few, all_of_them = cast_clips(Path("work"), 2), cast_clips(Path("work"))

    assert few.originals == all_of_them.originals[:2]
    assert few.strangers == all_of_them.strangers[:2]
    assert few.alike_references == all_of_them.alike_references[:4]
    assert few.alike_queries == all_of_them.alike_queries[:2]


def test_copies_and_strangers_are_compared_with_originals_and_look_alikes() -> None:
    cast = cast_clips(Path("work"), 2)
    benchmark = cast.benchmark(Path("work"), list(EDITS))
    pairs = list(benchmark.pairs())

    assert len(benchmark.copies) == 2 * len(EDITS)
    nothing = dict.fromkeys(["00-original", "00-alike1", "00-alike2", "01-original", "01-alike1", "01-alike2"], False)
    for copy in benchmark.copies:
        assert pairs_of(copy.path, pairs) == nothing | {copy.original.path.stem: True}
        assert copy.other.path.stem == f"stranger-{copy.original.path.stem[:2]}"
    for clip in cast.alike_queries + cast.strangers:
        assert pairs_of(clip.path, pairs) == nothing
    assert len(pairs) == (2 * len(EDITS) + 4) * 6


def test_a_clip_is_the_same_wherever_it_is_made_and_made_once(tmp_path: Path) -> None:
    one, again = (GeneratedClip(tmp_path / name / "clip.mp4", 5, 2, duration_s=0.4) for name in ("one", "again"))
    one.make()
    again.make()
    content = one.path.read_bytes()
    assert content == again.path.read_bytes()

    made = one.path.stat().st_mtime_ns
    one.make()
    assert one.path.stat().st_mtime_ns == made

    other = GeneratedClip(tmp_path / "other.mp4", 6, 2, duration_s=0.4)
    other.make()
    assert other.path.read_bytes() != content


def test_other_code_makes_other_files(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cast_clips(Path("work")).originals[0].path
    assert cast_clips(Path("work")).originals[0].path == before
    monkeypatch.setattr(generated_clips, "textures", generated_clips)
    assert cast_clips(Path("work")).originals[0].path.parent != before.parent


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--originals", "0"], "there are 12 originals, 0 were asked for"),
        (["--originals", "13"], "there are 12 originals, 13 were asked for"),
        (["--edits", "melt"], "there is no edit 'melt'; there are recompress"),
        (["--bundle", "nobody's"], 'no bundle "nobody\'s"'),
        (["--work", "{folder}/file/work"], "file/work: Not a directory"),
        (["--json", "{folder}"], "is a folder, not a file"),
        (["--json", "{folder}/file/figures.json"], "file: File exists"),
        (["--workers", "0"], "--workers must be 1 or more, got 0"),
    ],
)
def test_what_cannot_be_done_ends_it_at_once_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], why: str
) -> None:
    (tmp_path / "file").touch()
    options = [argument.format(folder=tmp_path) for argument in arguments]
    monkeypatch.setattr("sys.argv", ["generated", "--work", str(tmp_path / "work"), *options])
    with pytest.raises(SystemExit, match=why):
        generated.main()
    assert not list(tmp_path.rglob("*.mp4"))


def test_false_alerts_between_look_alikes_are_counted() -> None:
    quality = judge([ScoredPair(True, 1.0, "crop"), ScoredPair(False, 0.9)], 0.5)
    alerts = (
        ("00-original-crop", "00-alike1"),
        ("00-alike3", "00-alike1"),
        ("01-original-flip", "01-alike2"),
        ("stranger-00", "00-original"),
        ("stranger-00", "00-alike1"),
        ("00-original-flip", "00-alike1"),
    )
    judged = Judged("ours", "v", quality, false_alerts=alerts)
    assert generated.remark(judged) == (
        "false alerts of ours: 6, between 5 pairs of clips or their copies; 4 of them between look-alikes"
    )


def run(monkeypatch: pytest.MonkeyPatch, work: Path, *arguments: str) -> dict[str, Any]:
    """The figures that a run of the bench wrote."""
    figures = work / "out" / "figures.json"
    monkeypatch.setattr(
        "sys.argv", ["generated", "--work", str(work), "--json", str(figures), "--without-vpdq", *arguments]
    )
    generated.main()
    (judged,) = json.loads(figures.read_bytes())
    return dict(judged)


@pytest.mark.integration
def test_copies_are_made_judged_and_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(generated_clips, "DURATIONS_S", (3.0, 4.0))
    judged = run(monkeypatch, tmp_path, "--originals", "1", "--edits", "recompress")
    assert judged["name"] == "default"
    assert (judged["quality"]["pairs"], judged["quality"]["copies"]) == (9, 1)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")}
    assert len(made) == 6

    judged = run(monkeypatch, tmp_path, "--originals", "2", "--edits", "recompress", "crop")
    quality = judged["quality"]
    assert (quality["pairs"], quality["copies"], quality["missing"]) == (48, 4, 0)
    assert quality["micro_ap"] == 1, "easy copies come before everything else"
    assert quality["edits"]["crop"]["copies"] == 2
    assert quality["edits"]["crop"]["iou"] > 0.9
    assert Counter((one["family"], one["is_copy"]) for one in judged["scored"])["00-original", True] == 2
    assert len(judged["false_alerts"]) == quality["false_alerts"]
    printed = capsys.readouterr().out
    assert "48 pairs, 4 of them copies, by 2 edits" in printed
    assert f"false alerts of default: {quality['false_alerts']}," in printed
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")}
    assert len(kept) == 14
    assert made.items() <= kept.items()
