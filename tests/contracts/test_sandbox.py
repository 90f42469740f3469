"""The sandbox keeps the guide's contract over a real socket, and breaks it only as told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
import pytest

from pipeline.model import Endpoint
from pipeline.sandbox import Fault, Sandbox, SandboxOptions, World, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY = {"Authorization": "Bearer lc_test_abc"}
ACME = {"company": "Acme Corp"}
JOHN = {"email": "john.doe@company.com"}
UNKNOWN = {"company": next(f"Firm {n}" for n in range(99) if not World().company(f"Firm {n}").people)}
NIGHT = 1_774_915_200.0  # 2026-03-31 00:00:00 UTC


class Clock:
    def __init__(self, at: float = NIGHT) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class Client:
    """Asks a sandbox; keeps status, headers and bytes of the last response."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox, self.session = sandbox, session
        self.headers: Any = {}
        self.raw = b""

    async def ask(self, endpoint: str, body: object, **how: object) -> int:
        sent: dict[str, Any] = {"headers": KEY, "json": body, "allow_redirects": False} | how
        async with self.session.post(f"{self.sandbox.base_url}/contacts/{endpoint}", **sent) as response:
            self.headers, self.raw = response.headers, await response.read()
            return response.status

    async def data(self, endpoint: str, body: object) -> dict[str, Any]:
        assert await self.ask(endpoint, body) == 200
        reply = orjson.loads(self.raw)
        assert reply["success"] is True
        return dict(reply["data"])

    async def control(self, path: str, **changes: object) -> Any:
        url = self.sandbox.base_url.replace("/v1", f"/_sandbox/{path}")
        async with self.session.request("POST" if changes else "GET", url, json=changes or None) as response:
            return await response.json()


@asynccontextmanager
async def client(**options: object) -> AsyncIterator[Client]:
    timeout = aiohttp.ClientTimeout(total=5)
    async with (
        Sandbox(SandboxOptions.model_validate(options)) as sandbox,
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        yield Client(sandbox, session)


# --- the guide's shapes -------------------------------------------------------------------------------


async def test_search_answers_with_the_guides_fields_and_nothing_else() -> None:
    async with client(credits=500) as c:
        data = await c.data("search", {**ACME, "include_phone": True, "limit": 1})
    assert set(data) == {"contacts", "total", "credits_remaining"}
    assert set(data["contacts"][0]) == {
        *("first_name", "last_name", "email", "email_confidence", "phone", "phone_confidence"),
        *("title", "company", "department"),
    }
    assert (data["credits_remaining"], data["contacts"][0]["company"]) == (499, "Acme Corp")
    assert len(data["contacts"]) == 1 < data["total"]


async def test_verify_answers_with_the_guides_fields_and_nothing_else() -> None:
    async with client(now=Clock()) as c:
        data = await c.data("verify", {**JOHN, "smtp_check": True, "format_check": True})
    confidence = data.pop("confidence_score")
    assert confidence >= 0.9
    assert data == {
        "email": "john.doe@company.com",
        "is_valid": True,
        "is_deliverable": True,
        "smtp_response": "250 OK - Mail Accepted",
        "verification_timestamp": "2026-03-31T00:00:00Z",
    }


async def test_phones_answers_with_the_guides_fields_and_nothing_else() -> None:
    people = [p for n in range(9) for p in World(0).company(f"Firm {n}").people if p.numbers]
    async with client() as c:
        data = await c.data("phones", {"email": people[0].email})
    assert set(data) == {"phone_numbers"}
    assert set(data["phone_numbers"][0]) == {"number", "type", "confidence", "country_code"}


async def test_an_unknown_company_is_an_empty_answer_and_not_an_error() -> None:
    async with client() as c:
        data = await c.data("search", UNKNOWN)
    assert (data["contacts"], data["total"]) == ([], 0)


async def test_search_filters_filter() -> None:
    async with client() as c:
        bosses = await c.data("search", {**ACME, "titles": ["ceo"], "departments": ["Executive"]})
        nobody = await c.data("search", {**ACME, "titles": ["CEO"], "departments": ["HR"]})
        deciders = await c.data("search", {**ACME, "decision_maker_only": True, "limit": 100})
        silent = await c.data("search", ACME)
    assert {contact["title"] for contact in bosses["contacts"]} == {"CEO"}
    assert nobody["total"] == 0
    assert 0 < deciders["total"] < silent["total"]
    assert {contact["phone"] for contact in silent["contacts"]} == {None}


async def test_phones_leaves_out_the_kinds_not_wanted() -> None:
    people = [p for n in range(60) for p in World(0).company(f"Firm {n}").people if len(p.numbers) == 2]
    both = next(p for p in people if {n.type for n in p.numbers} == {"direct_dial", "mobile"})
    async with client() as c:
        desk = await c.data("phones", {"email": both.email, "skip_mobile": True})
        mobile = await c.data("phones", {"email": both.email, "include_direct_dial": False})
    assert [n["type"] for n in desk["phone_numbers"]] == ["direct_dial"]
    assert [n["type"] for n in mobile["phone_numbers"]] == ["mobile"]


@pytest.mark.parametrize(
    ("status", "endpoint", "body"),
    [
        (400, "search", {}),
        (422, "search", {"company": "  "}),
        (400, "search", {"company": 7}),
        (400, "search", {**ACME, "limit": 0}),
        (400, "search", {**ACME, "departments": "Sales"}),
        (400, "search", {**ACME, "include_phone": "yes"}),
        (400, "search", ["Acme"]),
        (400, "verify", {}),
        (422, "verify", {"email": ""}),
        (400, "phones", {"first_name": "John", "last_name": "Doe"}),
    ],
)
async def test_a_body_that_cannot_be_served_is_refused(status: int, endpoint: str, body: object) -> None:
    async with client() as c:
        assert await c.ask(endpoint, body) == status
        assert orjson.loads(c.raw)["success"] is False


async def test_only_json_sent_as_json_is_read() -> None:
    async with client() as c:
        assert await c.ask("search", None, json=None, data=b"{") == 415
        headers = {**KEY, "Content-Type": "application/json; charset=utf-8"}
        assert await c.ask("search", None, json=None, data=b"{", headers=headers) == 400
        assert await c.ask("nothing", {}) == 404


# --- key, quota, credits --------------------------------------------------------------------------------


async def test_the_key_opens_the_door_and_only_in_its_header() -> None:
    async with client(key="secret-key") as c:
        assert await c.ask("search", ACME, headers={}) == 401
        assert await c.ask("search", ACME) == 401
        right = {"Authorization": "Bearer secret-key"}
        assert await c.ask("search", ACME, headers=right) == 200
        assert await c.ask("search", {**ACME, "api_key": "secret-key"}, headers=right) == 400
        c.sandbox.set(forbidden=True)
        assert await c.ask("search", ACME, headers=right) == 403
        assert [entry.counted for entry in c.sandbox.log] == [False, False, True, True, False]


async def test_the_guides_hubspot_mistake_is_caught() -> None:
    """axios.post(url, {headers, data}) sends the key in the body (trap T0.1)."""
    async with client() as c:
        assert await c.ask("search", {"headers": KEY, "data": ACME}, headers={}) == 400
        assert await c.ask("search", ACME, params={"key": "lc_live_abc"}) == 400


async def test_a_rolling_window_opens_as_its_oldest_request_leaves() -> None:
    clock = Clock()
    async with client(daily_quota=2, now=clock) as c:
        statuses = []
        for at in (0, 100, 200, 86_399, 86_400, 86_401, 86_500):
            clock.at = NIGHT + at
            statuses.append(await c.ask("search", ACME))
            if at == 200:
                assert c.headers["Retry-After"] == "86200"
        assert statuses == [200, 200, 429, 429, 200, 429, 200]
        assert c.sandbox.max_in_window() == 5


@pytest.mark.parametrize(("count_failures", "last"), [(True, 429), (False, 200)])
async def test_whether_failures_count_is_an_option(last: int, *, count_failures: bool) -> None:
    async with client(daily_quota=2, count_failures=count_failures) as c:
        c.sandbox.script([Fault.SERVER_ERROR])
        statuses = [await c.ask("search", ACME) for _ in range(3)]
        assert statuses == [500, 200, last]


async def test_the_date_header_is_the_servers_own_clock() -> None:
    async with client(now=Clock(), date_skew=600) as c:
        await c.ask("search", ACME)
        assert c.headers.getall("Date") == ["Tue, 31 Mar 2026 00:10:00 GMT"]


async def test_credits_run_out_into_402_and_can_be_topped_up() -> None:
    async with client(credits=3, price_search="contact", price_verify=2) as c:
        assert await c.ask("search", {**ACME, "limit": 2}) == 200
        assert await c.ask("verify", JOHN) == 402
        assert c.sandbox.credits == 1
        c.sandbox.set(credits=2)
        assert await c.ask("verify", JOHN) == 200
        assert [entry.credits for entry in c.sandbox.log] == [1, 1, 0]


async def test_empty_answers_and_failures_cost_what_the_options_say() -> None:
    async with client(credits=10, empty_price=0) as c:
        await c.ask("search", UNKNOWN)
        c.sandbox.script([Fault.SERVER_ERROR, Fault.NULL_FIELDS])
        await c.ask("search", ACME)
        assert c.sandbox.credits == 10
        await c.ask("search", ACME)
        assert c.sandbox.credits == 9
        c.sandbox.set(charge_failures=True, faults={Fault.SAID_NO: 1.0})
        await c.ask("search", ACME)
        assert c.sandbox.credits == 8


# --- faults -------------------------------------------------------------------------------------------

SEEN = (
    {Fault.SERVER_ERROR: 500, Fault.UNAVAILABLE_HTML: 503, Fault.NO_CREDITS: 402, Fault.NOT_FOUND: 404}
    | {Fault.UNAUTHORISED: 401, Fault.FORBIDDEN: 403, Fault.BAD_REQUEST: 400, Fault.UNPROCESSABLE: 422}
    | dict.fromkeys((Fault.SLOW_DOWN, Fault.TOO_MANY), 429)
    | dict.fromkeys((Fault.REDIRECT_AWAY, Fault.REDIRECT_SAME_HOST), 307)
)
BROKEN = {
    Fault.DROP,
    Fault.DROP_CHARGED,
    Fault.STALL,
    Fault.ENDLESS_DRIP,
    Fault.TRUNCATED,
    Fault.HEADER_FLOOD,
}
NOT_STRICT_JSON = {
    Fault.NOT_JSON,
    Fault.EMPTY_BODY,
    Fault.CHALLENGE_PAGE,
    Fault.NAN,
    Fault.INVALID_UTF8,
    Fault.DEEP_JSON,
}


@pytest.mark.parametrize("endpoint", list(Endpoint))
@pytest.mark.parametrize("fault", list(Fault))
async def test_every_fault_shows_as_it_should_and_the_next_answer_is_sound(fault: Fault, endpoint: Endpoint) -> None:
    body = {**ACME, **JOHN}
    async with client(stall_seconds=0.1, bomb_bytes=1 << 20) as c:
        sound = await c.data(endpoint, body)
        c.sandbox.script([fault])
        if fault in BROKEN:
            with pytest.raises(aiohttp.ClientError):
                await c.ask(endpoint, body)
        else:
            assert await c.ask(endpoint, body) == SEEN.get(fault, 200)
        if fault in NOT_STRICT_JSON:
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(c.raw)
        again = await c.data(endpoint, body)
        for changing in ("credits_remaining", "verification_timestamp"):
            again.pop(changing, None), sound.pop(changing, None)
        assert again == sound
        assert [entry.fault for entry in c.sandbox.log] == [None, fault, None]
        assert c.sandbox.log[1].answered is (fault not in BROKEN - {Fault.HEADER_FLOOD})
        assert c.sandbox.log[2].status == 200


async def test_drops_differ_in_who_pays() -> None:
    async with client(credits=10) as c:
        for fault, left in ((Fault.DROP, 10), (Fault.DROP_CHARGED, 9)):
            c.sandbox.script([fault])
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await c.ask("search", ACME)
            assert c.sandbox.credits == left


async def test_faults_by_chance_repeat_with_the_seed_and_keep_to_their_endpoint() -> None:
    runs = []
    for _ in range(2):
        async with client(seed=4, faults={Fault.SERVER_ERROR: 0.5}, fault_endpoint=Endpoint.SEARCH) as c:
            runs.append([await c.ask("search", ACME) for _ in range(20)])
            assert [await c.ask("verify", JOHN) for _ in range(5)] == [200] * 5
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


async def test_a_gzip_bomb_is_small_on_the_wire_and_large_inside() -> None:
    async with client(faults={Fault.GZIP_BOMB: 1}, bomb_bytes=8 << 20) as c:
        await c.ask("search", ACME)
        assert int(c.headers["Content-Length"]) < 16_384
        assert len(c.raw) > 8 << 20


async def test_a_paused_sandbox_refuses_connections_and_returns_on_the_same_port() -> None:
    async with client() as c:
        assert await c.ask("search", ACME) == 200
        await c.sandbox.pause_listening()
        with pytest.raises(aiohttp.ClientConnectorError):
            await c.ask("search", ACME)
        await c.sandbox.resume_listening()
        assert await c.ask("search", ACME) == 200


async def test_a_greylisted_address_is_accepted_in_time_if_asked_again() -> None:
    grey = next(a for n in range(500) if World(0).verify(a := f"u{n}@firm.com").greylisted)
    clock = Clock()
    async with client(now=clock, greylist_seconds=3600) as c:
        first = await c.data("verify", {"email": grey})
        clock.at += 3600
        second = await c.data("verify", {"email": grey})
    assert (first["is_valid"], first["is_deliverable"], first["smtp_response"][:3]) == (True, False, "451")
    assert (second["is_deliverable"], second["smtp_response"][:3]) == (True, "250")


# --- the log and the controls -------------------------------------------------------------------------


async def test_the_log_counts_and_names_questions_answered_twice() -> None:
    async with client(latency=(0.05, 0.06)) as c:
        bodies: list[Any] = [{"company": "A1", "limit": 1}, {"limit": 1, "company": "A1"}, {"company": "B2"}]
        await asyncio.gather(*(c.ask("search", body) for body in bodies))
        c.sandbox.script([Fault.DROP, Fault.SERVER_ERROR])
        with suppress(aiohttp.ClientError):
            await c.ask("search", {"company": "B2"})
        await c.ask("search", {"company": "B2"})
        assert c.sandbox.answered_twice() == ['search {"company":"A1","limit":1}']
        assert sorted(entry.in_flight for entry in c.sandbox.log) == [1, 1, 1, 2, 3]
        assert c.sandbox.count() == c.sandbox.count(Endpoint.SEARCH) == 5
        assert [c.sandbox.count(status=status) for status in (200, 500, 0)] == [3, 1, 1]


async def test_a_client_that_leaves_before_its_answer_was_not_answered() -> None:
    async with client(latency=0.2, credits=5) as c:
        with pytest.raises(TimeoutError):
            await c.ask("search", ACME, timeout=aiohttp.ClientTimeout(total=0.05))
        assert await c.ask("verify", JOHN) == 200
        assert [entry.answered for entry in c.sandbox.log] == [False, True]
        assert c.sandbox.credits == 3


async def test_a_stop_ends_stalls_at_once() -> None:
    async with asyncio.timeout(3), client(faults={Fault.STALL: 1}) as c:
        waiting = asyncio.create_task(c.ask("search", ACME))
        await c.control("log")
        assert c.sandbox.log[0].fault is Fault.STALL
        await c.sandbox.stop()
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_controls_over_http_change_options_and_show_log_and_state() -> None:
    async with client(key="secret-key") as c:
        right = {"headers": {"Authorization": "Bearer secret-key"}}
        state = await c.control("set", credits=7, script=["server_error", None])
        assert (state["credits"], state["script"]) == (7, ["server_error", None])
        assert [await c.ask("search", ACME, **right) for _ in range(2)] == [500, 200]
        assert [line["status"] for line in await c.control("log")] == [500, 200]
        assert [line["number"] for line in await c.control("log?since=1")] == [2]
        assert "secret-key" not in str(await c.control("state"))
        for bad in ({"colour": "red"}, {"latency": -1}, {"script": ["no such"]}, {"log_path": "x"}):
            assert (await c.control("set", **bad))["success"] is False


async def test_the_log_file_tells_another_process_what_arrived_and_what_was_answered(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(SandboxOptions(log_path=path), port=0, ready=ready.set_result))
    url = f"{await ready}/contacts/search"
    async with aiohttp.ClientSession(headers=KEY) as session, session.post(url, json=ACME) as response:
        await response.read()
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [(line["event"], line["number"], line["status"]) for line in lines] == [
        ("asked", 1, None),
        ("answered", 1, 200),
    ]
    assert path.stat().st_mode & 0o077 == 0
    server.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server
