"""The named statements of queries.sql."""

from pathlib import Path


def _load() -> dict[str, str]:
    text = Path(__file__).with_name("queries.sql").read_text("utf-8")
    blocks = text.split("-- :")[1:]
    return {name.strip(): body.strip() for name, _, body in (block.partition("\n") for block in blocks)}


SQL = _load()
