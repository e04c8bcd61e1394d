"""Access to the demo's deployment, processes, controller and venues. Every chapter gets one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from controller.cli.demo.fleet import DemoFailed, Fleet
from controller.cli.demo.narrator import Look, Narrator, Ran
from controller.cli.setup.deployment import CONTROL_TOKEN, HOST, Ports
from controller.cli.shared.client import OperatorClient
from controller.cli.shared.gates import progress
from controller.cli.shared.http import JsonClient
from controller.console.schema import EntryView, GateView, RuleView, StatusView
from controller.settings.deployment import Settings, load_settings, read_secret
from exchange.errors import Unreachable
from policies.document import Policy, load_policy
from policies.stage import Stage

_OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Scene:
    """One run of the demo."""

    directory: Path
    ports: Ports
    fleet: Fleet
    narrator: Narrator

    @property
    def settings(self) -> Settings:
        """The deployment's settings."""
        return load_settings(self.directory)

    @property
    def policy(self) -> Policy:
        """The deployment's policy file."""
        return load_policy((self.directory / self.settings.policy).read_bytes())

    @property
    def gateway_url(self) -> str:
        """The bot's exchange address: the gateway."""
        return f"http://{HOST}:{self.ports.gateway}"

    @property
    def console_url(self) -> str:
        """The address of the console."""
        return f"http://{HOST}:{self.ports.console}"

    def client(self) -> OperatorClient:
        """The controller's operator API."""
        return OperatorClient(self.directory)

    def status(self) -> StatusView:
        """The deployment now."""
        with self.client() as client:
            return client.status()

    def entries(self, after: int) -> list[EntryView]:
        """Every journal entry after a sequence number."""
        found: list[EntryView] = []
        with self.client() as client:
            while page := client.journal(found[-1].seq if found else after, _PAGE):
                found += page
        return found

    def venue(self, port: int) -> JsonClient:
        """A client of a venue itself, not through the controller, with the token for its control endpoint."""
        headers = {"X-Testnet-Control": read_secret(self.directory, CONTROL_TOKEN)}
        return JsonClient(
            "the venue", base=f"http://{HOST}:{port}", remedy=f"Read the logs in {self.directory}/logs.", headers=headers
        )

    def venue_state(self, port: int) -> dict[str, Any]:
        """The state that a venue reports."""
        client = self.venue(port)
        try:
            answer = client.get("/__control/state")
        finally:
            client.close()
        state: dict[str, Any] = answer.body
        return state

    def open_at_venue(self, port: int) -> int:
        """How many open orders the venue itself reports."""
        accounts = self.venue_state(port)["accounts"].values()
        return sum(order["status"] in _OPEN for account in accounts for order in account["orders"])

    def must(self, what: str, *, holds: bool) -> None:
        """Fail the demo unless ``holds``. Raises ``DemoFailed``."""
        if not holds:
            raise DemoFailed(
                f"the demo failed: this is not true: {what}", code="demo-failed", remedy=f"Read the logs in {self.directory}/logs."
            )

    def expect(self, ran: Ran, code: int) -> Ran:
        """Fail unless a command ended with this exit code. Raises ``DemoFailed``."""
        self.must(f"exit code {code} (it was {ran.code})", holds=ran.code == code)
        return ran

    def expect_stage(self, stage: Stage) -> StatusView:
        """Fail unless the deployment is at this stage. Raises ``DemoFailed``."""
        status = self.status()
        self.must(f"the stage is {stage} (it is {status.stage})", holds=status.stage is stage)
        return status

    def wait_for_gate(self, gate: str, seconds: int) -> None:
        """Wait until every rule of a gate passes and the venue behind it is seen."""

        def look() -> Look:
            with self.client() as client:
                status, gates = client.status(), client.gates()
            self.must(f"the deployment is not halted ({status.halt_reason})", holds=status.stage is not Stage.HALTED)
            return next(
                (_gate_look(one) for one in gates if one.gate == gate), Look(done=False, permille=0, words="nothing measured yet")
            )

        self.narrator.wait(f"evidence for gate {gate}", look, seconds)

    def wait_for(self, label: str, look: Callable[[StatusView], Look], seconds: int) -> None:
        """Wait for something in the status, and for a controller that does not answer yet."""

        def patient() -> Look:
            try:
                return look(self.status())
            except Unreachable:
                return Look(done=False, permille=0, words="not answering yet")

        self.narrator.wait(label, patient, seconds)


def _gate_look(gate: GateView) -> Look:
    passed, total = progress(gate)
    short = [(_share(rule), rule) for rule in gate.rules if rule.verdict != "PASS"]
    # Only rules that need time show progress; the other rules do not.
    slowest = min([one for one in short if one[0]] or short, key=lambda one: one[0], default=None)
    words = f"{passed} of {total} rules pass"
    if slowest is not None:
        words += f", {slowest[1].id} {slowest[1].measured or '–'} of {slowest[1].threshold} {slowest[1].unit}"
    unseen = next((fact.line for fact in gate.landing if not fact.ok), "")
    if gate.verdict == "PASS" and unseen:
        words += f", {unseen}"
    return Look(done=gate.verdict == "PASS" and not unseen, permille=slowest[0] if slowest is not None else 1000, words=words)


def _share(rule: RuleView) -> int:
    if rule.op not in {">=", ">"} or not rule.measured:
        return 0
    measured, threshold = Decimal(rule.measured), Decimal(rule.threshold)
    return 999 if threshold <= 0 else max(0, min(999, int(1000 * measured / threshold)))
