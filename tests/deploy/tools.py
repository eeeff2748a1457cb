"""Checkers for deployments that are Go modules, built once into the user's cache."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.servers.cached import ensure_folder
from tests.servers.process import Unavailable, cache_folder

_BUILD_S: Final = 540  # kubectl-validate contains the schemas of many Kubernetes versions


def compose_loader() -> str:
    """Path of Docker Compose's loader of compose files, which needs no engine. Raises Unavailable."""
    return _build("github.com/compose-spec/compose-go/v2/cmd@v2.6.3", "cmd")


def kustomize() -> str:
    """Path of kustomize. Raises Unavailable."""
    return _build("sigs.k8s.io/kustomize/kustomize/v5@v5.6.0", "kustomize")


def kubectl_validate() -> str:
    """Path of the checker of manifests against the schemas of Kubernetes. Raises Unavailable."""
    return _build("sigs.k8s.io/kubectl-validate@v0.0.4", "kubectl-validate")


def keda_crds() -> Path:
    """The folder of KEDA's custom resource definitions. Raises Unavailable."""
    module = "github.com/kedacore/keda/v2@v2.15.1"

    def fetch(folder: Path) -> None:
        source = Path(json.loads(_go("mod", "download", "-json", module))["Dir"]) / "config" / "crd" / "bases"
        for file in source.glob("keda.sh_*.yaml"):
            shutil.copyfile(file, folder / file.name)

    return ensure_folder(_cache_path(module), fetch)


def _build(package: str, program: str) -> str:
    folder = ensure_folder(_cache_path(package), lambda folder: _install(package, folder))
    return str(folder / program)


def _install(package: str, folder: Path) -> None:
    _go("install", package, GOBIN=str(folder))


def _cache_path(module: str) -> Path:
    return cache_folder() / "go" / module.replace("/", "_")


def _go(*arguments: str, **environment: str) -> str:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise Unavailable("no go: install 1.23 or later and put it on PATH")
    done = subprocess.run(
        [go, *arguments],
        cwd="/",  # outside of any Go module
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"go {' '.join(arguments)}: {done.stderr.strip()[-500:] or done.stdout.strip()[-500:]}")
    return done.stdout
