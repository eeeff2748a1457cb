"""Credentials in the addresses of a text are not shown, however the text writes them."""

import time

import pytest

from services.cli.dlq.redaction import decode_text, escape, redact, to_one_line, to_word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:word@example.org/a.mp4", "https://[redacted]@example.org/a.mp4"),
        ("https://me:w@o?rd@example.org/a", "https://[redacted]@example.org/a"),
        ("https://example.org/a?X-Amz-Signature=key&b=c#t", "https://example.org/a?[redacted]"),
        ("https://example.org/a#token", "https://example.org/a#[redacted]"),
        ('{"uri": "https://example.org/a?key", "b": 1}', '{"uri": "https://example.org/a?[redacted]", "b": 1}'),
        (r"https:\/\/me:word@example.org\/a?key", r"https:\/\/[redacted]@example.org\/a?[redacted]"),
        (r"https\u003a\u002F\u002fme\u0040h/a\u003Fkey", r"https\u003a\u002F\u002f[redacted]@h/a\u003F[redacted]"),
        ("s3://k:s@bucket/x and HTTP://a?b c", "s3://[redacted]@bucket/x and HTTP://a?[redacted] c"),
        ("https://example.org/me@home/a.mp4", "https://example.org/me@home/a.mp4"),
        ("file:///videos/what?.mp4", "file:///videos/what?.mp4"),
        ("no address: a@b?c", "no address: a@b?c"),
    ],
)
def test_what_is_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize("text", ["a" * 10**6, "://" * 10**5, "https://" + "a" * 10**6, "https://a?" * 10**5])
def test_large_texts_take_no_time(text: str) -> None:
    started = time.monotonic()
    redact(text)
    assert time.monotonic() - started < 5


def test_a_line_has_nothing_that_a_terminal_obeys() -> None:
    assert to_one_line("a\nb\x1b[2J https://u@h/") == "a?b?[2J https://[redacted]@h/"
    assert to_word("two words\t") == "two?words?"
    assert to_word("") == "-"


def test_text_keeps_its_lines_and_shows_what_is_invisible() -> None:
    assert decode_text(b"a\r\nb\tc") == escape("a\nb\tc") == "a\nb\tc"
    assert escape("left\u200fright") == "left\\u200fright"
    assert [decode_text(data) for data in (b"a\x1b[2J", b"a\rb", b"\xff", "\u009b".encode())] == [None] * 4
