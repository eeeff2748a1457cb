"""All settings, read once from COPYDETECT_* variables and passed on explicitly; no other module reads them."""

import os
from difflib import get_close_matches
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.contracts.errors import UsageError

PREFIX = "COPYDETECT_"
TYPO = 0.85  # share of a name that is right, as difflib counts it
GIB = 2**30


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    bundle: Annotated[str, Field(description="Model bundle: a shipped name or a folder")] = "bootstrap"
    segment_s: Annotated[float, Field(ge=4, le=120, description="Length of the segments that files are cut into")] = 32
    alert_threshold: Annotated[
        float | None, Field(ge=-1, le=1, description="Score from which a pair alerts; the bundle's own when not set")
    ] = None
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
    evidence_share: Annotated[
        float, Field(ge=0, le=1, description="Share of the alert threshold from which a segment's evidence is kept")
    ] = 0.5
    cache_bytes: Annotated[int, Field(gt=0, description="Memory for cached descriptors, embedded mode")] = GIB // 4


def load_settings() -> Settings:
    """The settings of this process. Raises UsageError that names each wrong or unknown variable."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    # Kubernetes adds variables of this prefix for every Service of the namespace, so only a near miss is a mistake.
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known and (meant := get_close_matches(name, known, 1, TYPO)):
            raise UsageError(f"unknown setting {name}: did you mean {meant[0]}?")
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise UsageError(f"wrong settings: {wrong}") from error
