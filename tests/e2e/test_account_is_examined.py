"""A deployment whose live key may not trade is stopped by the gate ``live-ready``, before any real order."""

from pathlib import Path

from exchange.testnet.access.auth import Permission
from exchange.testnet.config import AccountConfig
from tests.support.rig import QUICK_GATES, quick_policy, rig

ACCOUNT_RULE = (
    '[{ id = "account-fit", metric = "account_checks_failed", op = "==", threshold = 0, unit = "count", min_samples = 6 }]'
)


async def test_a_live_key_without_the_right_to_trade_never_passes_live_ready(tmp_path: Path) -> None:
    gates = "\n".join(
        f"live-ready = {ACCOUNT_RULE}" if line.startswith("live-ready") else line for line in QUICK_GATES.splitlines()
    )
    policy = quick_policy().replace(QUICK_GATES, gates)
    read_only = frozenset(Permission) - {Permission.SPOT_DEAL_WRITE}

    def weaken(name: str, account: AccountConfig) -> AccountConfig:
        if name != "live":
            return account
        return AccountConfig(account.name, account.api_key, account.secret, account.balances, permissions=read_only)

    async with rig(tmp_path / "deployment", policy=policy, account=weaken) as deployment:
        await deployment.start()
        await deployment.climb("VALIDATED")
        async with deployment.bot_looking():
            await deployment.until(lambda status: status["coverage"]["covered_ms"] > 1500)
            for _ in range(20):
                if await deployment.entries("account-checked"):
                    break
                await deployment.bot("GET", "/api/v3/account")
            answer = await deployment.command("advance", "alice", "bob")
    assert answer.status_code == 409
    (rule,) = answer.json()["gate"]["rules"]
    assert rule["verdict"] == "FAIL"
    assert "BTCUSDT test BUY LIMIT" in rule["explanation"]
