"""Who was erased is recognised however the address is written, and nobody else is touched."""

from __future__ import annotations

import orjson
import pytest

from pipeline.erased import Erased

JANE, JOE = "jane@acme.com", "joe@acme.com"
KEY = b"k" * 32
GONE = Erased(KEY).having([Erased(KEY).address_mark(JANE)])


@pytest.mark.parametrize(
    "text",
    [
        JANE,
        " JANE@Acme.com. ",
        "mailto:jane@acme.com",
        "Jane Smith <jane@acme.com>",
        "write to jane@acme.com, please",
        "'jane@acme.com'",
        "joe@acme.com;jane@acme.com",
        "https://crm.example/?email=jane@acme.com&x=1",
    ],
)
def test_an_address_is_recognised_however_it_is_written(text: str) -> None:
    assert GONE.names(text)
    assert "jane" not in str(GONE.masked(text)).lower() or "Jane Smith" in text
    assert JANE not in str(GONE.masked(text)).lower()


@pytest.mark.parametrize("text", ["", JOE, "mary.jane@acme.com", "jane@acme.com.au", "jane at acme.com", "@", None])
def test_nobody_else_is_taken_for_them(text: str | None) -> None:
    assert not GONE.names(text)


def test_an_apostrophe_belongs_to_the_address() -> None:
    """O'Brien is a name."""
    gone = Erased(KEY).having([Erased(KEY).address_mark("o'brien@acme.com")])
    assert gone.names("O'Brien@acme.com")
    assert gone.names("ask o'brien@acme.com")
    assert not gone.names("brien@acme.com")


def test_a_contact_is_cut_and_the_others_stay() -> None:
    """The record goes with all that is in it, however deep the address lies."""
    contacts = [
        {"email": JOE, "phone": "1"},
        {"email": "Jane@acme.com", "phone": "2"},
        {"who": {"mail": JANE}, "p": 3},
    ]
    body = orjson.dumps({"success": True, "data": {"contacts": contacts, "total": 3}})
    left = orjson.loads(GONE.cut(body))
    assert left == {"success": True, "data": {"contacts": contacts[:1], "total": 3, "_erased": 2}}


@pytest.mark.parametrize(("said", "told"), [(None, 1), (2, 3), ("x", 1), ([1], 1)])
def test_how_many_were_cut_is_counted_on_whatever_the_server_says(said: object, told: int) -> None:
    """A second person erased later is one more; a hostile server's word is none."""
    body = orjson.dumps({"data": {"contacts": [{"email": JANE}], "_erased": said}})
    assert orjson.loads(GONE.cut(body))["data"] == {"contacts": [], "_erased": told}


def test_an_escaped_address_is_found() -> None:
    """JSON may write the @ as its code point."""
    assert orjson.loads(GONE.cut(b'[{"email":"jane\\u0040acme.com"}, 1]')) == [1]


def test_a_body_that_names_nobody_erased_is_the_very_same() -> None:
    """Not even its spaces change."""
    for body in (
        b'{ "email" : "joe@acme.com" }',
        b"<html>joe@acme.com</html>",
        b"",
        b"\xff\xfe@",
        b'{"a":NaN,"b":"@"}',
    ):
        assert GONE.cut(body) is body
    assert Erased(KEY).cut(b'{"email":"jane@acme.com"}') == b'{"email":"jane@acme.com"}'


def test_what_is_not_json_is_emptied_if_it_names_them() -> None:
    """A page of a proxy that quotes the request."""
    assert GONE.cut(b"<html>no such user: jane@acme.com</html>") == b""


def test_a_body_too_deep_to_search_is_emptied() -> None:
    """A hostile server cannot end the run with it."""
    deep = b'{"a":' * 900 + b'"jane@acme.com"' + b"}" * 900
    assert JANE.encode() not in GONE.cut(deep)


def test_a_torn_line_that_names_them_goes() -> None:
    """A copy kept aside may end in the middle of a line."""
    assert GONE.cut_torn(b'{"row":1,"input":{"Note":"a\\njane@acme.com') == b""
    assert GONE.cut_torn(b'{"row":1,"input":{"Note":"joe@acm') == b'{"row":1,"input":{"Note":"joe@acm'
