"""Permits depend on a signer process that answers, and only where orders need its signature."""

from types import SimpleNamespace
from typing import cast

import pytest

from controller.bootstrap.signer import SignerProcess, Signers
from controller.signer.remote import Link
from exchange.ports import VenueName


@pytest.fixture
def link() -> Link:
    return Link(0.1, lambda: None)


@pytest.fixture
def signers(link: Link) -> Signers:
    return Signers({}, cast("SignerProcess", SimpleNamespace(link=link)))


@pytest.mark.parametrize("venue", [VenueName.TESTNET, VenueName.LIVE])
def test_a_signer_that_is_away_speaks_against_orders(signers: Signers, link: Link, venue: VenueName) -> None:
    link.close("the signer is being started again")
    assert "the signer is being started again" in signers.problem(venue)


@pytest.mark.parametrize("venue", [None, VenueName.MOCK])
def test_orders_that_nobody_signs_need_no_signer(signers: Signers, link: Link, venue: VenueName | None) -> None:
    link.close("the signer is being started again")
    assert signers.problem(venue) == ""


def test_a_signer_that_answers_speaks_against_nothing(signers: Signers, link: Link) -> None:
    link.up()
    assert signers.problem(VenueName.LIVE) == ""
