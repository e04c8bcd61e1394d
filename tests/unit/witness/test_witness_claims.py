"""Claims of accounts at a witness: one holder at a time, for as long as it renews, and only with the log's own signature."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.authority.keys import generate_key
from controller.journal.checkpoint import origin_of
from controller.journal.claim_note import LEASE_S, ClaimNote, Phase, holder_of, parse_claim
from controller.journal.note import sign_note
from controller.witness.claims import MOST_CLAIMS, MOST_SKEW_S, ClaimBook
from exchange.errors import IntegrityError
from tests.support.logbook import Logbook

LOG, OTHER = Logbook(), Logbook("desk-2")
LOGS = {one.key.name: one.key for one in (LOG, OTHER)}
ACCOUNT = f"sha256:{'0a' * 32}"
NOW_S = 1_800_000_000
HERE, THERE = holder_of("file-1-2", "boot-1"), holder_of("file-1-2", "boot-2")
AGED_NS = LEASE_S * 1_000_000_000
"""A witness that has run for a lease grants new claims."""


def book() -> ClaimBook:
    return ClaimBook(LOGS, 0)


def request(
    holder: str = HERE, phase: Phase = Phase.NEW, *, log: Logbook = LOG, account: str = ACCOUNT, at_s: int = NOW_S
) -> bytes:
    return ClaimNote(origin_of(log.owner), account, holder, phase, at_s).signed(log.private).encode()


def ask(claims: ClaimBook, body: bytes, at_s: float = 0.0) -> tuple[int, str]:
    """The answer to a request so many seconds after the witness has run for a lease."""
    answer = claims.ask(body, now_ns=AGED_NS + int(at_s * 1e9), now_s=NOW_S)
    return answer.status, answer.line


def test_another_holder_is_refused_and_told_the_age() -> None:
    claims = book()
    assert ask(claims, request(HERE)) == (200, "claimed")
    assert ask(claims, request(THERE), 14.9) == (409, "held 14")


def test_a_restarted_process_of_one_journal_claims_at_once() -> None:
    claims = book()
    ask(claims, request(HERE))
    assert ask(claims, request(HERE), 1) == (200, "claimed")


def test_another_deployment_on_the_account_is_refused() -> None:
    claims = book()
    ask(claims, request(HERE))
    assert ask(claims, request(HERE, log=OTHER), 1) == (409, "held 1")


def test_another_account_is_free() -> None:
    claims = book()
    ask(claims, request(HERE))
    assert ask(claims, request(THERE, account=f"sha256:{'0b' * 32}")) == (200, "claimed")


def test_a_claim_that_is_not_renewed_ends_with_its_lease() -> None:
    claims = book()
    ask(claims, request(HERE))
    assert ask(claims, request(THERE), LEASE_S - 0.001) == (409, f"held {LEASE_S - 1}")
    assert ask(claims, request(THERE), LEASE_S) == (200, "claimed")
    assert ask(claims, request(HERE, Phase.RENEW), LEASE_S + 5) == (409, "held 5")


def test_a_renewal_prolongs_the_claim() -> None:
    claims = book()
    ask(claims, request(HERE))
    ask(claims, request(HERE, Phase.RENEW), 50)
    assert ask(claims, request(THERE), 100) == (409, "held 50")


def test_a_released_account_is_free_at_once() -> None:
    claims = book()
    ask(claims, request(HERE))
    assert ask(claims, request(HERE, Phase.RELEASE), 1) == (200, "released")
    assert ask(claims, request(THERE), 1) == (200, "claimed")


def test_nobody_releases_the_claim_of_another() -> None:
    claims = book()
    ask(claims, request(HERE))
    assert ask(claims, request(THERE, Phase.RELEASE), 1) == (409, "held 1")
    assert ask(claims, request(THERE), 1) == (409, "held 1")


def test_a_witness_that_has_just_started_lets_the_holder_renew_first() -> None:
    claims = book()
    assert ask(claims, request(THERE), -LEASE_S + 1.5) == (409, f"starting {LEASE_S - 1}")
    assert ask(claims, request(HERE, Phase.RENEW), -LEASE_S + 2) == (200, "claimed")
    assert ask(claims, request(THERE), 0) == (409, f"held {LEASE_S - 2}")


@pytest.mark.parametrize("skew_s", [-MOST_SKEW_S - 1, MOST_SKEW_S + 1])
def test_a_request_of_another_time_claims_nothing(skew_s: int) -> None:
    claims = book()
    status, said = ask(claims, request(at_s=NOW_S + skew_s))
    assert (status, "set the clocks" in said) == (425, True)
    assert ask(claims, request(THERE)) == (200, "claimed")


def test_a_claim_of_an_unknown_log_is_refused() -> None:
    assert ask(book(), request(log=Logbook("nobody")))[0] == 404


def test_a_claim_that_another_key_signed_is_refused() -> None:
    text = ClaimNote(LOG.key.name, ACCOUNT, HERE, Phase.NEW, NOW_S).text
    assert ask(book(), sign_note(text, LOG.key.name, generate_key()).encode())[0] == 403


def test_a_checkpoint_is_not_a_claim_and_a_claim_no_checkpoint() -> None:
    assert ask(book(), LOG.note(5).encode())[0] == 400
    with pytest.raises(IntegrityError):
        parse_claim(LOG.checkpoint(5).text)


@given(st.binary(max_size=300))
def test_any_bytes_are_answered(body: bytes) -> None:
    assert ask(book(), body)[0] == 400


@given(st.integers(0, len(request()) - 1), st.integers(1, 255))
def test_a_changed_byte_never_claims_for_somebody_else(place: int, mask: int) -> None:
    changed = bytearray(request())
    changed[place] ^= mask
    claims = book()
    status, _ = ask(claims, bytes(changed))
    if status == 200:
        assert ask(claims, request(HERE), 1) == (200, "claimed")


def test_many_accounts_do_not_grow_the_witness_for_ever() -> None:
    claims = book()
    for number in range(MOST_CLAIMS + 5):
        assert ask(claims, request(account=f"sha256:{number:064x}"), number * 0.1)[0] == 200
    assert len(claims._held) <= MOST_CLAIMS


@given(st.lists(st.tuples(st.sampled_from((HERE, THERE)), st.sampled_from(tuple(Phase)), st.floats(0, 70)), max_size=12))
def test_no_two_holders_have_a_live_claim(steps: list[tuple[str, Phase, float]]) -> None:
    claims, at_s, live = book(), 0.0, dict[str, float]()
    for holder, phase, pause_s in steps:
        at_s += pause_s
        status, _ = ask(claims, request(holder, phase), at_s)
        others = [one for one, until in live.items() if one != holder and at_s < until - 1e-6]
        assert status == 409 or not others
        if status == 200:
            live = {} if phase is Phase.RELEASE else {holder: at_s + LEASE_S}
