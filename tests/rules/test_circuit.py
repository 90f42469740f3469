"""Promise 7, a broken API does not burn the quota: when the circuit opens, what it lets through, when it breaks."""

from __future__ import annotations

from random import Random

import pytest

from pipeline.circuit import LAST, PROBE_AFTER, SPARE, Circuit, State

NOW = 1000.0


def circuit(history: str, now: float = NOW) -> Circuit:
    """A circuit that has seen successes (+) and failures (-) of ordinary requests."""
    made = Circuit()
    for mark in history:
        if mark == "+":
            made.succeeded()
        else:
            made.failed(now, probe=False)
    return made


def opened() -> Circuit:
    return circuit("---")


@pytest.mark.parametrize(
    ("history", "state"),
    [
        ("", State.CLOSED),
        ("-", State.CLOSED),
        ("--", State.CLOSED),
        ("---", State.OPEN),
        ("--+--", State.CLOSED),
        ("--+---", State.OPEN),
        ("+" * 50 + "---", State.OPEN),
    ],
)
def test_three_failures_in_a_row_open_it(history: str, state: State) -> None:
    """A success between them starts the count again."""
    assert circuit(history).state is state


@pytest.mark.parametrize(
    ("history", "state"),
    [
        ("--+" * 6 + "-", State.CLOSED),  # 13 of 19: too few have been seen
        ("--+" * 6 + "--", State.OPEN),  # 14 of 20
        ("+" * 8 + "--+" * 3 + "--", State.CLOSED),  # 8 of 19
        ("--+-+" * 4, State.CLOSED),  # 12 of 20, but the last was a success
        ("+--+-" * 4, State.OPEN),  # 12 of 20 = 60 %
        ("+--+-" * 3 + "+-+--", State.OPEN),
        ("+--+-" * 3 + "+-++-", State.CLOSED),  # 11 of the last 20
        ("+-" * 30, State.CLOSED),  # 50 % for ever
        ("+" * 40 + "--+" * 5, State.CLOSED),  # 10 of the last 20
    ],
)
def test_sixty_per_cent_of_the_last_twenty_open_it(history: str, state: State) -> None:
    """An API that answers every third request wastes the quota too; what is longer ago does not count."""
    assert circuit(history).state is state


def test_a_closed_circuit_lets_requests_go_at_once() -> None:
    """Nobody waits, and nobody is a probe."""
    made = circuit("+-+--")
    assert made.wait(NOW) == 0.0
    assert made.start_probe() is False
    assert made.wait(NOW) == 0.0


def test_an_open_circuit_lets_single_probes_go_after_1_2_and_4_seconds_and_then_breaks() -> None:
    """Three failed probes end the run: no fourth."""
    made, now = opened(), NOW
    for pause in PROBE_AFTER:
        assert made.wait(now) == pause
        assert made.wait(now + pause - 0.25) == 0.25
        now += pause
        assert made.wait(now) == 0.0
        assert made.wait(now + 60) == 0.0
        assert made.start_probe() is True
        assert made.wait(now) is None
        assert made.state is State.OPEN
        made.failed(now, probe=True)
    assert PROBE_AFTER == (1.0, 2.0, 4.0)
    assert made.state is State.BROKEN


def test_while_a_probe_is_under_way_nobody_else_goes() -> None:
    """However long it takes; if it never left, somebody else may try."""
    made = opened()
    assert made.start_probe()
    assert made.wait(NOW + 3600) is None
    made.drop_probe()
    assert made.wait(NOW + 3600) == 0.0


@pytest.mark.parametrize("failed_probes", [0, 1, 2])
def test_one_success_closes_it(failed_probes: int) -> None:
    """Also after failed probes, and the next outage starts with a fresh three."""
    made = opened()
    for _ in range(failed_probes):
        made.start_probe()
        made.failed(NOW, probe=True)
    made.start_probe()
    made.succeeded()
    assert (made.state, made.wait(NOW)) == (State.CLOSED, 0.0)
    for _ in range(2):
        made.failed(NOW, probe=False)
    assert made.state is State.CLOSED
    made.failed(NOW, probe=False)
    assert (made.state, made.wait(NOW)) == (State.OPEN, 1.0)


def test_after_closing_the_old_failures_are_forgotten() -> None:
    """Twenty bad answers before the outage do not open it again at the first hiccup."""
    made = circuit("--+" * 6 + "--")
    made.start_probe()
    made.succeeded()
    made.failed(NOW, probe=False)
    assert made.state is State.CLOSED
    assert len(made._recent) < LAST


def test_a_success_of_a_request_sent_before_closes_it_too() -> None:
    """The API answers; it does not matter who asked."""
    made = opened()
    made.succeeded()
    assert made.state is State.CLOSED


def test_requests_already_under_way_are_no_probes() -> None:
    """Fifty requests that fail after the circuit opened say nothing new: the first probe still goes after 1 s."""
    made = opened()
    for n in range(50):
        made.failed(NOW + n / 100, probe=False)
    assert (made.state, made.wait(NOW)) == (State.OPEN, 1.0)
    made.start_probe()
    made.failed(NOW + 1, probe=False)
    assert made.wait(NOW + 1) is None
    made.failed(NOW + 1, probe=True)
    assert made.wait(NOW + 1) == 2.0


def test_a_broken_circuit_stays_broken() -> None:
    """A late answer does not start a run again that has said good-bye."""
    made = opened()
    for _ in PROBE_AFTER:
        made.start_probe()
        made.failed(NOW, probe=True)
    made.succeeded()
    made.failed(NOW, probe=False)
    assert made.state is State.BROKEN
    assert made.start_probe() is False


@pytest.mark.parametrize("concurrency", [1, 2, 8, 50])
@pytest.mark.parametrize("seed", range(5))
def test_a_dead_api_costs_at_most_concurrency_and_6_requests(concurrency: int, seed: int) -> None:
    """Whatever the order in which the failures come in (promise 7)."""
    random, made, now, sent = Random(seed), Circuit(), NOW, 0
    under_way: list[bool] = []
    while made.state is not State.BROKEN:
        while len(under_way) < concurrency and made.wait(now) == 0.0:
            under_way.append(made.start_probe())
            sent += 1
        if under_way:
            made.failed(now, probe=under_way.pop(random.randrange(len(under_way))))
        now += 0.1
    assert sent <= concurrency + 6


def test_one_question_is_to_blame_if_nothing_else_failed_since_the_last_answer() -> None:
    """Then it says nothing about the API; while nobody was answered, nobody is to blame."""
    circuit = Circuit()
    circuit.failed(0.0, probe=False, question=b"odd")
    assert not circuit.blames(b"odd")
    circuit.succeeded()
    circuit.failed(1.0, probe=False, question=b"odd")
    circuit.failed(2.0, probe=False, question=b"odd")
    assert circuit.blames(b"odd")
    assert not circuit.blames(b"other")
    circuit.failed(3.0, probe=False, question=b"other")
    assert not circuit.blames(b"odd")


@pytest.mark.parametrize(
    ("answers", "requests"),
    [(0, 16), (4, 26), (6, 31), (7, 32), (12, 32), (13, 32), (20, 50), (1000, 2500)],
)
def test_an_answer_pays_for_two_and_a_half_requests_and_a_loan_is_paid_back(answers: int, requests: int) -> None:
    """Ten at once: what a dead API costs may be spent before, until twice that is."""
    made = circuit("+" * answers)
    assert made.pays_for(requests, 10)
    assert not made.pays_for(requests + 1, 10)


@pytest.mark.parametrize("concurrency", [1, 2, 8, 50])
def test_an_outage_of_a_moment_leaves_a_run_enough_to_recover(concurrency: int) -> None:
    """Everything that was under way and all probes but the last fail at the start; from then on all is well."""
    made, sent = Circuit(), concurrency + SPARE - 1
    assert made.pays_for(sent + 1, concurrency)
    for _ in range(5 * (concurrency + SPARE)):
        made.succeeded()
        sent += 1
        assert made.pays_for(sent + 1, concurrency)
