"""The containers that are decoded, by their demuxer in FFmpeg, with the suffixes that their files have."""

from typing import Final

# Names of libavformat 62; a demuxer is accepted if any of its own names is here ("matroska,webm", "mov,mp4,...").
CONTAINERS: Final = {
    "mov": (".3g2", ".3gp", ".m4v", ".mov", ".mp4"),
    "matroska": (".mkv",),
    "webm": (".webm",),
    "avi": (".avi",),
    "flv": (".flv",),
    "ogg": (".ogg", ".ogm", ".ogv"),
    "mpegts": (".m2ts", ".mts", ".ts"),
    "gif": (".gif",),
}
SUFFIXES: Final = frozenset(suffix for suffixes in CONTAINERS.values() for suffix in suffixes)
