"""`copydetect schemas`: writes the JSON Schemas of the events, which are published in deploy/schemas/."""

import json
from pathlib import Path
from typing import Annotated

import typer

from services.contracts.event_types import EVENT_TYPES

FOLDER = Path("deploy/schemas")


def schemas(folder: Annotated[Path, typer.Argument(help="Where the schemas are written")] = FOLDER) -> None:
    """Write one JSON Schema per event into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_files().items():
        (folder / name).write_text(text)


def schema_files() -> dict[str, str]:
    """The schema of each event by file name."""
    return {
        f"{kind.__name__}.json": json.dumps({"$id": name, **kind.model_json_schema()}, indent=2) + "\n"
        for name, kind in EVENT_TYPES.items()
    }
