"""Prints the requirements of an image, one per line: `python requirements.py matcher pyproject.toml`.

The matcher only searches and compares stored vectors. Without the packages that compute them, its image has a tenth of
the size, starts in a second, and contains no FFmpeg to keep patched.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

# The packages that decode and describe. `services.matcher` may not import them (pyproject.toml, importlinter).
INGEST_ONLY: Final = frozenset({"av", "pillow", "timm", "torch", "torchvision"})


def requirements(service: str, pyproject: Path) -> list[str]:
    """The project's dependencies; for the matcher without those that only ingest needs."""
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
