"""What a process imports: the matcher runs without the GPU stack, and help is printed at once."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]


def find_imports(statement: str, modules: set[str]) -> set[str]:
    """Those of the modules that a new interpreter has imported after the statement."""
    program = f"{statement}\nimport sys\nprint(*sorted({modules!r} & sys.modules.keys()), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=50, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "module",
    [
        "services.matcher.pipeline",
        "services.matcher.worker",
        "services.backends.memory.bus",
        "services.contracts.events",
    ],
)
def test_the_matcher_does_not_import_the_gpu_stack(module: str) -> None:
    assert find_imports(f"import {module}", {"torch", "torchvision", "timm", "av"}) == set()


def test_help_imports_neither_torch_nor_milvus() -> None:
    run = "\n".join(
        [
            "import sys",
            "from services.cli.main import main",
            "sys.argv = ['copydetect', '--help']",
            "try:",
            "    main()",
            "except SystemExit as end:",
            "    assert not end.code",
        ]
    )
    assert find_imports(run, {"torch", "torchvision", "pymilvus", "milvus_lite"}) == set()


def test_the_library_imports_neither_torch_nor_av_until_it_is_used() -> None:
    assert find_imports("import tca_model; dir(tca_model)", {"torch", "av"}) == set()
    assert find_imports("from tca_model import BundleError, DecodeError", {"torch", "av"}) == set()
    assert find_imports("from tca_model import describe", {"torch", "av"}) == {"torch", "av"}


def test_the_check_finds_imports() -> None:
    assert find_imports("import json", {"json", "torch"}) == {"json"}
