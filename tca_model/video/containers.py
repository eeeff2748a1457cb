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
    "mpeg": (".mpeg", ".mpg", ".vob"),
    "asf": (".asf", ".wmv"),
    "gif": (".gif",),
}
SUFFIXES: Final = frozenset(suffix for suffixes in CONTAINERS.values() for suffix in suffixes)

# How their files begin: at an offset, one of some bytes.
HEAD_BYTES: Final = 512
_BEGINNINGS: Final = (
    (4, (b"ftyp", b"moov", b"mdat", b"wide")),  # mov
    (0, (b"\x1a\x45\xdf\xa3",)),  # matroska, webm
    (8, (b"AVI ",)),
    (0, (b"FLV\x01", b"OggS", b"GIF87a", b"GIF89a")),
    (0, (b"\x00\x00\x01\xba",)),  # mpeg
    (0, (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),)),  # asf
)
_TS_PACKETS: Final = ((0, 188), (4, 192))  # offset of the first sync byte, and from one to the next


def looks_like_video(head: bytes) -> bool:
    """Whether a file that begins with these bytes, HEAD_BYTES or all of it, is probably in an accepted container."""
    if any(head.startswith(beginnings, offset) for offset, beginnings in _BEGINNINGS):
        return True
    return any(head[first : first + 2 * step + 1 : step] == b"GGG" for first, step in _TS_PACKETS)
