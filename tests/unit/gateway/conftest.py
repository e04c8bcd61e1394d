from __future__ import annotations

import pytest

from tests.unit.gateway.fake_port import FakePort
from tests.unit.gateway.gateway_client import BotClient


@pytest.fixture
def port() -> FakePort:
    return FakePort()


@pytest.fixture
def bot(port: FakePort) -> BotClient:
    return BotClient(port)
