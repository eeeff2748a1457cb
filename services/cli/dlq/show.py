"""`copydetect dlq show`: prints one dead letter, or writes its value to a file."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.console import console
from services.cli.dlq.letters import LetterBus, open_bus, read_letters
from services.cli.dlq.lines import time_text
from services.cli.dlq.options import NAMES, TOPICS, dead_letter_topics, parse_place
from services.cli.dlq.redaction import decode_text, escape, redact, to_one_line, to_word
from services.cli.output import is_standard_output, write_bytes
from services.contracts.dead_letters import DeadLetter, Place, find_obstacle
from services.contracts.errors import UsageError

TEXT_CHARACTERS: Final = 4000  # shown of a value that is text
HEX_BYTES: Final = 1024  # shown of any other value
HEADER_CHARACTERS: Final = 1000  # shown of a key or header
_HEX_LINE: Final = 32


def show(
    place: Annotated[
        Place, typer.Argument(parser=parse_place, metavar="PARTITION/OFFSET", help="Which letter, as `dlq list` says")
    ],
    topic: Annotated[str, typer.Option(help=f"Topic that the letter came from: {NAMES}")] = TOPICS[0],
    raw: Annotated[bool, typer.Option("--raw", help="Also show credentials in addresses")] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Write the bytes of the value to this file, credentials included; - is standard output"),
    ] = None,
) -> None:
    """Show a dead letter: reason and origin, key, headers and value.

    A value that is UTF-8 is shown as text, the first 4,000 characters of it; any other in hexadecimal, the first 1,024
    bytes. Users, passwords and queries of addresses are replaced unless --raw is set, for they may be credentials;
    --output writes the value as it is.

    Exit code 0; 1 if Kafka does not answer; 2 for wrong usage, such as a letter that is not there.
    """
    letter = find_letter(open_bus(), dead_letter_topics(topic)[0], place)
    if output is not None:
        write_bytes(output, "--output", letter.original.value or b"")
    if not is_standard_output(output):
        for line in describe(letter, raw=raw):
            console.print(line, soft_wrap=True)


def find_letter(bus: LetterBus, topic: str, place: Place) -> DeadLetter:
    """The letter at this place of the topic. Raises UsageError if there is none."""
    with closing(read_letters(bus, [topic], starts={place.partition: place.offset})) as letters:
        letter = next(letters, None)
    if letter is None or letter.place != place:
        raise UsageError(
            f"there is no dead letter {place} in {topic}, or no more: `copydetect dlq list` prints those that are there"
        )
    return letter


def describe(letter: DeadLetter, *, raw: bool) -> Iterator[str]:
    """All about the letter, in lines; `raw`: with credentials."""
    hide: Callable[[str], str] = str if raw else redact
    key, value, _ = letter.original
    obstacle = find_obstacle(letter)
    yield f"letter     {letter.topic} {letter.place}, written {time_text(letter.written_at)}"
    yield f"stage      {to_word(letter.stage)}"
    yield f"reason     {to_one_line(letter.reason) or '-'}"
    yield f"came from  {f'{to_word(letter.origin)} {to_word(letter.origin_place)}' if letter.origin else '-'}"
    yield f"asset      {to_word(letter.asset)}"
    yield f"replays    {letter.replays}" + (f", the last of {to_word(letter.replay_of)}" if letter.replay_of else "")
    if obstacle:
        yield f"note       it cannot be replayed: it {obstacle}"
    yield f"key        {_in_line(key, hide)}"
    for name, held in letter.headers:
        yield f"header     {_in_line(name.encode(errors='replace'), hide)} = {_in_line(held, hide)}"
    yield from _describe_value(value, hide)


def _describe_value(value: bytes | None, hide: Callable[[str], str]) -> Iterator[str]:
    if not value:
        yield "value      none" if value is None else "value      empty"
        return
    text = decode_text(value)
    if text is None:
        # Latin-1 gives each byte a character, so that addresses are found in any bytes.
        shown = hide(value.decode("latin-1")).encode("latin-1")[:HEX_BYTES]
        yield f"value      {len(value):,} bytes, not text" + _cut_note(len(value), HEX_BYTES, "bytes")
        for start in range(0, len(shown), _HEX_LINE):
            yield shown[start : start + _HEX_LINE].hex(" ", -4)
    else:
        text = hide(text)
        yield f"value      {len(value):,} bytes of text" + _cut_note(len(text), TEXT_CHARACTERS, "characters")
        yield escape(text[:TEXT_CHARACTERS])


def _cut_note(length: int, shown: int, unit: str) -> str:
    return f"; the first {shown:,} {unit}, --output FILE writes all" if length > shown else ""


def _in_line(data: bytes | None, hide: Callable[[str], str]) -> str:
    """Bytes in one line, cut: as text if they are, else in hexadecimal."""
    if not data:
        return "(none)" if data is None else "(empty)"
    text = decode_text(data)
    if text is None or "\n" in text:
        text = f"hex {hide(data.decode('latin-1')).encode('latin-1').hex()}"
    else:
        text = escape(hide(text))
    return text if len(text) <= HEADER_CHARACTERS else f"{text[:HEADER_CHARACTERS]}... ({len(data):,} bytes)"
