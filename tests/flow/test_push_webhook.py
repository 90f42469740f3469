"""A webhook's receiver gets signed batches, knows a line it has seen, and may be down for an hour."""

from __future__ import annotations

import hmac
import sqlite3
from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from push_site import PushSite

from pipeline.errors import ConfigError, KeyRefused, Unavailable
from pipeline.forget import forget

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.forget import Forgotten
    from pipeline.session import Parts


@pytest.fixture
def site(tmp_path: Path) -> PushSite:
    site = PushSite(tmp_path)
    site.listed(known=False)
    return site


def test_every_sure_line_is_sent_once_signed_and_dated(site: PushSite) -> None:
    """The signature is HMAC-SHA256 of "TIMESTAMP.BODY" with the secret."""
    told = site.push("webhook")
    ((body, headers),) = site.receiver.batches
    at = headers["X-LeadContact-Timestamp"]
    wanted = hmac.new(b"s3cret", f"{at}.".encode() + body, sha256).hexdigest()
    assert headers["X-LeadContact-Signature"] == f"v1={wanted}"
    assert abs(int(at) - site.clock_at(site.now)) < 10
    assert told.results == {"sent": len(site.receiver.lines)}
    lines = {line["row"]: line for line in site.lines()}
    for line in site.receiver.lines:
        assert line["email"] == lines[line["row"]]["email"]
        assert "calls" not in line
    assert site.push("webhook").left["nothing new since the last push"] == told.results["sent"]
    assert len(site.receiver.batches) == 1


def test_a_receiver_that_is_down_for_an_hour_gets_it_all_at_the_next_push(site: PushSite) -> None:
    """Exit 75 and nothing noted; then each line once."""
    site.receiver.status = None
    told = site.push("webhook")
    assert isinstance(told.stopped, Unavailable)
    assert told.stopped.exit_code == 75
    assert "receiver is down (connection refused)" in str(told.stopped)
    assert told.waiting > 3
    site.now += 3600
    site.receiver.status = 503
    assert "status 503" in str(site.push("webhook").stopped)
    site.receiver.batches.clear()
    site.receiver.status = 200
    assert site.push("webhook").results == {"sent": told.waiting}
    assert len(site.receiver.lines) == told.waiting


def test_a_line_whose_answer_was_lost_is_known_by_its_delivery(site: PushSite) -> None:
    """It comes again under the same id, batch and line."""
    site.receiver.lost = 1
    assert site.push("webhook").stopped is None
    (first, one), (second, two) = site.receiver.batches
    assert first == second
    assert one["X-LeadContact-Delivery"] == two["X-LeadContact-Delivery"]
    ids = [line["delivery"] for line in site.receiver.lines]
    assert len(set(ids)) == len(ids) // 2


def test_a_line_that_is_refused_holds_up_no_other(site: PushSite) -> None:
    """A batch that is refused is cut in half."""
    told = site.push("webhook", dry_run=True)
    refused = told.rows[1].person.email
    site.receiver.rejects = frozenset({refused})
    assert site.push("webhook").results == {"sent": told.results["send"] - 1, "refused: status 422": 1}
    assert refused not in {line["email"]["value"] for line in site.receiver.lines}


@pytest.mark.parametrize(
    ("status", "error"), [(401, KeyRefused), (403, KeyRefused), (404, ConfigError), (307, ConfigError)]
)
def test_a_receiver_that_will_never_take_it_is_told_at_once(site: PushSite, status: int, error: type) -> None:
    """One request, then the sentence."""
    site.receiver.status = status
    told = site.push("webhook")
    assert isinstance(told.stopped, error)
    assert len(site.receiver.batches) == 1


def test_without_a_secret_it_says_that_batches_are_not_signed(site: PushSite) -> None:
    """And without an address that there is none."""
    site.push("webhook", webhook_secret=None)
    assert "X-LeadContact-Signature" not in site.receiver.batches[0][1]
    assert "LEADCONTACT_WEBHOOK_SECRET is not set: the batches are not signed." in site.said
    with pytest.raises(ConfigError, match="--webhook-url"):
        site.push("webhook", webhook_url=None)


def test_forgetting_says_into_which_systems_somebody_was_pushed_and_keeps_them_out(site: PushSite) -> None:
    """With their record there. Whoever was erased is pushed nowhere again, and no id of theirs stays."""
    site.push(hubspot_create=True)
    person = site.push("webhook").rows[0].person
    record = next(n for n, told in site.contacts.items() if told["email"] == person.email)

    async def go(parts: Parts) -> Forgotten:
        return await forget(parts, person.email.upper())

    told = site.command(go)
    assert len(told.pushed) == 2
    assert told.pushed[0] == f"hubspot 127.0.0.1:1 62515 (record {record})"
    assert told.pushed[1].startswith("webhook 127.0.0.1:1 ")
    site.receiver.batches.clear()
    site.push("webhook", again=True)
    assert site.receiver.lines
    assert person.email not in {line["email"]["value"] for line in site.receiver.lines}
    assert site.command(go).pushed == told.pushed
    with closing(sqlite3.connect(site.folder / "state.db")) as db:
        left = db.execute("SELECT item, digest FROM delivery WHERE item NOT LIKE 'h:%'").fetchall()
        assert [(item.partition(":")[0], digest) for item, digest in left] == [("erased", b"")] * 2
        assert not db.execute("SELECT 1 FROM delivery WHERE item = ?", (person.key,)).fetchall()
