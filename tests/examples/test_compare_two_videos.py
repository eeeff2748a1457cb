"""The example runs as README shows it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import apply_edit

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "compare_two_videos.py"


def test_the_readme_shows_the_example() -> None:
    code = EXAMPLE.read_text().split('"""', 2)[2].strip()
    assert f"```python\n{code}\n```" in (ROOT / "README.md").read_text()


@pytest.mark.integration  # loads a backbone
def test_it_prints_the_probability_and_the_copied_interval(tmp_path: Path) -> None:
    original, copy = tmp_path / "original.mp4", tmp_path / "copy.mp4"
    write_clip(original, 0, duration_s=20, size=(160, 90), fps=5)
    apply_edit("flip", original, copy)
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(copy), str(original)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=55,
        check=True,
    )
    probability = re.match(r"probability (\d\.\d+), joined score \d\.\d+\n", done.stdout)
    assert probability
    assert float(probability[1]) > 0.9
    assert re.search(r"^0\.0-\d+\.\d s shows 0\.0-\d+\.\d s of the other$", done.stdout, re.MULTILINE)
