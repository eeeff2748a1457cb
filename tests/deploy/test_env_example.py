"""deploy/env.example has every setting, by its name, with its default or an example that is valid."""

import re
from pathlib import Path

import pytest

from services.runtime.settings import SECRETS_DIR, Settings
from tests.deploy.settings import KNOWN, settings_of, unknown

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "env.example"
# Their defaults depend on the machine.
OF_THE_MACHINE = {"COPYDETECT_INSTANCE", "COPYDETECT_DECODE_WORKERS"}


def lines() -> dict[str, str]:
    return dict(re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", FILE.read_text(), re.MULTILINE))


def examples() -> set[str]:
    """Names below a comment that ends with `Example:` or `Examples:`, up to the next comment."""
    blocks = re.findall(r"Examples?:\n((?:#[A-Z_]+=.*\n)+)", FILE.read_text())
    return {name for block in blocks for name in re.findall(r"^#([A-Z_]+)=", block, re.MULTILINE)}


def test_every_setting_is_listed() -> None:
    assert unknown(lines()) == set()
    assert KNOWN - lines().keys() == set()


def test_nothing_is_set_before_the_operator_sets_it() -> None:
    assert re.findall(r"^[^#\n].*", FILE.read_text(), re.MULTILINE) == []


def test_values_that_are_no_examples_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {name: value for name, value in lines().items() if name not in examples()}
    documented, real = settings_of(defaults, monkeypatch), settings_of({}, monkeypatch)
    assert documented == real
    unset = {f"COPYDETECT_{name.upper()}" for name, value in real if value in (None, (), {})}
    assert examples() == unset | OF_THE_MACHINE | {SECRETS_DIR}


def test_the_examples_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(lines() | {"COPYDETECT_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, monkeypatch)
    assert settings.fetch_hosts == ("media.example.org", "*.cdn.example.org")


def test_every_setting_has_a_comment_or_a_heading() -> None:
    described = {name for name in lines() if name.removeprefix("COPYDETECT_").lower() in Settings.model_fields}
    assert len(described) == len(Settings.model_fields)
    assert len(re.findall(r"^# [^-]", FILE.read_text(), re.MULTILINE)) > len(described) / 2


def test_variables_of_compose_are_listed() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{([A-Z_]+)", compose)) <= lines().keys()
