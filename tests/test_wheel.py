"""The wheel holds all that a scan needs."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tca_model.synthetic.clips import write_clip

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[1]


def run(*command: object, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_scan_works_from_the_wheel_outside_the_repository(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for package in ("services", "tca_model"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / file, source)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, source, cwd=tmp_path)
    [wheel] = tmp_path.glob("tca_copydetect-*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=tmp_path)
    # The dependencies of this environment, which the project's own editable installation must not join.
    packages = tmp_path / "dependencies"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "copydetect" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    [site] = (tmp_path / "env").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{packages}\n")
    clips = tmp_path / "clips"
    clips.mkdir()
    write_clip(clips / "one.mp4", 0, duration_s=6, size=(160, 90), fps=5)
    (clips / "two.mp4").write_bytes((clips / "one.mp4").read_bytes())
    place = run(python, "-c", "import services, tca_model; print(services.__path__, tca_model.__path__)", cwd=clips)
    assert str(ROOT) not in place
    assert run(tmp_path / "env" / "bin" / "copydetect", "--version", cwd=clips).startswith("copydetect 0.")
    scanned = run(tmp_path / "env" / "bin" / "copydetect", "scan", clips, "--output", "-", cwd=clips)
    assert '"score": 1.0' in scanned or '"score": 0.99' in scanned
