"""The rehearsal itself: from an empty machine to LIVE_€10 and back to MOCK, by what persons type."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from controller.authority.keys import generate_key
from policies.drills import DrillKind
from policies.stage import Mode
from tests.support.dress.operator import NotAsExpected, quoted
from tests.support.dress.record import ORDER, TEST
from tests.support.dress.stage import ELSEWHERE, STRANGER, Stage, fill_in
from tests.support.ordinary.climbing import BELOW, OFTEN_S, SELDOM_S, too_long
from tests.support.ordinary.scene import policy_text
from tests.unit.authority.authority_kit import sk_public, sk_signature

CAP_EUR = Decimal(10)
ASKED = tuple(one.value for one in DrillKind if one is not DrillKind.HALT)
"""The drills that `live-ready` asks for."""
REFUSED = "its certificate is refused"
ALONE = "1 more person (approver or operator) must sign"
NEXT = {"MOCK": "TESTNET_VALIDATING", "TESTNET_VALIDATING": "VALIDATED"}
LONGEST_WAIT_S = 45.0
"""A run begins anew rather than wait longer until its gaps are a small enough share."""
COOLING_OFF_MS = 30_000
"""Long enough to type a veto."""


class Walk:
    """One rehearsal. ``play`` goes all the way, ``opening`` to the first stage with a venue, ``look`` starts nothing."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.types = stage.terminal.types
        self.note = stage.terminal.note
        self.team = stage.mode is Mode.TEAM
        self.touched = generate_key()
        """bob's security key, which is software here."""
        self.key = f"{stage.home('alice')}/alice.key"
        """alice's key, as root at the deployment reads it for the verbs that sign by themselves."""
        self.commands = 0
        self.failing: list[dict[str, Any]] = []

    async def play(self) -> None:
        """MOCK to LIVE_€10 and back."""
        await self.opening()
        await self.practise()
        await self.climb("VALIDATED")
        await self.go_live()
        await self.trade_live()
        await self.halt_and_leave()
        await self.refuse_other_certificates()
        await self.back_to_mock()

    async def opening(self) -> None:
        """`look`, then start at MOCK and go to TESTNET_VALIDATING."""
        await self.look()
        await self.start()
        await self.climb("TESTNET_VALIDATING")
        await self._until("MEXC judges a test order", lambda _: self.stage.record.count(TEST, phase="TESTNET_VALIDATING") > 0)

    async def look(self) -> None:
        """Set up, and see every refusal of a wrong venue."""
        await self.set_up()
        await self.doctor_refuses()

    # What an operator does before the first start

    async def set_up(self) -> None:
        """`gatehouse init`, the keys to their persons, the policy, the secrets."""
        stage, where = self.stage, self.stage.deployment
        persons = ("alice", "bob") if self.team else ("alice",)
        await self.types("gatehouse version", prints=["gatehouse 0.1.0"])
        bot = stage.home("bot") / "bot.py"
        named = " ".join(f"--person {person}" for person in persons)
        keys = f"--live-key {stage.live.api_key} --watchdog-key {stage.watchdog.key}"
        await self.types(
            f"gatehouse init {where} --profile {stage.mode} {named} {keys} --bot {bot} --systemd",
            prints=[
                f"/etc/gatehouse/{stage.mode}/live.secret",
                "gatehouse doctor",
                f"systemctl enable --now gatehouse@{stage.mode}",
            ],
        )
        for person in persons:
            await self.types(
                f"mv {where}/keys/{person}.key {stage.home(person)} && chown {person}: {stage.home(person)}/*.key", quiet=True
            )
        await self.types("gatehouse keys show alice.key", who="alice", prints=["ed25519"])
        if self.team:
            await self._list_the_others()
        await self.types("gatehouse roster show", prints=[*persons, *(("carol", "halt-only") if self.team else ())])
        self._shorten(where)
        await self._keep_copies(where)
        await self.types(f"gatehouse policy check {where}/policy.toml", prints=["sha256:"])
        # The secrets are not there yet.
        await self.types("gatehouse doctor", exits=1, prints=["live.secret"])
        for name, secret in (("live", stage.live.secret), ("watchdog", stage.watchdog.secret)):
            fill_in(Path(f"/etc/gatehouse/{stage.mode}/{name}.secret"), secret)

    async def _list_the_others(self) -> None:
        """bob signs with a security key, and carol may only halt and veto: both are pasted into the roster as the product says."""
        roster = self.stage.deployment / "roster.toml"
        (self.stage.home("bob") / "id_sk.pub").write_text(sk_public(self.touched).line + "\n")
        said = await self.types("gatehouse keys import id_sk.pub", who="bob", prints=["add this line", "sk-ssh-ed25519"])
        line = next(one for one in said.output.splitlines() if one.startswith("{ id"))
        head, _, tail = roster.read_text().partition('name = "bob"')
        tail = re.sub(r"keys = \[.*?\]\n", lambda _: f"keys = [{line}]\n", tail, count=1, flags=re.DOTALL)
        said = await self.types("gatehouse keys new carol.key", who="carol", prints=["add this line", '"ed25519"'])
        carols = next(one for one in said.output.splitlines() if one.startswith("{ id"))
        more = f'\n[[persons]]\nname = "carol"\nrole = "halt-only"\nkeys = [{carols}]\n'
        roster.write_text(f'{head}name = "bob"{tail}{more}')

    async def _keep_copies(self, where: Path) -> None:
        """Who can open a copy and where copies are, as backup.md says, for the drill that restores one."""
        copies, identity = Path("/srv/dress") / f"{self.stage.mode}-copies", where / "secrets/backup-identity"
        said = await self.types(f"gatehouse backup key {identity}", prints=["age1"])
        recipient = re.search(r"age1[0-9a-z]+", said.output)
        assert recipient is not None
        with (where / "gatehouse.toml").open("a") as settings:
            settings.write(f'\n[backup]\nrecipients = ["{recipient[0]}"]\ndirectory = "{copies}"\n')
            settings.write('identity_file = "secrets/backup-identity"\n')

    def _shorten(self, where: Path) -> None:
        """The example policy with shorter times, and a checkpoint target outside of the folder."""
        written = (where / "policy.toml").read_text()
        text = policy_text(self.stage.mode).replace("cooling_off_ms = 3_000", f"cooling_off_ms = {COOLING_OFF_MS:_}")
        (where / "policy.toml").write_text(text + written[written.index("\n[testnet]") :])
        outside = Path("/srv/dress") / self.stage.mode
        outside.mkdir(parents=True)
        shutil.chown(outside, "gatehouse")
        settings = where / "gatehouse.toml"
        text = settings.read_text()
        assert "buys_per_day = 500\n" in text
        settings.write_text(f'witnesses = ["{outside}"]\n{text.replace("buys_per_day = 500", "buys_per_day = 20_000")}')

    async def doctor_refuses(self) -> None:
        """A venue that is not there, or that shows another certificate than MEXC's, fails `gatehouse doctor` with its reason."""
        front, address = self.stage.front, "https://api.mexc.com"
        async with front.unresolved():
            await self._doctor_fails("name resolution", f"curl {address}/api/v3/time")
        async with front.down():
            await self._doctor_fails("Connection refused", f"curl {address}/api/v3/time")
        await self.stage.shows(STRANGER)
        await self._doctor_fails("unable to get local issuer certificate", "openssl s_client")
        await self.stage.shows(ELSEWHERE)
        await self._doctor_fails("certificate is not valid for 'api.mexc.com'", "openssl s_client")
        await self.stage.shows("server.pem")
        self._expect("no request of a refused connection was made", not self.stage.record.count(ORDER))

    async def _doctor_fails(self, found: str, fix: str) -> None:
        """The row of the live venue says what was found and what to do."""
        ended = await self.types("gatehouse doctor -o json", exits=1, quiet=True)
        row = next(one for one in ended.json if one["check"] == "venue live")
        if row["ok"] is not False or found not in row["found"] or fix not in row["fix"]:
            raise NotAsExpected(f"gatehouse doctor: {row}")
        await self.note("gatehouse doctor", f"exit code 1; venue live: “{row['found']}”; the remedy names `{fix}`")

    async def _doctor_passes(self) -> bool:
        ended = await self.types("gatehouse doctor -o json", exits=(0, 1), quiet=True)
        self.failing = [row for row in ended.json if row["ok"] is False]
        return not self.failing

    # The climb

    async def start(self) -> None:
        """Start the units and the bot; MOCK sends MEXC nothing that could be an order."""
        self._phase("MOCK")
        await self.stage.start()
        await self.note(f"systemctl start gatehouse@{self.stage.mode}", "signer, watchdog, testnet and controller said READY=1")
        await self._until("it is armed, and sees the testnet", _ready)
        await self.types("gatehouse status", prints=["MOCK", "armed"])
        await self.signed("advance --reason early", "alice", warns="The gate does not pass now", exits=3, prints=["testnet-ready"])
        said = await self.types("gatehouse bot-config ccxt bot", prints=["http://127.0.0.1:8700"])
        await self.stage.trade(said.output)
        await self.note("start the bot", "an unchanged ccxt program, as a user of its own")
        await self._wait("gatehouse doctor has no FAIL", self._doctor_passes, 120)
        await self.note("gatehouse doctor", "exit code 0 and no FAIL, while it runs at MOCK, armed")
        await self._begin_anew("MOCK", "a run without the gap of the start")

    async def climb(self, target: str) -> None:
        """Wait for each gate on the way, and sign each step. MEXC gets no order."""
        while (here := str((await self.stage.terminal.status()).get("stage", ""))) != target:
            if here not in NEXT:
                await asyncio.sleep(1)
                continue
            following = NEXT[here]
            if not await self._gate_passes(following):
                await self._begin_anew(here, "its gaps are too large a share of so short a run")
                continue
            await self.signed(f"advance --reason {quoted('the gate passes')}", "alice", prints=[following])
            await self.types(f"gatehouse status --wait-for {following} --within 60", prints=[following])
            self._phase(following)
        self._expect("MEXC got no order", self.stage.record.count(ORDER) == 0)

    async def _begin_anew(self, here: str, why: str) -> None:
        """A new run, as the ordinary week does: demoted by one stage, and at MOCK a halt and a reset."""
        if here == "MOCK":
            await self.types(f"gatehouse halt --reason {quoted(why)}", prints=["HALTED"])
            await self.signed(f"reset --reason {quoted(why)}", "alice", prints=["MOCK"])
        else:
            await self.signed(f"demote --to {BELOW[here]} --reason {quoted(why)}", "alice", prints=[BELOW[here]])
        await self.types(f"gatehouse status --wait-for {BELOW.get(here, 'MOCK')} --within 60")

    async def practise(self) -> None:
        """The drills that `live-ready` asks for, and MOCK again: their gaps would be too large a share of 20 s."""
        await self._until("orders", lambda now: bool(now.get("armed")) and not now.get("unknown_orders"))
        # As root, because the secrets of the units are root's; the controller's drill has to read the copy.
        await self.types("gatehouse backup create", prints=["copies"])
        for drill in ASKED:
            await self.types(f"gatehouse drill {drill} --key {self.key} --reason weekly", prints=[drill])
            await self._until("armed again", lambda now: bool(now.get("armed")) and not now.get("unknown_orders"))
        crashed = self.stage.units["controller"]
        self._expect("the drill crash ended the controller, and the unit started it again", crashed.starts == 2)
        await self.signed(f"demote --to MOCK --reason {quoted('the gaps of the drills')}", "alice", prints=["MOCK"])
        await self.types("gatehouse status --wait-for MOCK --within 60", prints=["MOCK"])

    async def go_live(self) -> None:
        """VALIDATED to LIVE_€10: two persons and a touch, or one person and the cooling-off period with its veto."""
        while not await self._gate_passes("LIVE_€10"):
            await self._begin_anew("VALIDATED", "its gaps are too large a share of so short a run")
            await self.climb("VALIDATED")
        self._expect("MEXC got no order before LIVE_€10", self.stage.record.count(ORDER) == 0 and not self.stage.books.orders())
        await self._acknowledge()
        self._expect("MEXC judged test orders, which never fill", self.stage.record.count(TEST) > 0)
        why = quoted("every rule passes")
        if self.team:
            await self.signed(f"advance --reason {why}", "alice", exits=4, prints=[ALONE])
            await self.signed(f"advance --reason {why}", "alice", "carol", exits=4, prints=[ALONE])
            self._phase("LIVE_€10, from the signatures on")
            await self.signed(f"advance --reason {why}", "alice", "bob", prints=["LIVE_€10"])
        else:
            await self.signed(f"advance --reason {why}", "alice", prints=["waits", "gatehouse veto"])
            await self.types("gatehouse status", prints=["waits", "VALIDATED"])
            await self.types(
                f"gatehouse veto --key {self.key} --reason {quoted('a second thought')}",
                prints=["VALIDATED"],
            )
            await self.signed(f"advance --reason {why}", "alice", prints=["waits"])
            self._expect("MEXC got no order while the step waits", self.stage.record.count(ORDER) == 0)
            self._phase("LIVE_€10, from the signatures on")
        await self.types("gatehouse status --wait-for LIVE_EUR10 --within 120", prints=["LIVE_€10"])

    async def trade_live(self) -> None:
        """The bot's orders reach MEXC, within the cap."""
        books = self.stage.books
        self.stage.pace(OFTEN_S)
        await self._until("MEXC's books show a purchase", lambda _: books.held() > 0 and len(books.orders()) >= 6)
        self.stage.pace(SELDOM_S)
        await self.types("gatehouse status", prints=["LIVE_€10", "orders go to live"])
        await self.types("gatehouse orders", prints=["gh-", "live"])
        await self._wait("gatehouse doctor has no FAIL", self._doctor_passes, 90)
        await self.note("gatehouse doctor", "exit code 0 and no FAIL, while it runs at LIVE_€10")
        self._expect(f"at most {books.most:.2f} EUR of {CAP_EUR} were in use at MEXC", Decimal(0) < books.most <= CAP_EUR)
        await self.note(
            "look at MEXC's books", f"{len(books.orders())} orders, at most {books.most:.2f} EUR of {CAP_EUR}", who="MEXC"
        )

    async def halt_and_leave(self) -> None:
        """Halt, explain, sell, and resume with a post-mortem; MEXC gets no order between the halt and the signed sale."""
        books, stage = self.stage.books, self.stage
        await self.types(f"gatehouse halt --reason {quoted('the rehearsal halts it')}", prints=["HALTED"])
        self._phase("HALTED")
        await self._until("MEXC has no open order", lambda _: books.open_orders() == 0)
        await self.types("gatehouse status --wait-for LIVE_EUR10", exits=5, prints=["HALTED"])
        await self.types("gatehouse explain halt", prints=["the rehearsal halts it", "Ways out:"])
        await asyncio.sleep(3)
        self._expect("MEXC got no order after the halt", stage.record.count(ORDER, phase="HALTED") == 0)
        held = books.held()
        self._phase("HALTED, a signed sale")
        await self.types(
            f"gatehouse flatten --key {self.key} --reason {quoted('hold nothing')}", exits=(0, 1) if held else (0, 1, 3)
        )
        self._expect("MEXC got sales alone", books.held() <= held and books.open_orders() == 0)
        await self.note("look at MEXC's books", f"held {held} BTC before the sale, {books.held()} after it", who="MEXC")
        self._phase("HALTED, nothing is held")
        story = stage.home("operator") / "postmortem.md"
        story.write_text("A rehearsal: somebody halted it on purpose. Nothing is held.\n")
        why = quoted("it was a rehearsal")
        await self.types(
            f"gatehouse propose resume --to LIVE_EUR10 --reason {why}", exits=2, prints=["a resume needs a post-mortem"]
        )
        await self._offered("resume", "LIVE_€10")
        self._phase("LIVE_€10 again")
        await self.signed(f"resume --to LIVE_EUR10 --postmortem {story} --reason {why}", "alice", "bob", prints=[])
        await self.types("gatehouse status --wait-for LIVE_EUR10 --within 120", prints=["LIVE_€10"])
        orders = len(books.orders())
        await self._until("MEXC gets orders again", lambda _: len(books.orders()) > orders)
        await self.signed(f"demote --to VALIDATED --reason {quoted('back to the testnet')}", "alice", prints=["VALIDATED"])
        await self.types("gatehouse status --wait-for VALIDATED --within 120", prints=["VALIDATED"])
        self._phase("VALIDATED again")

    async def _acknowledge(self) -> None:
        """Acknowledge every critical alert, as the operator who caused it does: after 15 minutes an open one refuses a step up."""
        listed = await self.types("gatehouse alerts list -o json", quiet=True)
        for one in listed.json:
            if one["severity"] == "critical":
                await self.types(f"gatehouse ack-alert {one['id']} --key {self.key} --reason {quoted('part of the rehearsal')}")

    async def refuse_other_certificates(self) -> None:
        """While it runs at VALIDATED: no step to real money towards a venue with another certificate, or one that is not there."""
        await self._acknowledge()
        if not await self._gate_passes("LIVE_€10"):
            raise NotAsExpected("the gate to LIVE_€10 does not pass while MEXC is seen, so a refusal would prove nothing")
        for name, certificate in (("a stranger's CA", STRANGER), ("another host's name", ELSEWHERE)):
            await self.stage.shows(certificate)
            await self._refused(name)
            self._expect("the unit's log names the certificate", REFUSED in self.stage.units["controller"].tail())
        await self.stage.shows("server.pem")
        async with self.stage.front.down():
            await self._refused("no answer")
        self._expect("MEXC got no order at VALIDATED", self.stage.record.count(ORDER, phase="VALIDATED again") == 0)

    async def _refused(self, name: str) -> None:
        """No step up: while the gate passes the proposal is refused, and while it does not, the signed command."""
        await self._until(f"it sees: {name}", lambda now: bool(now) and not _sees(now))
        self.commands += 1
        file = self.stage.home("desk") / f"{self.commands}-unseen.json"
        command = f"gatehouse propose advance --reason {quoted(name)} --file {file} && chmod 666 {file}"
        proposed = await self.types(command, exits=(0, 3), quiet=True)
        if proposed.code == 3:
            self._expect("the proposal is refused, because MEXC is not seen", "target-not-seen" in proposed.output)
            return
        self._expect("the proposal says that the gate does not pass", "The gate does not pass now" in proposed.output)
        for person in ("alice", "bob") if self.team else ("alice",):
            await self._signs(person, file)
        await self.types(f"gatehouse submit {file}", exits=3, prints=["FAIL"])

    async def back_to_mock(self) -> None:
        """Solo: demoted. Team: bob's key is revoked, which halts, because two persons are needed; then a reset."""
        if self.team:
            said = (await self.types("gatehouse roster show -o json", quiet=True)).output
            await self.types(
                f"gatehouse revoke {_key_of(said, 'bob')} --key {self.key} --reason lost",
                prints=["HALTED"],
            )
            await self.types("gatehouse explain halt", prints=["Ways out:"])
            await self.signed(f"reset --reason {quoted('begin again')}", "alice", prints=["MOCK"])
        else:
            await self.signed(f"demote --to MOCK --reason {quoted('the rehearsal is over')}", "alice", prints=["MOCK"])
        await self.types("gatehouse status --wait-for MOCK --within 60", prints=["MOCK"])
        self._phase("MOCK again")
        await self.stage.rest()
        await self.stage.stop()
        await self.types("gatehouse journal verify", exits=(0, 3), prints=["verified"])
        self._expect("MEXC got no order at the end", self.stage.record.count(ORDER, phase="MOCK again") == 0)
        self._expect("MEXC has no open order", self.stage.books.open_orders() == 0)

    # What several steps need

    async def signed(self, command: str, *persons: str, exits: int = 0, prints: Sequence[str] = (), warns: str = "") -> None:
        """Propose, let each person sign on the own machine, submit. In solo mode only alice is asked."""
        self.commands += 1
        file = self.stage.home("desk") / f"{self.commands}-{command.split(maxsplit=1)[0]}.json"
        await self.types(
            f"gatehouse propose {command} --file {file} && chmod 666 {file}", prints=["must sign", *filter(None, [warns])]
        )
        for person in persons if self.team else persons[:1]:
            await self._signs(person, file)
        await self.types(f"gatehouse submit {file}", exits=exits, prints=prints)

    async def _signs(self, person: str, file: str) -> None:
        if person != "bob":
            await self.types(f"gatehouse sign {file} --key {person}.key && chmod 666 {file}", who=person)
            return
        message = self.stage.home("bob") / "message"
        await self.types(f"gatehouse sign {file} --message message", who="bob")
        (self.stage.home("bob") / "message.sig").write_text(sk_signature(self.touched, message.read_bytes()))
        await self.types(f"gatehouse sign {file} --attach message.sig && chmod 666 {file}", who="bob")

    async def _gate_passes(self, target: str) -> bool:
        """Wait until every rule of the next gate passes. False where the run's gaps would take too long to become a small share.

        The bot fills more often while fills are missing.
        """
        hopeless = False

        async def passes() -> bool:
            nonlocal hopeless
            gates = await self.stage.terminal.gates()
            missing = [rule["metric"] for gate in gates for rule in gate["rules"] if rule["verdict"] != "PASS"]
            self.stage.pace(OFTEN_S if "fills" in missing else SELDOM_S)
            hopeless = "coverage_ratio" in missing and too_long(gates, LONGEST_WAIT_S)
            return hopeless or (bool(gates) and not missing)

        await self._wait(f"the gate to {target} passes", passes, 400)
        if hopeless:
            return False
        await self._until("the target is seen", _ready)
        await self.types("gatehouse gates", prints=[target])
        return True

    async def _offered(self, verb: str, target: str) -> None:
        """Wait until `gatehouse status` shows this way out of the halt as open."""

        def open_(now: dict[str, Any]) -> bool:
            ways = now.get("ways_out", ())
            return any(way["verb"] == verb and way.get("target") == target and not way.get("refused") for way in ways)

        await self._until(f"{verb} to {target} is open", open_)

    async def _until(self, what: str, wanted: Callable[[dict[str, Any]], bool], within: float = 180) -> None:
        async def holds() -> bool:
            return wanted(await self.stage.terminal.status())

        await self._wait(what, holds, within)

    async def _wait(self, what: str, holds: Callable[[], Awaitable[bool]], within: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while not await holds():
            if loop.time() > end:
                shown = await self.types("gatehouse status; gatehouse gates", exits=(0, 1, 3, 6), quiet=True)
                raise NotAsExpected(f"after {within:.0f} s not so: {what}\n{shown.output}\n{self.failing}")
            await asyncio.sleep(0.5)

    def _phase(self, name: str) -> None:
        self.stage.record.phase = name

    def _expect(self, what: str, holds: bool) -> None:
        if not holds:
            raise NotAsExpected(f"not so: {what}\n{self.stage.record.table()}")
        print(f"{'':27}MEXC's record: {what}", flush=True)


def _ready(now: dict[str, Any]) -> bool:
    """It is armed, and sees where the next step leads."""
    return bool(now.get("armed")) and _sees(now)


def _sees(now: dict[str, Any]) -> bool:
    """Whether everything is seen of where the next steps lead; what an account holds is for a person to change."""
    facts = [fact for edge in now.get("next_edges", ()) for fact in edge["landing"]]
    return all(fact["ok"] or fact["sight"] == "holdings" for fact in facts)


def _key_of(roster: str, person: str) -> str:
    return next(one["keys"][0]["id"] for one in json.loads(roster)["persons"] if one["name"] == person)
