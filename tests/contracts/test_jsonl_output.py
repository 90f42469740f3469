"""The output file holds what the state accounts for: nothing less, nothing more, and nobody else's work."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.errors import StateError
from pipeline.sinks.jsonl import TAIL, JsonlOutput, StdoutOutput
from pipeline.store.records import Committed

NOTHING = Committed()


def line(n: int, size: int = 0) -> bytes:
    return b'{"schema_version":1,"row":%d,"pad":"%s"}\n' % (n, b"x" * size)


LINES = [line(n) for n in range(1, 6)]
LONG = [line(n, 900) for n in range(1, 12)]


@dataclass
class Site:
    """A job's output and what the state knows of it."""

    path: Path
    state: Path
    known: Committed = NOTHING
    replacing: Committed | None = None

    def open(self) -> tuple[JsonlOutput, bool]:
        output = JsonlOutput(self.path, self.state)
        return output, output.open(self.known, self.replacing)

    def write(self, lines: list[bytes]) -> None:
        """Append lines and commit them, as a run does."""
        output, rebuild = self.open()
        if rebuild:
            self.rebuild(output, [])
        self.known = Committed(*output.append(lines))
        output.close()

    def rebuild(self, output: JsonlOutput, lines: list[bytes]) -> None:
        """Write the output again, as a run does."""
        self.replacing = Committed(*output.write_beside(lines))
        output.swap()
        self.known, self.replacing = self.replacing, None

    @property
    def torn(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.path.parent.glob("*.torn-*")}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "folder" / "out.jsonl", tmp_path / "state.db")


# --- one night after another --------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [LINES, LONG])
def test_nights_append(site: Site, lines: list[bytes]) -> None:
    """Each opening goes on where the last one ended, whatever the size of a line."""
    for one in lines:
        site.write([one])
    assert site.path.read_bytes() == b"".join(lines)
    assert site.known.length == len(b"".join(lines))
    assert site.torn == {}


def test_results_are_their_owners_alone(site: Site) -> None:
    """The file is 0600: it holds personal data. So are the copies of torn ends and rewritten files."""
    site.write(LINES)
    with site.path.open("ab") as file:
        file.write(LINES[0])
    output, _ = site.open()
    assert output.write_beside(LINES)[0] == len(b"".join(LINES))
    output.close()
    files = [file for file in site.path.parent.iterdir() if file.is_file()]
    assert len(files) == 3
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}


def test_the_same_lines_have_the_same_checksum_however_written(site: Site) -> None:
    """One line a commit or all in one: the state's mark is the same."""
    site.write(LONG[:3])
    one_by_one = site.known
    output, _ = site.open()
    assert Committed(*output.write_beside(LONG[:3])) == one_by_one
    output.close()


# --- after a crash ------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [b"{", line(9)[:-1], b"\xff" * 3])
@pytest.mark.parametrize("before", [LINES[:1], LONG])
def test_a_torn_last_line_is_cut(site: Site, before: list[bytes], torn: bytes) -> None:
    """Half a line beyond what is accounted for goes; the next record is not eaten (trap T3.1)."""
    site.write(before)
    with site.path.open("ab") as file:
        file.write(torn)
    site.write(LINES[1:2])
    assert site.path.read_bytes() == b"".join([*before, LINES[1]])
    assert site.torn == {}


def test_whole_lines_nobody_accounted_for_are_kept_aside(site: Site) -> None:
    """What was written but never committed is copied to OUT.torn-N before it is cut."""
    site.write(LINES[:1])
    for n in (1, 2):
        with site.path.open("ab") as file:
            file.write(LINES[n] + b'{"half')
        output, rebuild = site.open()
        output.close()
        assert (rebuild, site.path.read_bytes()) == (False, LINES[0])
        assert site.torn[f"out.jsonl.torn-{n}"] == LINES[n] + b'{"half'


def test_a_long_unaccounted_end_is_kept_aside_however_late_its_first_line_ends(site: Site) -> None:
    """More than a mebibyte without a newline may still be whole lines: it is never simply cut."""
    site.write(LINES[:1])
    beyond = line(2, 3 << 20)
    with site.path.open("ab") as file:
        file.write(beyond)
    output, _ = site.open()
    output.close()
    assert (site.path.read_bytes(), site.torn) == (LINES[0], {"out.jsonl.torn-1": beyond})


def test_a_crash_before_the_first_commit_leaves_a_file_that_is_ours(site: Site) -> None:
    """Lines of the very first batch that no commit knows are kept aside, and the job goes on."""
    site.write([])
    site.path.write_bytes(b"".join(LINES[:2]))
    site.write(LINES[:1])
    assert (site.path.read_bytes(), list(site.torn)) == (LINES[0], ["out.jsonl.torn-1"])


@pytest.mark.parametrize("swapped", [False, True])
def test_a_rewrite_is_there_or_not_there(site: Site, *, swapped: bool) -> None:
    """A crash between the rewrite and its commit leaves the old file or the new one, and both are known."""
    site.write(LINES)
    output, _ = site.open()
    site.replacing = Committed(*output.write_beside(LONG))
    assert site.path.read_bytes() == b"".join(LINES)
    if swapped:
        output.swap()
    output.close()
    again, rebuild = site.open()
    again.close()
    assert not rebuild
    assert site.path.read_bytes() == b"".join(LONG if swapped else LINES)
    assert site.torn == {}


def test_appending_goes_on_after_a_swap(site: Site) -> None:
    """The checksum follows the new file."""
    site.write(LINES)
    output, _ = site.open()
    site.rebuild(output, LONG[:2])
    site.known = Committed(*output.append(LINES[:1]))
    output.close()
    site.write(LINES[1:2])
    assert site.path.read_bytes() == b"".join([*LONG[:2], *LINES[:2]])


def test_the_lines_that_stand_can_be_read(site: Site) -> None:
    """A rewrite copies them; a torn one is not among them, and a missing file has none."""
    assert list(JsonlOutput(site.path, site.state).lines()) == []
    site.write(LINES)
    with site.path.open("ab") as file:
        file.write(b'{"half')
    assert list(JsonlOutput(site.path, site.state).lines()) == LINES


# --- when somebody else touched it --------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"company,email\n" * 99, LONG[0] * 9, b"".join(LINES).replace(b"5", b"6"), b"short"],
    ids=["a list", "another output", "a changed last line", "something short"],
)
def test_a_file_the_state_does_not_know_is_left_alone(site: Site, content: bytes) -> None:
    """Exit 74 names the file and the state; not a byte is changed."""
    site.write(LINES)
    site.path.write_bytes(content)
    with pytest.raises(StateError) as caught:
        site.open()
    assert (caught.value.exit_code, site.path.read_bytes(), site.torn) == (74, content, {})
    assert str(site.path) in caught.value.what
    assert str(site.state) in caught.value.what


def test_a_new_job_refuses_a_file_with_content(site: Site) -> None:
    """Before a job is begun nothing may stand in its place, not even something that looks like an output."""
    output = JsonlOutput(site.path, site.state)
    output.refuse_foreign()
    site.path.parent.mkdir()
    site.path.touch()
    output.refuse_foreign()
    site.path.write_bytes(LINES[0])
    with pytest.raises(StateError, match="--job or --state"):
        output.refuse_foreign()


def test_a_list_in_the_place_of_a_job_that_wrote_nothing_is_left_alone(site: Site) -> None:
    """Before the first commit only a file that can be ours is taken for ours."""
    site.path.parent.mkdir()
    site.path.write_bytes(b"company\nAcme\n")
    with pytest.raises(StateError, match="left alone"):
        site.open()
    assert site.path.read_bytes() == b"company\nAcme\n"


@pytest.mark.parametrize("keep", [0, 1, len(LINES[0]), 150])
def test_a_shortened_file_is_written_again(site: Site, keep: int) -> None:
    """Lines that went are in the state; what is left of the file is kept aside."""
    site.write(LINES)
    rest = b"".join(LINES)[:keep]
    site.path.write_bytes(rest)
    output, rebuild = site.open()
    assert rebuild
    assert site.torn == ({"out.jsonl.torn-1": rest} if rest else {})
    site.rebuild(output, LINES)
    output.close()
    assert site.path.read_bytes() == b"".join(LINES)


def test_a_missing_file_is_written_again(site: Site) -> None:
    """A deleted output costs nothing: it is a projection."""
    site.write(LINES)
    site.path.unlink()
    output, rebuild = site.open()
    assert rebuild
    site.rebuild(output, LINES)
    output.close()
    assert (site.path.read_bytes(), site.torn) == (b"".join(LINES), {})


def test_only_the_end_is_compared(site: Site) -> None:
    """Opening costs the same for any length: a change far from the end is the user's own business."""
    site.write(LONG)
    content = site.path.read_bytes()
    assert len(content) > 2 * TAIL
    site.path.write_bytes(content.replace(b'"row":1,', b'"row":0,'))
    output, rebuild = site.open()
    output.close()
    assert not rebuild


# --- when it cannot be written ------------------------------------------------------------------------


def test_a_folder_is_no_output(site: Site) -> None:
    """It is said in a sentence, before anything is asked."""
    site.path.mkdir(parents=True)
    for attempt in (site.open, JsonlOutput(site.path, site.state).refuse_foreign):
        with pytest.raises(StateError, match="-o") as caught:
            attempt()
        assert str(site.path) in caught.value.what


def unwritable(folder: Path) -> Path:
    """A folder in which not even root may write."""
    if os.geteuid() == 0:
        return Path("/proc/self")
    folder.mkdir()
    folder.chmod(0o500)
    return folder


@pytest.mark.parametrize("where", ["read-only", "under a file"])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, where: str) -> None:
    """Exit 74 with the path, why, and what to do."""
    (tmp_path / "file").touch()
    folder = unwritable(tmp_path / "folder") if where == "read-only" else tmp_path / "file"
    site = Site(folder / "out.jsonl", tmp_path / "state.db")
    with pytest.raises(StateError, match="cannot be written") as caught:
        site.write(LINES)
    assert (caught.value.exit_code, "name another output" in caught.value.fix) == (74, True)
    assert str(site.path) in caught.value.what


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from pipeline.errors import StateError
from pipeline.sinks.jsonl import JsonlOutput
from pipeline.store.records import Committed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
output = JsonlOutput(path, Path("state.db"))
assert output.open(Committed(), None)
output.write_beside([])
output.swap()
line = b'{"schema_version":1,"pad":"' + b"x" * 300 + b'"}\\n'
length, tail = output.append([line] * 2)
_, limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit))
for n in map(int, sys.argv[3].split(",")):
    try:
        output.append([line] * n)
    except StateError as error:
        print(error.exit_code, path.stat().st_size == length, "cannot be written" in error.what)
if sys.argv[2] == "room again":
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
output.close()
print(path.stat().st_size == length, JsonlOutput(path, Path("state.db")).open(Committed(length, tail), None))
"""


@pytest.mark.parametrize("then", ["room again", "still full"])
@pytest.mark.parametrize("batches", ["2", "100", "2,100,2"])
def test_a_full_disk_leaves_what_was_committed(tmp_path: Path, batches: str, then: str) -> None:
    """A batch that does not fit is taken back whole, also when the file is let go of."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "out.jsonl"), then, batches]
    # Without coverage's own file, which would not fit either.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    told = ["74 True True" for _ in batches.split(",")]
    assert (done.stdout.splitlines(), done.stderr) == ([*told, "True False"], "")


# --- standard output ----------------------------------------------------------------------------------


def test_standard_output_gets_whole_lines_at_once() -> None:
    """`-o -` writes through to the reader and only counts; nothing there can be checked afterwards."""
    stream = io.BytesIO()
    output = StdoutOutput(100, stream)
    assert output.append(LINES[:2]) == (100 + len(LINES[0] + LINES[1]), b"")
    output.close()
    assert stream.getvalue() == LINES[0] + LINES[1]


def test_standard_output_that_takes_no_more_is_told_with_the_reason() -> None:
    """A full disk behind it is no fault of ours."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        output = StdoutOutput(100, full)
        with pytest.raises(BrokenPipeError, match="No space left on device"):
            output.append(LINES[:1])
