"""The named statements of the .sql files, and the steps of migrations.sql by version; schema.sql is neither."""

from pathlib import Path

FOLDER = Path(__file__).parent


def _load(file: Path) -> dict[str, str]:
    blocks = file.read_text("utf-8").split("-- :")[1:]
    return {name.strip(): body.strip() for name, _, body in (block.partition("\n") for block in blocks)}


SQL = {
    name: statement
    for file in sorted(FOLDER.glob("*.sql"))
    if file.stem not in ("migrations", "schema")
    for name, statement in _load(file).items()
}
MIGRATIONS = _load(FOLDER / "migrations.sql")
