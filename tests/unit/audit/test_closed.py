"""What is open keeps the entries since it began in the journal; what is closed does not."""

from controller.audit.closed import open_matters
from controller.core import event_codec
from controller.core import events as e
from controller.core import inputs as i
from controller.core.effects import AlertKind
from controller.journal.chain import Entry
from exchange.ports import Unknown
from policies.authority import Verb
from policies.stage import Mode, Stage
from tests.support.desk import Desk, with_policy


def matters(desk: Desk) -> dict[str, int]:
    entries = (
        Entry(seq, 1, at, event.kind, event_codec.encode(event), "", "") for seq, (event, at) in enumerate(desk.journal, start=1)
    )
    return {one.what: one.seq for one in open_matters(desk.state, entries)}


def seq_of(desk: Desk, kind: type[e.Event]) -> int:
    return max(seq for seq, (event, _) in enumerate(desk.journal, start=1) if isinstance(event, kind))


def acknowledge(desk: Desk) -> None:
    for alert in desk.state.alerts:
        assert desk.ask(Verb.ACK_ALERT, alert.id, "alice").code == ""


def test_a_quiet_deployment_has_nothing_open() -> None:
    desk = Desk().arm()
    assert matters(desk) == {}


def test_a_working_and_an_unknown_order_are_open() -> None:
    desk = Desk().arm()
    working = desk.placed(desk.order("0.00003"))
    first = seq_of(desk, e.OrderAdmitted)
    unknown = desk.placed(desk.order("0.00003"), Unknown("no answer"))
    found = matters(desk)
    assert found[f"order {working} is {desk.state.open[working].status.value}"] == first
    assert found[f"order {unknown} is UNKNOWN"] == seq_of(desk, e.OrderAdmitted)


def test_a_settled_order_is_closed() -> None:
    desk = Desk().arm()
    desk.trade(1)
    assert desk.events(e.OrderAdmitted)
    assert matters(desk) == {}


def test_an_alert_is_open_until_it_is_acknowledged() -> None:
    desk = Desk().arm()
    desk.give(i.AlertNoticed(AlertKind.VENUE_LOCKOUT, "locked out", "HTTP 429"))
    raised = seq_of(desk, e.AlertRaised)
    assert list(matters(desk).values()) == [raised]
    acknowledge(desk)
    assert matters(desk) == {}


def test_the_present_halt_is_open_and_an_earlier_one_is_not() -> None:
    desk = Desk().arm()
    desk.move(Verb.HALT, Stage.HALTED, signers=("carol",))
    acknowledge(desk)
    assert matters(desk) == {"the deployment is HALTED since then": seq_of(desk, e.StageChanged)}
    desk.move(Verb.RESET, Stage.MOCK, signers=("alice",))
    acknowledge(desk)
    assert matters(desk) == {}


def test_a_command_that_waits_is_open() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).arm()
    assert desk.state.roster is not None
    after = desk.state.roster.model_copy(update={"version": 2}).canonical_bytes.decode()
    desk.ask(Verb.SET_ROSTER, after, "alice")
    assert desk.state.pending is not None
    waits = f"command {desk.state.pending.command_id} waits for its cooling-off period"
    assert matters(desk) == {waits: seq_of(desk, e.CommandPending)}
