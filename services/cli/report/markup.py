"""Pieces of a report's HTML: escaped text, paths, and the policy that says what the page may run."""

import base64
import hashlib
import html
import re

from services.cli.results import readable


def escape(value: str) -> str:
    """The value as text for the page, inside and outside attributes, whatever it contains."""
    return html.escape(readable(value))


def content_policy(page_: str) -> str:
    """The content security policy: pictures inside the page, and its own style and script by their hashes."""
    hashes = {
        kind: base64.b64encode(hashlib.sha256(found.group(1).encode()).digest()).decode()
        for kind in ("style", "script")
        if (found := re.search(rf"<{kind}>(.*?)</{kind}>", page_, re.DOTALL))
    }
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashes['style']}'; "
        f"script-src 'sha256-{hashes['script']}'; base-uri 'none'; form-action 'none'"
    )


def format_path(path: str) -> str:
    """A path with its name first: files differ in their names, rarely in their folders."""
    folder, slash, name = path.rpartition("/")
    return f'{escape(name)}<span class="folder">{escape(folder + slash)}</span>' if folder else escape(path)
