"""The named statements of the .sql files, and the steps of migrations.sql by version."""

from pathlib import Path


def _load(file: str) -> dict[str, str]:
    text = Path(__file__).with_name(file).read_text("utf-8")
    blocks = text.split("-- :")[1:]
    return {name.strip(): body.strip() for name, _, body in (block.partition("\n") for block in blocks)}


SQL = _load("queries.sql") | _load("refreshing.sql") | _load("past.sql") | _load("delivering.sql")
MIGRATIONS = _load("migrations.sql")
