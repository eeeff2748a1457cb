"""Removes credentials from the addresses in a text that people will see, and what a terminal would obey."""

import re
import unicodedata
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


def redact(text: str) -> str:
    """The text without users, passwords, queries and fragments of its addresses: a presigned URL has its key there."""
    return _ADDRESS.sub(_redact_address, text)


def to_one_line(text: str) -> str:
    """The text without credentials, line breaks and control characters: it may quote an upload."""
    return "".join(c if c.isprintable() else "?" for c in redact(text))


def to_word(text: str) -> str:
    """The same without spaces, for a column; `-` if nothing is there."""
    return re.sub(r"\s", "?", to_one_line(text)) or "-"


def escape(text: str) -> str | None:
    """The text with lines kept and whatever is invisible escaped; None if there are control characters in it."""
    lines = text.replace("\r\n", "\n")
    if any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in lines):
        return None
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in lines)


def _redact_address(found: re.Match[str]) -> str:
    user = f"{HIDDEN}@" if found["user"] else ""
    query = f"{found['mark']}{HIDDEN}" if found["query"] else ""
    return f"{found['start']}{user}{found['place']}{query}"
