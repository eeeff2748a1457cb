"""Files with results: checked before the work, replaced only when it ends well."""

import json
from pathlib import Path

import pytest

from services.cli.output import open_output
from services.cli.results import PairRow
from services.contracts.errors import UsageError
from tests.cli.found import INTERVAL


def test_the_output_has_one_object_per_line_with_paths_as_the_user_wrote_them(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with open_output(path, "--output") as write:
        write(
            row.to_json() + "\n"
            for row in (PairRow("q.mp4", "é.mp4", 0.5, (INTERVAL,), 0.1), PairRow("q.mp4", "b.mp4", 0.4, ()))
        )
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {
        "query": "q.mp4",
        "reference": "é.mp4",
        "score": 0.5,
        "joined_score": 0.1,
        "intervals": [INTERVAL.model_dump()],
    }
    assert set(first["intervals"][0]) == {
        "query_start_s",
        "query_end_s",
        "reference_start_s",
        "reference_end_s",
        "score",
    }
    assert second["intervals"] == []


def test_an_output_survives_a_run_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("earlier results\n")
    with pytest.raises(RuntimeError, match="boom"), open_output(path, "--output"):
        raise RuntimeError("boom")
    assert path.read_text() == "earlier results\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="cannot write --output"),
        open_output(tmp_path / "none" / "out.jsonl", "--output"),
    ):
        pytest.fail("the work must not begin")
    with pytest.raises(UsageError, match=r"cannot write --report .*Is a directory"), open_output(tmp_path, "--report"):
        pytest.fail("the work must not begin")


def test_an_output_goes_where_a_link_points_and_keeps_its_mode(tmp_path: Path) -> None:
    real, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    real.write_text("old\n")
    real.chmod(0o640)
    link.symlink_to(real)
    with open_output(link, "--output") as write:
        write(["one", "two\n"])
    assert link.is_symlink()
    assert real.read_text() == "onetwo\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [link, real]


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with open_output(Path("-"), "--output") as write:
        write(["one", "two\n"])
    assert capsys.readouterr().out == "onetwo\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_does_not_end_leaves_no_file(error: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(error), open_output(tmp_path / "out.jsonl", "--output"):
        raise error
    assert list(tmp_path.iterdir()) == []
