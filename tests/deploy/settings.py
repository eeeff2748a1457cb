"""The settings that result from a deployment's variables."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from services.runtime.settings import PREFIX, SECRETS_DIR, Settings, load_settings

KNOWN: Final = frozenset({SECRETS_DIR, *(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)})


def unknown(names: Mapping[str, object]) -> set[str]:
    """The names with our prefix that are no setting, such as a typing error."""
    return {name for name in names if name.startswith(PREFIX)} - KNOWN


def settings_of(variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, secrets: Path | None = None) -> Settings:
    """The settings of a process with these variables; `secrets` replaces the mounted folder of secrets."""
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        if name.startswith(PREFIX) and name != SECRETS_DIR:
            monkeypatch.setenv(name, value)
    if secrets is not None:
        monkeypatch.setenv(SECRETS_DIR, str(secrets))
    return load_settings()
