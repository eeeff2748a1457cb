"""A small JSON object and some bytes as one value that is read again whole or not at all."""

import json
import struct
import zlib
from typing import Any, Final

MAX_BODY_BYTES: Final = 32 * 2**20  # uncompressed
_PREFIX = struct.Struct("!II")  # CRC-32 of what follows, bytes of JSON


def seal(header: dict[str, Any], body: bytes) -> bytes:
    """The header, which has a "version", and the body as bytes, with a checksum; the body is compressed."""
    encoded = json.dumps(header).encode()
    sealed = encoded + zlib.compress(body, level=1)
    return _PREFIX.pack(zlib.crc32(sealed), len(encoded)) + sealed


def unseal(value: bytes, *, version: int) -> tuple[dict[str, Any], bytes]:
    """Header and body of a sealed value. Raises ValueError if it is damaged, too large or of another version."""
    if len(value) < _PREFIX.size:
        raise ValueError(f"{len(value)} bytes are no sealed value")
    checksum, header_bytes = _PREFIX.unpack_from(value)
    sealed = value[_PREFIX.size :]
    if zlib.crc32(sealed) != checksum:
        raise ValueError("the value is damaged")
    header: dict[str, Any] = json.loads(sealed[:header_bytes])
    if header.get("version") != version:
        raise ValueError(f"version {header.get('version')}, not {version}")
    inflate = zlib.decompressobj()
    body = inflate.decompress(sealed[header_bytes:], MAX_BODY_BYTES)
    if not inflate.eof:
        raise ValueError(f"more than {MAX_BODY_BYTES} bytes")
    return header, body
