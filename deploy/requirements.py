"""Prints what an image has to install, a requirement a line: `python requirements.py matcher pyproject.toml`.

The matcher searches and compares vectors that are there: without the packages that make them its image is a tenth of
the size, starts in a second, and holds no FFmpeg that somebody would have to keep patched.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

# What frames and descriptors are made with. `services.matcher` may not import these (pyproject.toml, importlinter).
INGEST_ONLY: Final = frozenset({"av", "pillow", "timm", "torch", "torchvision"})


def requirements(service: str, pyproject: Path) -> list[str]:
    """The project's dependencies, for the matcher without those of ingest alone."""
    dependencies: list[str] = tomllib.loads(pyproject.read_text())["project"]["dependencies"]
    unknown = INGEST_ONLY - {_name(dependency) for dependency in dependencies}
    if service == "ingest":
        return dependencies
    if service != "matcher" or unknown:
        raise SystemExit(f"no service {service}, or no dependencies {sorted(unknown)} in {pyproject}")
    return [dependency for dependency in dependencies if _name(dependency) not in INGEST_ONLY]


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower()


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(sys.argv[1], Path(sys.argv[2]))) + "\n")
