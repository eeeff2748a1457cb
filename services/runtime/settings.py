"""All settings, read once from COPYDETECT_* variables and passed on explicitly; no other module reads them.

Secrets can lie in files instead: COPYDETECT_SECRETS_DIR names a folder with one file a setting, named after its
variable in small letters, as Kubernetes and Docker mount secrets.
"""

import os
import socket
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.contracts.errors import UsageError
from tca_model.bundle import DEFAULT

PREFIX = "COPYDETECT_"
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"
TYPO = 0.85  # share of a name that is right, as difflib counts it
GIB = 2**30
DAY_S = 24 * 3600.0


def _split(value: object) -> object:
    return [part for part in map(str.strip, value.split(",")) if part] if isinstance(value, str) else value


def _pairs(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [part.rpartition("=") for part in map(str.strip, value.split(",")) if part]
    if wrong := next((last for name, _, last in pairs if not name), None):
        raise ValueError(f"expected tenant=number, got {wrong}")
    return {name: number for name, _, number in pairs}


Names: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Folders: TypeAlias = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)]


Thresholds: TypeAlias = Annotated[dict[str, Annotated[float, Field(ge=-1, le=1)]], NoDecode, BeforeValidator(_pairs)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    # The work
    bundle: Annotated[str, Field(description="Model bundle: a shipped name or a folder")] = DEFAULT
    segment_s: Annotated[float, Field(ge=4, le=120, description="Length of the segments that files are cut into")] = 32
    describe_panels: Annotated[
        bool, Field(description="Pictures in the picture, and beside each other, are described on their own, too")
    ] = True
    alert_threshold: Annotated[
        float | None, Field(ge=-1, le=1, description="Probability of a copy that alerts; the bundle's when not set")
    ] = None
    tenant_alert_thresholds: Annotated[
        Thresholds, Field(description="Other thresholds for some tenants, as tenant=0.95,other=0.8")
    ] = {}
    evidence_share: Annotated[
        float,
        Field(ge=0, le=1, description="Share of the score that alerts, from which a segment's evidence is kept"),
    ] = 0.5
    asset_idle_s: Annotated[
        float, Field(gt=0, description="An upload that does not end is decided on after so long without a segment")
    ] = 3600
    state_retention_s: Annotated[
        float, Field(gt=0, description="How long the matcher remembers an asset that was decided on")
    ] = 7 * DAY_S

    # Limits of input
    decode_workers: Annotated[int, Field(ge=1, le=256, description="Decoder processes")] = max(
        1, min(8, os.cpu_count() or 1)
    )
    decode_deadline_s: Annotated[float, Field(gt=0, description="A decoder without progress for so long is killed")] = (
        60
    )
    max_file_bytes: Annotated[int, Field(gt=0, description="Larger files are refused")] = 16 * GIB
    max_pixels: Annotated[int, Field(gt=0, description="Larger pictures are refused; 8K by default")] = 8192 * 4352
    max_duration_s: Annotated[float, Field(gt=0, description="Longer videos are refused")] = 12 * 3600
    max_frames: Annotated[int, Field(gt=0, description="Videos that give more sampled frames are refused")] = 50_000
    max_decoder_bytes: Annotated[int, Field(gt=0, description="Address space of a decoder process")] = 4 * GIB
    max_in_flight_bytes: Annotated[
        int, Field(gt=0, description="Media in work; while more is, no further upload is taken")
    ] = 32 * GIB
    fetch_roots: Annotated[
        Folders, Field(description="Folders that uploads may name files in, comma-separated; none by default")
    ] = ()
    fetch_hosts: Annotated[
        Names, Field(description="Hosts that uploads may name, comma-separated, *.example.org for all below it")
    ] = ()
    fetch_private_hosts: Annotated[
        bool, Field(description="Also fetch from allowed hosts whose addresses are not public, and by plain http")
    ] = False
    fetch_deadline_s: Annotated[float, Field(gt=0, description="A file that is not fetched by then is given up")] = 600
    cache_bytes: Annotated[int, Field(gt=0, description="Memory for cached descriptors, embedded mode")] = GIB // 4

    # Backends
    kafka_brokers: Annotated[str, Field(min_length=1, description="host:port of some brokers, comma-separated")] = (
        "localhost:9092"
    )
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Field(description="How to talk to the brokers")
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None, Field(description="With SASL, how to log in")
    ] = None
    kafka_username: Annotated[str | None, Field(description="With SASL")] = None
    kafka_password: Annotated[SecretStr | None, Field(description="With SASL")] = None
    kafka_ca_file: Annotated[Path | None, Field(description="Certificates that sign the brokers' own")] = None
    redis_url: Annotated[str, Field(pattern=r"^(rediss?|unix)://", description="redis://host:port/db, rediss://")] = (
        "redis://localhost:6379/0"
    )
    redis_username: Annotated[str | None, Field(description="Where Redis has users")] = None
    redis_password: Annotated[SecretStr | None, Field(description="Where Redis wants one")] = None
    cache_ttl_s: Annotated[float, Field(gt=0, description="How long Redis keeps a descriptor once it was written")] = (
        3 * DAY_S
    )
    milvus_uri: Annotated[str, Field(pattern=r"^https?://", description="http(s)://host:port of Milvus")] = (
        "http://localhost:19530"
    )
    milvus_token: Annotated[SecretStr | None, Field(description="user:password, or an API key")] = None
    milvus_timeout_s: Annotated[float, Field(gt=0, description="Deadline of a call to Milvus")] = 30

    # The process
    instance: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$", description="Name of this matcher, unique, kept over restarts"),
    ] = socket.gethostname()
    http_host: Annotated[str, Field(description="Address of /metrics, /livez and /readyz")] = "0.0.0.0"
    http_port: Annotated[int, Field(ge=0, le=65535, description="0 takes a free one, and says which")] = 9464
    drain_s: Annotated[float, Field(ge=0, le=600, description="After SIGTERM, time for the work at hand")] = 20
    loop_timeout_s: Annotated[float, Field(gt=0, description="A loop that turns no more for so long is not alive")] = (
        120
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least severity that is logged")
    ] = "INFO"

    @model_validator(mode="after")
    def _security_is_whole(self) -> Self:
        sasl = self.kafka_security_protocol.startswith("SASL")
        given = [name for name in ("sasl_mechanism", "username", "password") if getattr(self, f"kafka_{name}")]
        if sasl and len(given) < 3:
            raise ValueError(
                f"{self.kafka_security_protocol} needs COPYDETECT_KAFKA_SASL_MECHANISM, _USERNAME and _PASSWORD"
            )
        if given and not sasl:
            raise ValueError(
                f"COPYDETECT_KAFKA_{given[0].upper()} is set, but COPYDETECT_KAFKA_SECURITY_PROTOCOL is "
                f"{self.kafka_security_protocol}: set SASL_SSL"
            )
        if self.kafka_ca_file and not self.kafka_security_protocol.endswith("SSL"):
            raise ValueError(
                "COPYDETECT_KAFKA_CA_FILE is set, but COPYDETECT_KAFKA_SECURITY_PROTOCOL does not use certificates"
            )
        return self


def load_settings() -> Settings:
    """The settings of this process. Raises UsageError that names each wrong or unknown variable."""
    # Kubernetes adds variables of this prefix for every Service of the namespace, so only a near miss is a mistake.
    for name in unknown_variables(os.environ):
        if meant := get_close_matches(name, _known_variables(), 1, TYPO):
            raise UsageError(f"unknown setting {name}: did you mean {meant[0]}?")
    secrets = os.environ.get(SECRETS_DIR)
    if secrets and not Path(secrets).is_dir():
        raise UsageError(f"{SECRETS_DIR}: no folder {secrets}")
    try:
        return Settings(_secrets_dir=secrets or None)  # type: ignore[call-arg]  # of pydantic-settings
    except ValidationError as error:
        raise UsageError(f"wrong settings: {'; '.join(map(_in_words, error.errors()))}") from error


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """The COPYDETECT_* variables that no setting reads."""
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in _known_variables())


def _known_variables() -> set[str]:
    return {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {SECRETS_DIR}


def _in_words(error: ErrorDetails) -> str:
    name, *within = map(str, error["loc"] or [""])
    place = f"{PREFIX}{name.upper()}: " if name else ""
    return (
        place + "".join(f"{part}: " for part in within if part != "[key]") + error["msg"].removeprefix("Value error, ")
    )
