"""The limits of decoding come from the settings."""

from services.ingest.decode.limits import decode_limits
from services.runtime.settings import Settings
from tca_model.video.decode import DecodeLimits


def test_limits_come_from_the_settings() -> None:
    settings = Settings(max_file_bytes=1, max_pixels=2, max_duration_s=3, max_frames=4, max_decoder_bytes=5)
    assert decode_limits(settings) == DecodeLimits(
        max_bytes=1, max_pixels=2, max_duration_s=3, max_sampled_frames=4, max_memory_bytes=5
    )


def test_default_settings_are_the_default_limits() -> None:
    assert decode_limits(Settings()) == DecodeLimits()
