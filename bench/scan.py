"""What a scan costs: time, the share of it that a second run on the same --db takes, and how memory grows.

    python -m bench.scan [FOLDER]      default: ../shared/data/videos/dev

Three fresh processes: half of the files, all of them, and all of them again. Memory is flat when the peak of the whole
is near the peak of the half.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

DEV = Path(__file__).parents[2] / "shared/data/videos/dev"


@dataclass(frozen=True, slots=True)
class Cost:
    seconds: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=DEV)
    folder = parser.parse_args().folder
    files = sorted(str(path) for path in folder.iterdir() if path.suffix == ".mp4")
    if len(files) < 2:
        sys.exit(f"{folder} holds {len(files)} .mp4 files, the bench needs some")
    with tempfile.TemporaryDirectory() as work:
        half = scan(files[: len(files) // 2], Path(work) / "half.db")
        first = scan(files, Path(work) / "all.db")
        second = scan(files, Path(work) / "all.db")
    for name, cost in (("half of the files", half), ("all of them", first), ("all of them again", second)):
        print(f"{name:18} {cost.seconds:6.1f} s, peak {cost.peak_mib:5.0f} MiB")  # noqa: T201
    print(f"second run / first run: {second.seconds / first.seconds:.3f}")  # noqa: T201
    print(f"peak of all / peak of half: {first.peak_mib / half.peak_mib:.2f}")  # noqa: T201


def scan(files: list[str], db: Path) -> Cost:
    """Cost of `copydetect scan` over the files, decoders included in the time but not in the peak."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli.main", "scan", *files, "--db", str(db)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"copydetect scan ended with exit code {process.returncode}")
    return Cost(time.perf_counter() - started, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
