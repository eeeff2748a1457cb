"""The limits of decoding, from the settings."""

from services.runtime.settings import Settings
from tca_model.video.decode import DecodeLimits


def decode_limits(settings: Settings) -> DecodeLimits:
    """What one file may cost; the only place where settings become DecodeLimits.

    It is not a property of Settings because the matcher reads them too, and must not import a video decoder.
    """
    return DecodeLimits(
        max_bytes=settings.max_file_bytes,
        max_pixels=settings.max_pixels,
        max_duration_s=settings.max_duration_s,
        max_sampled_frames=settings.max_frames,
        max_memory_bytes=settings.max_decoder_bytes,
        cpu_per_s=settings.decode_cpu_per_s,
        max_cpu_s=settings.decode_cpu_s,
    )
