"""The demo's chapters up to real orders: venues, controller, bot and one signed command per stage. ``demo.show`` calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal

from rich.text import Text

from controller.cli.demo.fleet import environment, gatehouse
from controller.cli.demo.narrator import Look
from controller.cli.demo.scene import Scene
from controller.cli.setup.deployment import BOT_SECRET, CONTROL_TOKEN, HOST, TESTNET_KEY, accounts_file
from controller.cli.shared import places
from controller.cli.shared.output import table
from controller.console.schema import StatusView
from exchange.errors import Unreachable
from policies.stage import Stage

_ALICE = ("--key", "keys/alice.key")
_BOB = ("--key", "keys/bob.key")
_LIVE_FILE = "go-live.json"
_GREEDY_SECONDS = 60


def venues(scene: Scene) -> None:
    """Start two venues with the exchange's protocol and a recorded market; the second plays the live exchange."""
    scene.narrator.chapter("Two venues on a recorded market")
    for name, port in (("testnet", scene.ports.testnet), ("live", scene.ports.live)):
        tape = str(places.demo_tape())
        accounts, token = str(accounts_file(scene.directory, name)), str(scene.directory / CONTROL_TOKEN)
        options = ("--port", str(port), "--tape", tape, "--loop", "--accounts", accounts, "--control-token-file", token)
        identity = ("--identity", str(scene.directory / TESTNET_KEY)) if name == "testnet" else ()
        command = gatehouse("testnet", *options, *identity, "--state", str(scene.directory / f"venue-{name}"))
        child = scene.fleet.start(f"venue-{name}", command)
        role = "the testnet" if name == "testnet" else "a second venue, in the role of the live exchange"
        scene.narrator.say(f"{role}: process {child.process.pid}")
        scene.narrator.wait(f"{name} venue at {HOST}:{port}", lambda port=port: _venue_look(scene, port), 45)  # type: ignore[misc]


def controller(scene: Scene) -> None:
    """Start the controller: it verifies its journal, folds its state, reconciles with the venues and arms itself."""
    scene.narrator.chapter("The controller")
    scene.fleet.start("controller", gatehouse("run", "--dir", str(scene.directory)))
    _start_bot(scene)
    scene.wait_for("journal verified, state folded, reconciled, armed", _armed, 45)
    for entry in scene.entries(0):
        if entry.kind == "reconciled":
            broken = ", ".join(entry.body["breaks"]) or "no breaks"
            scene.narrator.say(
                f"entry {entry.seq}: reconciled with {entry.body['venue']}: {broken}, {entry.body['open_orders']} open orders"
            )
        if entry.kind == "armed":
            scene.narrator.say(f"entry {entry.seq}: armed, trading permits may be issued")
            break
    scene.expect(scene.narrator.command("journal", "verify", "--allow-unwitnessed"), 0)
    scene.narrator.say(Text.assemble("console: ", (scene.console_url, "underline")))


def bot(scene: Scene) -> None:
    """Show the bot, an ordinary trading program with gatehouse's address and key."""
    scene.narrator.chapter("The bot")
    child = next(one for one in scene.fleet.children if one.name == "bot")
    scene.narrator.say(f"{places.demo_bot()}, process {child.process.pid}: it has only the gateway's address and a key")
    scene.wait_for("first orders through the gateway", lambda status: _orders_look(status, 3), 60)
    scene.narrator.say(child.log.read_text(encoding="utf-8").splitlines()[0])
    with scene.client() as client:
        orders = client.orders(3)
    rows = [
        (order.client_id, order.venue, order.side, order.type, order.price or "–", order.quantity or "–", order.status)
        for order in orders
    ]
    scene.narrator.show(
        table(("our id", "venue", "side", "type", "price", "quantity", "status"), rows, right=("price", "quantity"))
    )


def to_testnet(scene: Scene) -> None:
    """One signature is enough without real money."""
    scene.narrator.chapter("MOCK → TESTNET_VALIDATING")
    scene.wait_for_gate("testnet-ready", 60)
    scene.expect(scene.narrator.command("advance", *_ALICE, "--reason", "the bot trades on mock money without errors"), 0)
    status = scene.expect_stage(Stage.TESTNET_VALIDATING)
    scene.narrator.good(f"new orders go to the {status.venue} venue, capped at {status.cap_eur} EUR")


def to_validated(scene: Scene) -> None:
    """A step up without evidence is refused; with complete evidence it is accepted."""
    scene.narrator.chapter("TESTNET_VALIDATING → VALIDATED: first without, then with evidence")
    scene.expect(scene.narrator.command("advance", *_ALICE, "--reason", "it looks fine to me"), 3)
    scene.narrator.good("refused by the gate: evidence is missing, and a signature cannot replace it")
    scene.wait_for_gate("validation", 100)
    scene.expect(scene.narrator.command("advance", *_ALICE, "--reason", "the validation window is complete"), 0)
    scene.expect_stage(Stage.VALIDATED)
    scene.narrator.good("validated, for this release under this policy and no other")


def to_live(scene: Scene) -> None:
    """Real money needs two persons. One signature is refused; then the second person signs the same bytes."""
    narrator = scene.narrator
    narrator.chapter("VALIDATED → LIVE_€10: one signature is not enough")
    scene.wait_for_gate("live-ready", 60)
    scene.expect(narrator.command("propose", "advance", "--reason", "ten euros of real risk", "--file", _LIVE_FILE), 0)
    scene.expect(narrator.command("sign", _LIVE_FILE, *_ALICE, quiet=True), 0)
    scene.expect(narrator.command("submit", _LIVE_FILE), 4)
    narrator.good("refused: only alice signed and two persons are needed; the stage did not change")
    scene.expect_stage(Stage.VALIDATED)
    narrator.say("bob reads the same command, compares its word code with alice, and adds his signature:")
    scene.expect(narrator.command("approve", _LIVE_FILE, *_BOB), 0)
    status = scene.expect_stage(Stage.LIVE_EUR10)
    narrator.good(f"new orders go to the {status.venue} venue, worst-case exposure at most {status.cap_eur} EUR")


def over_the_cap(scene: Scene) -> None:
    """Buy with the bot's key until an order is refused."""
    narrator = scene.narrator
    narrator.chapter("The bot's key tries to exceed the €10 cap")
    before = scene.status()
    scene.wait_for("orders on the live venue", lambda status: _orders_look(status, before.counters.orders + 2), 30)
    (key,) = (one.key for one in scene.settings.bots)
    secret = str(scene.directory / BOT_SECRET)
    narrator.say(f"buying with {places.greedy_bot().name} until it is refused…")
    ended = subprocess.run(  # noqa: S603 - our own program with our own arguments
        [sys.executable, str(places.greedy_bot()), "--gateway", scene.gateway_url, "--key", key, "--secret-file", secret],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=_GREEDY_SECONDS,
        check=False,
    )
    scene.must(f"the greedy bot ends by itself: {ended.stderr[-500:]}", holds=ended.returncode == 0)
    result = json.loads(ended.stdout)
    scene.must("an order of the greedy bot was refused", holds=bool(result["exception"]))
    narrator.say(f"{result['placed']} orders were admitted, then its client library raised:")
    narrator.say(Text(f"{result['exception']}: {result['message']}", "yellow"))
    denied = [
        entry
        for entry in scene.entries(before.seq)
        if entry.kind == "order-denied" and entry.body["bot_client_id"].startswith("greedy-")
    ]
    scene.must("the refusal is in the journal", holds=bool(denied))
    body = denied[-1].body
    rows = [(denied[-1].seq, body["rule"], body["measured"], body["threshold"])]
    narrator.show(table(("entry", "rule", "measured", "allowed"), rows))
    narrator.good(f"the live venue never saw that order; exposure is {scene.status().exposure_eur} of {before.cap_eur} EUR")


def to_ramping(scene: Scene) -> None:
    """Both persons sign; the cap rises one step."""
    scene.narrator.chapter("LIVE_€10 → RAMPING step 1")
    scene.wait_for_gate("ramp-step", 90)
    scene.expect(scene.narrator.command("ramp", *_ALICE, *_BOB, "--reason", "ten euros went well"), 0)
    status = scene.expect_stage(Stage.RAMPING)
    scene.narrator.good(f"at {status.position}, worst-case exposure at most {status.cap_eur} EUR")


def _start_bot(scene: Scene) -> None:
    # The bot takes seconds to start, and the time before its first request counts as not covered: start it early.
    (key,) = (one.key for one in scene.settings.bots)
    secret = str(scene.directory / BOT_SECRET)
    scene.fleet.start(
        "bot", [sys.executable, str(places.demo_bot()), "--gateway", scene.gateway_url, "--key", key, "--secret-file", secret]
    )


def _venue_look(scene: Scene, port: int) -> Look:
    try:
        state = scene.venue_state(port)
    except Unreachable:
        return Look(done=False, permille=0, words="starting")
    records = state["tape"]["records"]
    return Look(done=records > 0, permille=500, words=f"{records} tape records played, source {state['source']}")


def _armed(status: StatusView) -> Look:
    words = f"{status.seq} journal entries, epoch {status.epoch}"
    return Look(done=status.armed, permille=500, words=words if status.armed else status.not_armed_because)


def _orders_look(status: StatusView, wanted: int) -> Look:
    count = status.counters.orders
    words = f"{count} orders, {status.counters.fills} fills so far"
    return Look(done=count >= wanted, permille=int(Decimal(1000 * min(count, wanted)) / wanted), words=words)
