"""The images are small, pinned, run as an unprivileged user, and contain all that their service imports."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.requirements import INGEST_ONLY, requirements

ROOT = Path(__file__).parents[2]
SERVICES = ("ingest", "matcher")
# The modules of the packages that the matcher's image omits.
LEFT_OUT = ("av", "PIL", "timm", "torch", "torchvision")


def dockerfile(service: str) -> Path:
    return ROOT / "deploy" / f"{service}.Dockerfile"


def instructions(service: str) -> list[tuple[str, str]]:
    """Each instruction with its arguments, without comments and with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile(service).read_text(), flags=re.MULTILINE)
    joined = text.replace("\\\n", " ").splitlines()
    return [(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in joined) if word]


@pytest.mark.parametrize("service", SERVICES)
def test_the_base_is_pinned_and_build_tools_are_not_in_the_final_image(service: str) -> None:
    bases = [arguments.split()[0] for word, arguments in instructions(service) if word == "FROM"]
    assert len(bases) == 2
    assert set(bases) == {bases[0]}  # the environment is copied, so both need the same interpreter
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])


@pytest.mark.parametrize("service", SERVICES)
def test_an_unprivileged_user_runs_it(service: str) -> None:
    words = [word for word, _ in instructions(service)]
    [user] = [arguments for word, arguments in instructions(service) if word == "USER"]
    assert user == "10001:10001"  # numeric: Kubernetes cannot see whether a name is root
    last_stage = words[len(words) - words[::-1].index("FROM") :]
    assert "USER" in last_stage
    assert "RUN" not in last_stage[last_stage.index("USER") :]


@pytest.mark.parametrize("service", SERVICES)
def test_signals_reach_the_service(service: str) -> None:
    found = dict(instructions(service))
    assert json.loads(found["ENTRYPOINT"]) == [
        "/usr/bin/tini",
        "--",
        "copydetect",
    ]  # a list: no shell in between
    assert json.loads(found["CMD"]) == [service]


@pytest.mark.parametrize("service", SERVICES)
def test_the_tested_versions_are_installed(service: str) -> None:
    installs = [part for _, rest in instructions(service) for part in rest.split("&&") if "pip install" in part]
    assert len(installs) == 2
    for install in installs:
        assert "--no-deps ." in install or "--constraint constraints.txt" in install, install
    assert any(f"requirements.py {service} pyproject.toml" in rest for _, rest in instructions(service))


@pytest.mark.parametrize("service", SERVICES)
def test_the_build_context_contains_exactly_what_is_copied(service: str) -> None:
    ignored = Path(f"{dockerfile(service)}.dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source
        for word, arguments in instructions(service)
        if word == "COPY" and "--from" not in arguments
        for source in arguments.split()[:-1]
    }
    assert allowed == copied
    assert all((ROOT / path).exists() for path in copied)


def test_the_matcher_installs_everything_except_what_computes_descriptors() -> None:
    everything, few = (requirements(service, ROOT / "pyproject.toml") for service in ("ingest", "matcher"))
    left_out = {re.split(r"[^\w.-]", requirement)[0] for requirement in set(everything) - set(few)}
    assert left_out == INGEST_ONLY
    assert set(few) < set(everything)


def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(SystemExit, match="no service"):
        requirements("both", ROOT / "pyproject.toml")


def import_without(modules: list[str]) -> subprocess.CompletedProcess[str]:
    """Import these modules in an interpreter that has only the packages of the matcher's image."""
    lines = ["import sys", f"for name in {LEFT_OUT!r}:", "    sys.modules[name] = None"]
    program = "\n".join([*lines, *(f"import {module}" for module in modules)])
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.integration
def test_the_image_of_the_matcher_has_all_that_its_services_import() -> None:
    folders = ("matcher", "alerter", "backends", "runtime", "contracts")
    modules = [
        f"services.{folder}.{file.stem}" for folder in folders for file in (ROOT / "services" / folder).glob("[!_]*.py")
    ]
    assert len(modules) > 20
    done = import_without([*modules, "tca_model.bundle"])
    assert done.returncode == 0, done.stderr[-1500:]


@pytest.mark.integration
def test_the_image_of_the_matcher_has_all_that_its_command_imports() -> None:
    done = import_without(["services.cli.main"])
    assert done.returncode == 0, done.stderr[-1500:]


@pytest.mark.integration
def test_the_check_finds_what_the_image_lacks() -> None:
    assert "av" in import_without(["tca_model.video.decode"]).stderr
