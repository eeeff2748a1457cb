"""What the annotations of all benchmarks share: plain JSON, one model per benchmark."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError, field_validator

from tca_model.config import Config
from tca_model.files import replacing

VideoIds = tuple[str, ...]  # in the order of the source, without repeats, not empty


class Annotations(Config):
    """Base: every benchmark has queries, a database that they are searched in, and its name in `benchmark`."""

    queries: VideoIds
    database: VideoIds

    @field_validator("queries", "database")
    @classmethod
    def _each_once(cls, ids: VideoIds) -> VideoIds:
        if not ids:
            raise ValueError("there is no video")
        if repeats := count_repeats(ids):
            raise ValueError(f"{repeats} of {len(ids)} ids are repeated")
        return ids


A = TypeVar("A", bound=Annotations)


def read_annotations(path: Path, kind: type[A]) -> A:
    """The annotations in a file that `write_annotations` or a person wrote.

    Raises ValueError if it is not JSON or not of this benchmark, OSError if it cannot be read.
    """
    name = kind.model_fields["benchmark"].default
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} does not hold annotations of {name}: {_first(error)}; "
            "make them with `copydetect model convert-annotations`"
        ) from error


def write_annotations(path: Path, annotations: Annotations) -> None:
    """Write annotations as JSON. An existing file is replaced whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as new:
        new.write_text(annotations.model_dump_json() + "\n", encoding="utf-8")


def from_public(path: Path, kind: type[A], values: Mapping[str, Any]) -> A:
    """The annotations with values from a public file. Raises ValueError if they do not fit."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{path} is not laid out as the public annotations: {_first(error)}") from error


def entry(path: Path, raw: Any, name: str) -> Any:
    """`raw[name]` of a public file. Raises ValueError if it is missing."""
    if not isinstance(raw, dict) or name not in raw:
        has = ", ".join(sorted(map(str, raw))[:8]) if isinstance(raw, dict) else f"a {type(raw).__name__}"
        raise ValueError(f"{path} is not laid out as the public annotations: no entry {name!r} (it has {has})")
    return raw[name]


def distinct(ids: Iterable[str]) -> list[str]:
    """The ids without repeats, in their order."""
    return list(dict.fromkeys(ids))


def read_ids(path: Path) -> list[str]:
    """Video ids of a text file: one per line, or the first column of a CSV file whose header begins with `video_id`.

    Raises ValueError if there is none.
    """
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    if lines and lines[0].split(",")[0] == "video_id":
        lines = [line.split(",")[0] for line in lines[1:]]
    ids = distinct(line for line in lines if line)
    if not ids:
        raise ValueError(f"{path} names no video: expected one id per line")
    return ids


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises ValueError if it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def count_repeats(ids: Sequence[str]) -> int:
    """How many of the ids occur earlier in the list."""
    return len(ids) - len(set(ids))


def _first(error: ValidationError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not text"
    problems = error.errors(include_url=False, include_input=False)
    place = ".".join(map(str, problems[0]["loc"])) or "the file"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{place}: {problems[0]['msg'].removeprefix('Value error, ')}{more}"
