"""The limits of decoding come from the settings."""

from services.ingest.decode.limits import decode_limits
from services.runtime.settings import Settings
from tca_model.video.decode import DecodeLimits


def test_limits_come_from_the_settings() -> None:
    settings = Settings(
        max_file_bytes=1,
        max_pixels=2,
        max_duration_s=3,
        max_frames=4,
        max_decoder_bytes=5,
        decode_cpu_per_s=6,
        decode_cpu_s=7,
    )
    assert decode_limits(settings) == DecodeLimits(
        max_bytes=1,
        max_pixels=2,
        max_duration_s=3,
        max_sampled_frames=4,
        max_memory_bytes=5,
        cpu_per_s=6,
        max_cpu_s=7,
    )


def test_default_settings_are_the_default_limits() -> None:
    assert decode_limits(Settings()) == DecodeLimits()


def test_processor_time_grows_with_the_video_up_to_a_limit() -> None:
    limits = DecodeLimits(cpu_start_s=60, cpu_per_s=4, max_cpu_s=3600)
    assert [limits.allow_cpu_s(video_s) for video_s in (0, 10, 885, 9000)] == [60, 100, 3600, 3600]
