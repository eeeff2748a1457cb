"""Settings come only from the environment, read once and checked."""

import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.contracts.errors import UsageError
from services.runtime.settings import Settings, load_settings, unknown_variables

ROOT = Path(__file__).parents[2]

# Who may read the environment, and why.
READERS = {
    "services/runtime/settings.py": "the one place where settings are read",
    "services/ingest/decode/process.py": "builds the environment of a child, which gets only its library path",
    "services/cli/main.py": "silences gRPC, which is configured by the environment alone",
}


# As Kubernetes adds them for a Service named copydetect-ingest.
SERVICE_VARIABLES = {
    "COPYDETECT_INGEST_SERVICE_HOST": "10.0.0.1",
    "COPYDETECT_INGEST_SERVICE_PORT": "9464",
    "COPYDETECT_INGEST_SERVICE_PORT_METRICS": "9464",
    "COPYDETECT_INGEST_PORT": "tcp://10.0.0.1:9464",
    "COPYDETECT_INGEST_PORT_9464_TCP": "tcp://10.0.0.1:9464",
    "COPYDETECT_INGEST_PORT_9464_TCP_PROTO": "tcp",
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("COPYDETECT_"):
            monkeypatch.delenv(name)


def test_every_setting_has_a_default_that_is_valid() -> None:
    settings = load_settings()
    assert Settings.model_validate(settings.model_dump()) == settings


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPYDETECT_SEGMENT_S", "16")
    monkeypatch.setenv("COPYDETECT_BUNDLE", "/models/mine")
    monkeypatch.setenv("COPYDETECT_ALERT_THRESHOLD", "0.5")
    settings = load_settings()
    assert (settings.segment_s, settings.bundle, settings.alert_threshold) == (16, "/models/mine", 0.5)
    assert load_settings().tenant_alert_thresholds == {}
    monkeypatch.setenv("COPYDETECT_TENANT_ALERT_THRESHOLDS", "kids=0.8, a=b=0.99,")
    assert load_settings().tenant_alert_thresholds == {"kids": 0.8, "a=b": 0.99}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COPYDETECT_SEGMENT_S", "3"),
        ("COPYDETECT_SEGMENT_S", "nan"),
        ("COPYDETECT_SEGMENT_S", "half a minute"),
        ("COPYDETECT_DECODE_WORKERS", "0"),
        ("COPYDETECT_ALERT_THRESHOLD", ""),
        ("COPYDETECT_TENANT_ALERT_THRESHOLDS", "kids"),
        ("COPYDETECT_TENANT_ALERT_THRESHOLDS", "kids=2"),
        ("COPYDETECT_MAX_FILE_BYTES", "-1"),
    ],
)
def test_a_wrong_value_is_the_operators_mistake_and_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"wrong settings: {name}: "):
        load_settings()


def test_all_wrong_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPYDETECT_SEGMENT_S", "0")
    monkeypatch.setenv("COPYDETECT_DECODE_WORKERS", "none")
    with pytest.raises(UsageError, match=r"COPYDETECT_SEGMENT_S: .*COPYDETECT_DECODE_WORKERS: "):
        load_settings()


def test_variables_of_kubernetes_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    # Kubernetes adds such variables to every pod for each Service of its namespace.
    for name, value in SERVICE_VARIABLES.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == Settings()
    assert unknown_variables() == []


def test_unknown_variables_are_listed() -> None:
    environ = {
        "COPYDETECT_SEGMENT_S": "16",
        "COPYDETECT_SECRETS_DIR": "/run/secrets",
        "COPYDETECT_VOLUME": "11",
        "COPYDETECT_BUNDEL": "mine",
        "COPYDETECT_HTPP_PORT": "9464",
        "PATH": "/bin",
        **SERVICE_VARIABLES,
    }
    assert unknown_variables(environ) == ["COPYDETECT_BUNDEL", "COPYDETECT_HTPP_PORT", "COPYDETECT_VOLUME"]


def test_a_variable_that_is_like_no_setting_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPYDETECT_VOLUME", "11")
    assert load_settings() == Settings()
    assert unknown_variables() == ["COPYDETECT_VOLUME"]


def test_an_unknown_setting_in_code_is_refused() -> None:
    with pytest.raises(ValidationError, match="misspelt"):
        Settings(misspelt=1)  # type: ignore[call-arg]  # that is the test


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.segment_s = 8  # type: ignore[misc]


def test_no_other_module_reads_the_environment() -> None:
    reads = re.compile(r"\bos\.environ\b|\bgetenv\b|\bimport\b.*\benviron\b|\bBaseSettings\b")
    found = {
        str(path.relative_to(ROOT))
        for package in ("services", "tca_model")
        for path in (ROOT / package).rglob("*.py")
        if reads.search(path.read_text())
    }
    assert found <= set(READERS), "read it in services/runtime/settings.py and pass it on"


def test_a_misspelt_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPYDETECT_BUNDEL", "mine")
    with pytest.raises(UsageError, match="COPYDETECT_BUNDEL: did you mean COPYDETECT_BUNDLE"):
        load_settings()


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPYDETECT_FETCH_ROOTS", "/videos, /more")
    monkeypatch.setenv("COPYDETECT_FETCH_HOSTS", "*.example.org,cdn.example.com,")
    settings = load_settings()
    assert settings.fetch_roots == (Path("/videos"), Path("/more"))
    assert settings.fetch_hosts == ("*.example.org", "cdn.example.com")


def test_secrets_can_be_in_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "copydetect_redis_password").write_text("from a file\n")
    monkeypatch.setenv("COPYDETECT_SECRETS_DIR", str(tmp_path))
    settings = load_settings()
    assert settings.redis_password is not None
    assert settings.redis_password.get_secret_value() == "from a file"
    assert "from a file" not in repr(settings)


def test_a_missing_folder_of_secrets_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPYDETECT_SECRETS_DIR", "/nowhere")
    with pytest.raises(UsageError, match="COPYDETECT_SECRETS_DIR: no folder /nowhere"):
        load_settings()


SASL = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512", "USERNAME": "me", "PASSWORD": "secret"}


def test_a_complete_login_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SASL.items():
        monkeypatch.setenv(f"COPYDETECT_KAFKA_{name}", value)
    assert load_settings().kafka_username == "me"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PASSWORD": None}, "SASL_SSL needs"),
        ({"SECURITY_PROTOCOL": "PLAINTEXT"}, "SECURITY_PROTOCOL is PLAINTEXT: set SASL_SSL"),
        ({"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "CA_FILE": "/ca.pem"}, "CA_FILE is set"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    changes: dict[str, str | None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**SASL, **changes}.items():
        if value is not None:
            monkeypatch.setenv(f"COPYDETECT_KAFKA_{name}", value)
    with pytest.raises(UsageError, match=message):
        load_settings()
