"""The bench of look-alikes: what it says where it cannot run, and a tiny run of all of it."""

import json
from pathlib import Path

import PIL.Image
import pytest

from bench import lookalikes
from tca_model.synthetic.clips import clip_frames, write_clip


def write_data(folder: Path) -> None:
    """Two short clips of one scene and two pictures, as the bench expects them."""
    videos = folder / "videos/dev"
    videos.mkdir(parents=True)
    lines = ["clip,group,family,relation,duration_s"]
    for number in range(2):
        write_clip(videos / f"take{number}.mp4", number, duration_s=3.0, size=(160, 90), fps=4)
        lines.append(f'take{number}.mp4,scene,room,"same scene, different take",3.0')
    (videos / "manifest.csv").write_text("\n".join(lines) + "\n")
    for name in ("images", "photos"):
        (folder / name).mkdir()
        PIL.Image.fromarray(next(clip_frames(len(name), 1, (160, 120), 1))).save(folder / name / "one.webp")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--data", "{folder}/absent"], "absent/videos/dev has no manifest that names the clips' families"),
        (["--kinds", "opera"], "there is no kind 'opera'; there are other take, slides"),
        (["--stills", "3"], "3 still pictures were asked for; .* has 2 in images and photos"),
        (["--bundle", "nobody's"], 'no bundle "nobody\'s"'),
        (["--work", "{folder}/file/work"], "file/work: Not a directory"),
        (["--json", "{folder}"], "is a folder, not a file"),
        (["--workers", "0"], "--workers must be 1 or more, got 0"),
    ],
)
def test_what_cannot_be_done_ends_it_with_a_reason_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], why: str
) -> None:
    (tmp_path / "file").touch()
    write_data(tmp_path / "data")
    options = [argument.format(folder=tmp_path) for argument in arguments]
    given = [
        "lookalikes",
        "--data",
        str(tmp_path / "data"),
        "--work",
        str(tmp_path / "work"),
        "--stills",
        "2",
        *options,
    ]
    monkeypatch.setattr("sys.argv", given)
    with pytest.raises(SystemExit, match=why):
        lookalikes.main()
    assert not list((tmp_path / "work").rglob("*.mp4"))


@pytest.mark.integration
def test_some_kinds_are_made_described_judged_and_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_data(tmp_path / "data")
    figures = tmp_path / "out" / "figures.json"
    given = [
        "--data",
        str(tmp_path / "data"),
        "--work",
        str(tmp_path / "work"),
        "--stills",
        "2",
        "--json",
        str(figures),
    ]
    monkeypatch.setattr("sys.argv", ["lookalikes", *given, "--kinds", "clock", "other take", "stills, 10 minutes"])
    lookalikes.main()

    (judged,) = json.loads(figures.read_bytes())
    assert judged["name"] == "default"
    kinds = {kind["kind"]: kind for kind in judged["kinds"]}
    assert {name: kind["pairs"] for name, kind in kinds.items()} == {
        "other take": 1,
        "clock": 3,
        "stills, 10 minutes": 3,
    }
    assert kinds["clock"]["held_out_pairs"] == 3
    alerts = [pair for pair in judged["pairs"] if pair["is_alert"]]
    assert len(alerts) == sum(kind["alerts"] for kind in kinds.values())
    assert all(pair["alert_score"] >= judged["threshold"] for pair in alerts)
    assert "silent: " in capsys.readouterr().out

    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.*")}
    assert len([path for path in kept if path.suffix == ".npz"]) == 3 + 2 + 2
    lookalikes.main()
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.*")}
    assert json.loads(figures.read_bytes()) == [judged], "the same figures from what was stored"
