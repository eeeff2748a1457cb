"""`copydetect scan` as a user runs it: real processes, synthetic clips, Milvus Lite."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import apply_edit

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Ended:
    code: int
    output: str
    errors: str
    pairs: list[dict[str, Any]] = field(default_factory=list)

    def names(self) -> set[frozenset[str]]:
        return {frozenset((Path(pair["query"]).name, Path(pair["reference"]).name)) for pair in self.pairs}


COMMAND = [sys.executable, "-m", "services.cli.main", "scan"]
ROOT = Path(__file__).parents[2]


def scan(tmp_path: Path, *arguments: object, **environment: str) -> Ended:
    output = tmp_path / "pairs.jsonl"
    ended = subprocess.run(
        [*COMMAND, *map(str, arguments), "--output", str(output)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", **environment},
        timeout=240,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    lines = output.read_text().splitlines() if output.exists() else []
    return Ended(ended.returncode, ended.stdout, ended.stderr, [json.loads(line) for line in lines])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two originals, a cropped copy of the first, and an unrelated clip."""
    folder = tmp_path_factory.mktemp("clips")
    for seed, name in enumerate(("one", "two", "other")):
        write_clip(folder / f"{name}.mp4", seed, duration_s=12, size=(320, 180), fps=10)
    apply_edit("crop", folder / "one.mp4", folder / "one-cropped.mp4")
    return folder


def test_everything_against_everything_finds_the_copy_and_where_it_lies(clips: Path, tmp_path: Path) -> None:
    ended = scan(tmp_path, clips)

    assert ended.code == 0
    assert ended.names() == {frozenset(("one.mp4", "one-cropped.mp4"))}
    (pair,) = ended.pairs
    assert pair["query"].startswith(str(clips))
    (interval,) = pair["intervals"]
    assert interval["query_end_s"] - interval["query_start_s"] > 9
    assert abs(interval["query_start_s"] - interval["reference_start_s"]) <= 1
    assert "4 files, 1 pair, 0 not compared" in ended.output


def test_only_references_are_found_if_there_are_any(clips: Path, tmp_path: Path) -> None:
    shutil.copy(clips / "one-cropped.mp4", tmp_path / "again.mp4")
    ended = scan(
        tmp_path,
        tmp_path / "again.mp4",
        clips / "one-cropped.mp4",
        "--references",
        clips / "one.mp4",
        clips / "two.mp4",
    )
    assert {(Path(pair["query"]).name, Path(pair["reference"]).name) for pair in ended.pairs} == {
        ("again.mp4", "one.mp4"),
        ("one-cropped.mp4", "one.mp4"),
    }


def test_all_scores_with_exhaustive_has_a_row_per_unordered_pair(clips: Path, tmp_path: Path) -> None:
    ended = scan(tmp_path, clips, "--all-scores", "--exhaustive")
    assert len(ended.pairs) == len(ended.names()) == 6
    scores = [pair["score"] for pair in ended.pairs]
    assert scores == sorted(scores, reverse=True)


def test_a_lasting_index_describes_and_searches_only_what_is_new(clips: Path, tmp_path: Path) -> None:
    db = tmp_path / "index.db"
    folder = tmp_path / "library"
    folder.mkdir()
    for name in ("one.mp4", "two.mp4"):
        shutil.copy(clips / name, folder)
    assert scan(tmp_path, folder, "--db", db).pairs == []
    shutil.copy(clips / "one-cropped.mp4", folder)
    found = scan(tmp_path, folder, "--db", db)
    assert found.names() == {frozenset(("one.mp4", "one-cropped.mp4"))}

    # A decoder cannot start with this little memory: whatever is decoded now would fail.
    again = scan(tmp_path, folder, "--db", db, COPYDETECT_MAX_DECODER_BYTES="1000000")
    assert again.code == 0
    assert again.pairs == found.pairs

    shutil.copy(clips / "other.mp4", folder / "one-cropped.mp4")
    assert scan(tmp_path, folder, "--db", db).pairs == []


def test_references_kept_by_an_earlier_scan_are_not_described_again(clips: Path, tmp_path: Path) -> None:
    db = tmp_path / "index.db"
    scan(tmp_path, clips, "--db", db)
    ended = scan(
        tmp_path,
        clips / "one-cropped.mp4",
        "--references",
        clips / "one.mp4",
        "--db",
        db,
        COPYDETECT_MAX_DECODER_BYTES="1000000",
    )
    assert ended.code == 0
    assert ended.names() == {frozenset(("one.mp4", "one-cropped.mp4"))}


def test_each_unusable_file_is_reported_and_the_others_are_compared(clips: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "empty.mp4").touch()
    (bad / "garbage.mp4").write_bytes(bytes(range(256)) * 40)
    (bad / "truncated.mp4").write_bytes((clips / "two.mp4").read_bytes()[:2000])
    (bad / "folder.mp4").mkdir()
    (bad / "gone.mp4").symlink_to(bad / "nowhere.mp4")
    (tmp_path / "no-files").mkdir()
    ended = scan(tmp_path, clips, bad, tmp_path / "no-files")

    assert ended.code == 1
    assert ended.names() == {frozenset(("one.mp4", "one-cropped.mp4"))}
    for name, reason in (
        ("empty.mp4", "empty"),
        ("garbage.mp4", "not a video"),
        ("truncated.mp4", "truncated"),
        ("gone.mp4", "No such file"),
        ("no-files", "no videos"),
    ):
        (line,) = (line for line in ended.output.splitlines() if name in line)
        assert reason in line
    words = ended.output.split()
    listed = [word for word in words if Path(word).name in ("empty.mp4", "garbage.mp4", "truncated.mp4", "gone.mp4")]
    assert len(listed) == 4
    assert listed == sorted(listed)


def test_an_index_of_another_model_is_refused(clips: Path, tmp_path: Path) -> None:
    from services.backends.milvus.index import MilvusIndex

    db = tmp_path / "index.db"
    MilvusIndex(str(db), model_version="0123456789ab", dimension=8).close()
    ended = scan(tmp_path, clips, "--db", db)
    assert ended.code == 2
    assert "holds descriptors of model 0123456789ab" in ended.errors


def is_decoding(pid: int) -> bool:
    """Whether the scan decodes: while libraries are still starting, a Ctrl-C may be lost."""
    with contextlib.suppress(OSError):  # processes come and go
        children = " ".join(file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")).split()
        return any(b"services.ingest.decode.child" in Path(f"/proc/{child}/cmdline").read_bytes() for child in children)
    return False


def interrupt(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C, again if nothing happens, as a person would. Returns the error output."""
    for _ in range(4):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=30)[1]
    process.kill()
    raise AssertionError(process.communicate()[1])


def test_an_interrupted_scan_leaves_an_index_that_the_next_one_uses(clips: Path, tmp_path: Path) -> None:
    db, results = tmp_path / "index.db", tmp_path / "results"
    results.mkdir()
    many = tmp_path / "many"  # so that even the fastest machine is still at work when it is interrupted
    many.mkdir()
    for number in range(300):
        (many / f"{number}.mp4").symlink_to(clips / "other.mp4")
    process = subprocess.Popen(
        [
            *(*COMMAND, str(clips), str(many), "--db", str(db)),
            *("--output", str(results / "pairs.jsonl"), "--report", str(results / "report.html")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    deadline = time.monotonic() + 120
    while not is_decoding(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    errors = interrupt(process)
    assert process.returncode == 130
    assert f"kept in {db}" in errors.replace("\n", "")
    assert "Traceback" not in errors
    assert list(results.iterdir()) == [], "an interrupted scan leaves no output files"
    assert scan(tmp_path, clips, "--db", db).names() == {frozenset(("one.mp4", "one-cropped.mp4"))}


def test_every_clip_in_an_odd_format_is_described(real_videos: Path, tmp_path: Path) -> None:
    ended = scan(tmp_path, real_videos / "formats", "--all-scores", "--exhaustive")
    assert ended.code == 0
    described = {name for pair in ended.names() for name in pair}
    files = {path.name for path in (real_videos / "formats").iterdir() if path.suffix != ".csv"}
    assert described == files
