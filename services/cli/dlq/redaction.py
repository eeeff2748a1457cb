"""Removes credentials from the addresses in a text that people will see, and what a terminal would obey."""

import re
from typing import Final

HIDDEN: Final = "[redacted]"

# JSON may write any of these characters as an escape, and many programs write \/ for a slash.
_COLON, _AT = r"(?::|\\u003[aA])", r"(?:@|\\u0040)"
_SLASH, _QUERY = r"(?:\\?/|\\u002[fF])", r"(?:[?#]|\\u003[fF]|\\u0023)"
_INSIDE = r"[^\s\"<>]"
_ADDRESS: Final = re.compile(
    rf"(?<!\bfile)(?P<start>{_COLON}{_SLASH}{{2}})"
    rf"(?P<user>(?:(?!{_SLASH}){_INSIDE}){{0,65536}}{_AT})?"
    rf"(?P<place>(?:(?!{_QUERY}){_INSIDE})*+)"
    rf"(?:(?P<mark>{_QUERY})(?P<query>{_INSIDE}+))?",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def redact(text: str) -> str:
    """The text without users, passwords, queries and fragments of its addresses: a presigned URL has its key there."""
    return _ADDRESS.sub(_redact_address, text)


def to_one_line(text: str) -> str:
    """The text without credentials, line breaks and control characters: it may quote an upload."""
    return "".join(c if c.isprintable() else "?" for c in redact(text))


def to_word(text: str) -> str:
    """The same without spaces, for a column; `-` if nothing is there."""
    return re.sub(r"\s", "?", to_one_line(text)) or "-"


def decode_text(data: bytes) -> str | None:
    """The bytes as text with plain line ends; None if they are not UTF-8, or contain control characters."""
    try:
        text = data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def escape(text: str) -> str:
    """The text with its lines, and with whatever is invisible escaped."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _redact_address(found: re.Match[str]) -> str:
    user = f"{HIDDEN}@" if found["user"] else ""
    query = f"{found['mark']}{HIDDEN}" if found["query"] else ""
    return f"{found['start']}{user}{found['place']}{query}"
