"""All settings, read once from COPYDETECT_* variables and passed on explicitly; no other module reads them.

Secrets can be in files instead: COPYDETECT_SECRETS_DIR is a folder with one file per setting, named like its variable
in lower case, as Kubernetes and Docker mount secrets.
"""

import os
import re
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
TYPO = 0.85  # similarity of a misspelt name to the right one, as computed by difflib
GIB = 2**30
DAY_S = 24 * 3600.0


def _split_list(value: object) -> object:
    return [part for part in map(str.strip, value.split(",")) if part] if isinstance(value, str) else value


def _split_pairs(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [part.rpartition("=") for part in map(str.strip, value.split(",")) if part]
    if wrong := next((last for name, _, last in pairs if not name), None):
        raise ValueError(f"expected tenant=number, got {wrong}")
    return {name: number for name, _, number in pairs}


Names: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_list)]
Folders: TypeAlias = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split_list)]


Thresholds: TypeAlias = Annotated[
    dict[str, Annotated[float, Field(ge=-1, le=1)]], NoDecode, BeforeValidator(_split_pairs)
]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    # The work
    bundle: Annotated[str, Field(description="Model bundle: a shipped name or a folder")] = DEFAULT
    segment_s: Annotated[float, Field(ge=4, le=120, description="Length of the segments that files are cut into")] = 32
    describe_panels: Annotated[
        bool, Field(description="Also describe pictures inside or beside another picture on their own")
    ] = True
    alert_threshold: Annotated[
        float | None,
        Field(ge=-1, le=1, description="Probability of a copy that raises an alert; the bundle's threshold by default"),
    ] = None
    tenant_alert_thresholds: Annotated[
        Thresholds, Field(description="Other thresholds for single tenants, as tenant=0.95,other=0.8")
    ] = {}
    evidence_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Keep a segment's evidence if its score is at least this share of the alerting score",
        ),
    ] = 0.2
    asset_idle_s: Annotated[
        float, Field(gt=0, description="Decide on an unfinished upload after this many seconds without a segment")
    ] = 3600
    state_retention_s: Annotated[float, Field(gt=0, description="How long the alerter remembers a decided asset")] = (
        7 * DAY_S
    )
    alert_retention_s: Annotated[
        float, Field(gt=0, description="How long it remembers one that alerts name, which it can withdraw until then")
    ] = 30 * DAY_S
    match_threads: Annotated[int, Field(ge=1, le=256, description="Uploads that a matcher compares side by side")] = 4

    # Limits of input
    decode_workers: Annotated[int, Field(ge=1, le=256, description="Decoder processes")] = max(
        1, min(8, os.cpu_count() or 1)
    )
    decode_deadline_s: Annotated[
        float, Field(gt=0, description="Kill a decoder that makes no progress for this many seconds")
    ] = 60
    decode_cpu_per_s: Annotated[
        float, Field(gt=0, description="Processor seconds that a second of video may take, after a minute for the file")
    ] = 4
    decode_cpu_s: Annotated[int, Field(gt=0, description="Processor seconds that a file may take in all")] = 3600
    max_file_bytes: Annotated[int, Field(gt=0, description="Larger files are refused")] = 16 * GIB
    max_pixels: Annotated[int, Field(gt=0, description="Videos with larger pictures are refused; 8K by default")] = (
        8192 * 4352
    )
    max_duration_s: Annotated[float, Field(gt=0, description="Longer videos are refused")] = 12 * 3600
    max_frames: Annotated[int, Field(gt=0, description="Videos with more sampled frames are refused")] = 50_000
    max_decoder_bytes: Annotated[int, Field(gt=0, description="Address space of a decoder process")] = 4 * GIB
    max_invalid_in_a_row: Annotated[
        int,
        Field(ge=0, description="Invalid records in a row that pause ingest until a restart; 0 for no limit"),
    ] = 1000
    max_in_flight_bytes: Annotated[
        int,
        Field(
            gt=0,
            description="Bytes that downloads may take of the temporary folder; a larger file goes alone, and local "
            "files take none",
        ),
    ] = 32 * GIB
    fetch_roots: Annotated[
        Folders, Field(description="Folders that uploads may be read from, comma-separated; none by default")
    ] = ()
    fetch_hosts: Annotated[
        Names,
        Field(description="Hosts that uploads may be fetched from, comma-separated; *.example.org includes subdomains"),
    ] = ()
    fetch_private_hosts: Annotated[
        bool, Field(description="Also fetch from allowed hosts with private addresses, and by plain http")
    ] = False
    fetch_deadline_s: Annotated[
        float, Field(gt=0, description="Give up a file that is not fetched within this time")
    ] = 600
    fetch_threads: Annotated[int, Field(ge=1, le=1024, description="Downloads at the same time")] = 32
    fetches_per_host: Annotated[int, Field(ge=1, description="Downloads from one host at the same time")] = 8
    fetches_per_tenant: Annotated[int, Field(ge=1, description="Downloads for one tenant at the same time")] = 24
    max_parked: Annotated[
        int, Field(ge=1, le=900, description="Records that may wait in memory until their downloads can start")
    ] = 500
    cache_bytes: Annotated[int, Field(gt=0, description="Memory for cached descriptors without Redis")] = GIB // 4

    # Backends
    kafka_brokers: Annotated[str, Field(min_length=1, description="host:port of some brokers, comma-separated")] = (
        "localhost:9092"
    )
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Field(description="Protocol of the brokers")
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None, Field(description="SASL mechanism")
    ] = None
    kafka_username: Annotated[str | None, Field(description="Name for SASL")] = None
    kafka_password: Annotated[SecretStr | None, Field(description="Password for SASL")] = None
    kafka_ca_file: Annotated[
        Path | None, Field(description="Certificates of the authorities that sign the brokers' certificates")
    ] = None
    redis_url: Annotated[str, Field(pattern=r"^(rediss?|unix)://", description="redis://host:port/db, rediss://")] = (
        "redis://localhost:6379/0"
    )
    redis_username: Annotated[str | None, Field(description="User name, if Redis has users")] = None
    redis_password: Annotated[SecretStr | None, Field(description="Password, if Redis requires one")] = None
    cache_ttl_s: Annotated[float, Field(gt=0, description="How long Redis keeps a descriptor")] = 3 * DAY_S
    milvus_uri: Annotated[str, Field(pattern=r"^https?://", description="http(s)://host:port of Milvus")] = (
        "http://localhost:19530"
    )
    milvus_token: Annotated[SecretStr | None, Field(description="user:password, or an API key")] = None
    milvus_timeout_s: Annotated[float, Field(gt=0, description="Deadline of each call to Milvus")] = 30

    # The process
    instance: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$", description="Unique name of this alerter, kept over restarts"),
    ] = socket.gethostname()
    http_host: Annotated[str, Field(description="Address of /metrics, /livez and /readyz")] = "0.0.0.0"
    http_port: Annotated[
        int, Field(ge=0, le=65535, description="Port of the probes; 0 chooses a free one and logs it")
    ] = 9464
    drain_s: Annotated[float, Field(ge=0, le=600, description="Time after SIGTERM to finish fetched files")] = 20
    loop_timeout_s: Annotated[
        float, Field(gt=0, description="A loop is not alive after this many seconds without a step")
    ] = 120
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Lowest severity that is logged")
    ] = "INFO"

    @model_validator(mode="after")
    def _check_security(self) -> Self:
        sasl = self.kafka_security_protocol.startswith("SASL")
        login = [name for name in ("sasl_mechanism", "username", "password") if getattr(self, f"kafka_{name}")]
        if sasl and len(login) < 3:
            raise ValueError(
                f"{self.kafka_security_protocol} needs COPYDETECT_KAFKA_SASL_MECHANISM, _USERNAME and _PASSWORD"
            )
        if login and not sasl:
            raise ValueError(
                f"COPYDETECT_KAFKA_{login[0].upper()} is set, but COPYDETECT_KAFKA_SECURITY_PROTOCOL is "
                f"{self.kafka_security_protocol}: set SASL_SSL"
            )
        if self.kafka_ca_file and not self.kafka_security_protocol.endswith("SSL"):
            raise ValueError(
                "COPYDETECT_KAFKA_CA_FILE is set, but COPYDETECT_KAFKA_SECURITY_PROTOCOL does not use certificates"
            )
        return self


KNOWN_VARIABLES = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {SECRETS_DIR}
# Kubernetes adds such variables for every Service of the namespace, including those named copydetect-*.
_SERVICE_VARIABLE = re.compile(
    r"\w+_SERVICE_HOST=.*|\w+_SERVICE_PORT(_\w+)?=.*|\w+_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?=.*|\w+_PORT=(tcp|udp|sctp)://.*"
)


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The COPYDETECT_* variables that are not settings, sorted; without those that Kubernetes adds for Services."""
    return sorted(
        name
        for name, value in environ.items()
        if name.startswith(PREFIX)
        and name not in KNOWN_VARIABLES
        and not _SERVICE_VARIABLE.fullmatch(f"{name}={value}")
    )


def load_settings() -> Settings:
    """The settings of this process.

    Raises UsageError that names every wrong variable, or one that looks like a misspelt setting.
    """
    for name in unknown_variables():
        # Only a near miss is a mistake for certain: other programs may use the prefix as well.
        if meant := get_close_matches(name, KNOWN_VARIABLES, 1, TYPO):
            raise UsageError(f"unknown setting {name}: did you mean {meant[0]}?")
    secrets = os.environ.get(SECRETS_DIR)
    if secrets and not Path(secrets).is_dir():
        raise UsageError(f"{SECRETS_DIR}: no folder {secrets}")
    try:
        return Settings(_secrets_dir=secrets or None)
    except ValidationError as error:
        raise UsageError(f"wrong settings: {'; '.join(map(_to_text, error.errors()))}") from error


def _to_text(error: ErrorDetails) -> str:
    name, *within = map(str, error["loc"] or [""])
    place = f"{PREFIX}{name.upper()}: " if name else ""
    return (
        place + "".join(f"{part}: " for part in within if part != "[key]") + error["msg"].removeprefix("Value error, ")
    )
