"""The state of the controller as one immutable value. Only ``controller.core.fold`` makes new ones; decisions and views read it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from enum import StrEnum

from immutables import Map

from controller.authority.roster import Roster
from controller.core.bookings import Booking
from controller.core.causes import Cause, HaltClass
from controller.core.compact_map import CompactMap
from controller.core.effects import AlertKind
from controller.core.inputs import Release
from controller.core.lifecycle import Halt, Position
from controller.core.movements import Movement
from controller.core.order_state import Orders, OrderState, bot_key
from controller.core.our_books import OurBooks
from exchange.model import DataSource, Millis
from exchange.ports import VenueName
from gates.bias import ShadowTally
from gates.computed import Statistic
from gates.measure import Tally
from gates.parity import OrderTestTally
from gates.series import Column
from policies import canonical
from policies.authority import Verb
from policies.drills import DrillKind
from policies.eur import NO_RATES, Rates
from policies.guards import GuardName, Level
from policies.schema import Policy
from policies.stage import LIVE_STAGES, Environment, Mode, Stage

ZERO = Decimal(0)


@dataclass(frozen=True)
class Ledger:
    """One venue account: its baseline balances plus every fill since, and what was measured on it.

    ``bought`` is what our own orders bought less what they sold and the fees charged in it, by asset. It is negative where they
    spent more than they brought, and ``cost`` is what they paid for what is left of it. ``settled`` is the part of ``bought`` of
    the quote asset that no longer counts since the bot was last given a budget (``fold.budget``).

    ``reconciled_at`` is when a reconciliation last found no difference. ``equity_eur`` is the equity of the last sample, ``None``
    if it was not known; ``valued_eur`` at ``valued_at`` is the last known equity. ``clock_judged_at`` is when a sample last told
    for certain on which side of the guard's limit the clock offset is. ``ids`` maps the venue's id of every order of ours to our
    own id, and ``strangers`` holds the trades of orders that are not ours. ``one_numbering``: the venue's trade lists and its
    stream were seen to use the same ids. ``read_at`` is when the account was last read and compared, and
    ``read_since`` since when without a break longer than ``guards.reconciliation.max_age_ms``. ``recent`` are the latest trades,
    and ``gaps`` and ``pending`` are those of the last ``Reconciled``. ``baselined_at`` is when the
    present baseline was taken, ``agreed_at`` when a reading last agreed with it, also by an earlier process. ``moved`` holds the
    deposits and withdrawals that were booked, with the venue's times. ``books`` is what the testnet has to sign of our orders, and
    ``statement_at`` when we asked for the last statement that agreed with it; both are empty elsewhere.
    """

    totals: Map[str, Decimal] | None = None
    bought: Map[str, Decimal] = field(default_factory=Map)
    cost: Map[str, Decimal] = field(default_factory=Map)
    settled: Decimal = ZERO
    trades: CompactMap = CompactMap()
    fills_booked: int = 0
    cursor: Millis = Millis(0)
    reconciled_at: Millis | None = None
    clean: bool = False
    breaks: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()
    source: DataSource | None = None
    equity_eur: Decimal | None = None
    exposure_eur: Decimal | None = None
    sampled_at: Millis | None = None
    valued_eur: Decimal | None = None
    valued_at: Millis | None = None
    day: int = -1
    day_start_eur: Decimal | None = None
    peak_eur: Decimal | None = None
    clock_judged_at: Millis | None = None
    ids: CompactMap = CompactMap()
    strangers: Map[str, tuple[Booking, ...]] = field(default_factory=Map)
    one_numbering: bool = False
    read_at: Millis | None = None
    read_since: Millis = Millis(0)
    recent: tuple[Movement, ...] = ()
    gaps: tuple[Map[str, Decimal], ...] = ()
    pending: tuple[str, ...] = ()
    baselined_at: Millis = Millis(0)
    agreed_at: Millis = Millis(0)
    moved: Map[str, Millis] = field(default_factory=Map)
    books: OurBooks = OurBooks()
    statement_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class Seal:
    """An evidence bundle that was shown to an operator. One command may name it until it expires."""

    gate: str
    evidence: str
    expires_at: Millis


@dataclass(frozen=True, slots=True)
class Pending:
    """A command that waits until its cooling-off period ends."""

    command_id: str
    verb: Verb
    target: Position
    payload_digest: str
    persons: tuple[str, ...]
    envelope: str
    reason: str
    since: Millis
    applies_at: Millis


@dataclass(frozen=True, slots=True)
class Proposal:
    """A file that was found changed at a start and is not in force. ``changes`` is what would change, one line for each field."""

    digest: str
    changes: tuple[str, ...]
    at: Millis


@dataclass(frozen=True, slots=True)
class SignedAuthority:
    """The envelopes that prove the present authority to the signer process: the last move up, and every change of the roster.

    ``before`` and ``after``: the roster commands accepted before and after that move, oldest first.
    """

    before: tuple[str, ...] = ()
    move: str = ""
    after: tuple[str, ...] = ()

    @property
    def envelopes(self) -> tuple[str, ...]:
        """All of them, in the order in which they were accepted."""
        return (*self.before, *((self.move,) if self.move else ()), *self.after)


@dataclass(frozen=True, slots=True)
class HaltFigures:
    """The measured durations of a halt or a drill, in microseconds; -1 where a step was not reached."""

    cause: str
    breach_to_latch_us: int
    latch_to_cancelled_us: int
    cancelled: int
    verified_empty: bool


@dataclass(frozen=True, slots=True)
class BotKeyState:
    """A bot's gateway key and the digest of its secret. A revoked key is kept for ever, so that it is never accepted again."""

    bot: str
    key: str
    secret_digest: str
    since: Millis
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that is not acknowledged, or whose condition goes on although it is.

    ``id`` names the entry that caused it; it occurred ``times`` times, last at ``last_at``. ``cleared_at``: when its condition was
    proven to be over. ``escalated`` counts the deadlines that passed, ``reached`` the channels that took it over.
    """

    id: str
    kind: AlertKind
    title: str
    detail: str
    at: Millis
    times: int
    last_at: Millis
    cleared_at: Millis | None = None
    escalated: int = 0
    reached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClosedSymbol:
    """A symbol that cannot be traded at its venue while ``orders`` are open in it or the account holds ``held`` of it.

    One of the policy that the venue does not list counts without any of both.
    """

    venue: VenueName
    symbol: str
    why: str
    orders: int
    held: Decimal
    since: Millis

    @property
    def line(self) -> str:
        """What a person reads about it."""
        orders = f"{self.orders} open order{'' if self.orders == 1 else 's'}"
        stake = f"{orders} and a holding of {self.held.normalize():f} when it closed"
        return f"{self.symbol} cannot be traded on {self.venue}, because {self.why}; there were {stake}"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An alert that a person acknowledged."""

    id: str
    title: str
    persons: tuple[str, ...]
    at: Millis


@dataclass(frozen=True, slots=True)
class Drill:
    """A drill that is running. ``denied``: how many orders were denied meanwhile.

    ``latched``: no order is admitted until it ends. ``seen_at`` is when the journal first showed what is practised: the guard that
    was to be breached, the order without an outcome, the watchdog's log that fired, the start after the crash. ``order`` is that
    order. ``measured`` are figures known before the end.
    """

    command_id: str
    venue: VenueName
    stage: Stage
    since: Millis
    deadline: Millis
    denied: int = 0
    kind: DrillKind = DrillKind.HALT
    latched: bool = True
    seen_at: Millis | None = None
    order: str = ""
    measured: Map[str, int] = field(default_factory=Map)


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """The last drill of one kind.

    If it passed, ``ended_by`` is empty and ``measured`` has its figures, and ``figures`` those of a drill that latched; otherwise
    ``ended_by`` says what ended it. ``exercised``: the fault was practised. ``source`` is the market data it ran on.
    """

    drill: Drill
    at: Millis
    ended_by: str
    figures: HaltFigures | None
    measured: Map[str, int] = field(default_factory=Map)
    exercised: bool = True
    source: DataSource | None = None
    accelerated: bool = False

    @property
    def green(self) -> bool:
        """Whether it passed at a venue outside this process."""
        return not self.ended_by and self.drill.venue is not VenueName.MOCK


@dataclass(frozen=True, slots=True)
class Slice:
    """The last sale of a flatten in one symbol. ``widening``: which step of ``flatten.widen_bps`` it used."""

    client_id: str
    widening: int
    at: Millis


@dataclass(frozen=True, slots=True)
class Flatten:
    """A flatten that is running. ``command_id`` and its ``subject`` are empty when ``guard`` started it.

    ``clear``: the venue has shown no open order since the start. ``last`` is the client id of the newest sale, ``slices`` has the
    newest of each symbol. ``sold`` is what was sold so far, by symbol. ``waits`` says why no order is sent since ``waits_since``,
    and ``waits_rule`` names it; all are empty while it makes progress.
    """

    command_id: str
    subject: str
    guard: str
    venue: VenueName
    symbols: tuple[str, ...]
    reason: str
    since: Millis
    clear: bool = False
    last: str = ""
    slices: Map[str, Slice] = field(default_factory=Map)
    sold: Map[str, Decimal] = field(default_factory=Map)
    waits: str = ""
    waits_rule: str = ""
    waits_since: Millis | None = None


@dataclass(frozen=True, slots=True)
class FlattenRecord:
    """The last flatten: what it left and why. ``complete``: nothing that can be sold is left."""

    flatten: Flatten
    at: Millis
    complete: bool
    left: Map[str, Decimal]
    why: str


@dataclass(frozen=True, slots=True)
class LostRun:
    """A run that was begun anew before it led up: where it was, what it had covered and sent, and why it no longer counts."""

    at: Millis
    position: Position
    covered_ms: int
    orders: int
    why: str


@dataclass(frozen=True, slots=True)
class BreachWindow:
    """The time after a soft breach in which further soft breaches count as the same one, and cost one demotion together.

    ``calm_since``: since when no guard is at CANCEL_ALL. ``demotion_pending``: the demotion has not happened yet, because the live
    account is not empty.
    """

    since: Millis
    reason: str
    calm_since: Millis | None = None
    demotion_pending: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """The newest statistics of a run, or why there are none. They count for the run that began at ``run_started_at`` only."""

    run_started_at: Millis
    as_of: Millis
    figures: tuple[Statistic, ...]
    error: str


@dataclass(frozen=True)
class State:
    """The whole state. It is never assigned to, only folded. Like its parts it has no slots (see ``policies.values``).

    ``genesis`` is a hash of what the first entry says and when. ``witnesses`` are the checkpoint targets outside the folder of the
    deployment, as the last start found them. ``validation_void`` says why only a reset leads out of the present halt.
    ``guard_since`` is since when ``guard`` is at its level. ``reducing`` holds the guards whose loss leaves only sells until it is
    small enough again, ``unseen`` those that do not see what they judge by. ``uncovered`` says why the last sample does not count.
    ``demoted_at`` holds the times of recent demotions after a soft breach. ``rosters`` maps the digest of every roster that was
    ever in force to its version. ``policy_file`` and ``release_file`` are what was last adopted from disk:
    an unchanged file does not replace what a signed command has put in force since. ``proposals`` holds, by document, the files
    that were found changed and are not in force; ``policy_approved`` is the digest of a signed policy that the next start adopts.
    ``bot_keys`` holds every key ever issued; ``bot_keys_since`` is when the first was journalled. ``alerts`` holds the alerts that
    are not acknowledged, oldest first, at most ``MOST_ALERTS`` of ``controller.core.fold.alerts``; ``alerts_lost`` counts those
    dropped. ``standing`` holds the acknowledged alerts whose condition goes on. ``drills`` holds the last drill of each kind since
    what it proves last changed. ``watchdog_seq`` and ``watchdog_head``
    name the last absorbed entry of the watchdog's log. ``closed_symbols`` holds the symbols in which something is at stake and
    that are closed at their venue. ``watched_since`` is since when ``watched`` is the venue it is. ``rates`` is what is
    known of the EUR rate besides the policy. ``shadow`` are the real orders of this stage with their simulation, ``order_tests``
    the answers of the real venue during this validation. ``revoked`` says why the validation does not hold any more.
    ``variants`` holds the digests of the releases that began a validation, with when.
    ``lost_run`` is the last run that was begun anew, until the next step up.
    """

    seq: int = 0
    at: Millis = Millis(0)
    genesis: str = "0" * 64
    controller_id: str = ""
    environment: Environment = Environment.REHEARSAL
    gatehouse_version: str = ""
    epoch: int = 0
    witnesses: tuple[str, ...] = ()
    policy: Policy | None = None
    policy_digest: str = ""
    roster: Roster | None = None
    roster_digest: str = ""
    rosters: Map[str, int] = field(default_factory=Map)
    release: Release | None = None
    policy_approved: str = ""
    policy_file: str = ""
    release_file: Release | None = None
    proposals: Map[str, Proposal] = field(default_factory=Map)
    accounts: Map[VenueName, str] = field(default_factory=Map)
    armed: bool = False
    not_armed_because: str = "the journal is not read yet"
    position: Position = Position(Stage.MOCK)
    halted_from: Position | None = None
    halt_cause: Cause | None = None
    halt_reason: str = ""
    validation_void: str = ""
    validation_void_since: Millis | None = None
    halt_figures: HaltFigures | None = None
    governance_seq: int = 0
    commands: Map[str, str] = field(default_factory=Map)
    pending: Pending | None = None
    authority: SignedAuthority = SignedAuthority()
    seals: Map[str, Seal] = field(default_factory=Map)
    guard_level: str = ""
    guard_reason: str = ""
    guard: GuardName | None = None
    guard_since: Millis | None = None
    reducing: tuple[GuardName, ...] = ()
    unseen: tuple[GuardName, ...] = ()
    uncovered: str = ""
    breach_window: BreachWindow | None = None
    demoted_at: tuple[Millis, ...] = ()
    stage_since: Millis = Millis(0)
    watched_since: Millis = Millis(0)
    started_at: Millis = Millis(0)
    tally: Tally | None = None
    ledgers: Map[VenueName, Ledger] = field(default_factory=lambda: Map({name: Ledger() for name in VenueName}))
    open: Map[str, OrderState] = field(default_factory=Map)
    settled: CompactMap = CompactMap()
    by_bot_id: CompactMap = CompactMap()
    order_number: int = 0
    admissions: tuple[Millis, ...] = ()
    outcomes: tuple[tuple[Millis, bool], ...] = ()
    bot_keys: Map[str, BotKeyState] = field(default_factory=Map)
    bot_keys_since: Millis | None = None
    alerts: tuple[OpenAlert, ...] = ()
    alerts_lost: int = 0
    acknowledged: tuple[Acknowledged, ...] = ()
    standing: tuple[OpenAlert, ...] = ()
    drill: Drill | None = None
    last_drill: DrillRecord | None = None
    drills: Map[DrillKind, DrillRecord] = field(default_factory=Map)
    flatten: Flatten | None = None
    last_flatten: FlattenRecord | None = None
    watchdog_seq: int = 0
    watchdog_head: str = ""
    closed_symbols: Map[str, ClosedSymbol] = field(default_factory=Map)
    rates: Rates = NO_RATES
    shadow: ShadowTally = ShadowTally()
    order_tests: OrderTestTally = OrderTestTally()
    revoked: str = ""
    measured: Measured | None = None
    variants: Map[str, Millis] = field(default_factory=Map)
    lost_run: LostRun | None = None

    @property
    def order_prefix(self) -> str:
        """What every new client id begins with: a hash of the journal's first entry, so no other journal uses one of them."""
        return f"gh-{self.genesis[:16]}-"

    def client_id(self, number: int) -> str:
        """Our id of the order with this number: 30 characters of ``[a-z0-9-]``, deterministic, never used twice."""
        return f"{self.order_prefix}{number:010d}"

    def known_as(self, order: OrderState) -> int | str:
        """How ``by_bot_id`` and ``Ledger.ids`` name an order: by its number, or by its id where an earlier version formed it."""
        return order.number if order.client_id == self.client_id(order.number) else order.client_id

    @property
    def mode(self) -> Mode:
        """Whether one person or a team decides: the roster says so, and where it does not, the policy in force."""
        by_policy = self.policy.mode if self.policy is not None else Mode.TEAM
        return by_policy if self.roster is None else self.roster.mode_under(by_policy)

    @property
    def venue(self) -> VenueName | None:
        """Where new orders go at this stage (architecture.md §3)."""
        return venue_of(self.position.stage)

    @property
    def may_send_orders(self) -> bool:
        """Armed, and not HALTED. At HALTED ``armed`` says only that the books agree, which is a condition of the way out."""
        return self.armed and self.position.stage is not Stage.HALTED

    @property
    def watched(self) -> VenueName | None:
        """The venue whose account is sampled and guarded: the one in use or, while HALTED, the one in use before the halt."""
        return self.venue or (venue_of(self.halted_from.stage) if self.halted_from else None)

    @property
    def halt(self) -> Halt:
        """The facts about the present halt that decide where a resume may lead."""
        return Halt(self.halted_from, self.halt_cause, self.validation_void)

    @property
    def halt_class(self) -> HaltClass | None:
        """The kind of the present halt."""
        return self.halt.kind

    @property
    def pending_demotion(self) -> BreachWindow | None:
        """The breach window whose demotion has not happened yet."""
        window = self.breach_window
        return window if window is not None and window.demotion_pending else None

    @property
    def restriction(self) -> Level | None:
        """The most severe restriction on new orders: the guard level in force, and sells only while a demotion is pending."""
        guards = Level[self.guard_level] if self.guard_level else None
        demotion = Level.REDUCE if self.pending_demotion is not None else None
        return max((level for level in (guards, demotion) if level is not None), default=None)

    @property
    def orders(self) -> Orders:
        """Every order ever admitted, by client id."""
        return Orders(self.open, self.settled)

    def first_of(self, bot: str, bot_client_id: str) -> str | None:
        """The client id of the first order that a bot sent under this id of its own."""
        return self._client_id_of(self.by_bot_id.get(bot_key(bot, bot_client_id)))

    def owner_of(self, venue: VenueName, order_id: str) -> str | None:
        """The client id of the order that a venue's id names."""
        return self._client_id_of(self.ledgers[venue].ids.get(order_id))

    def _client_id_of(self, known_as: int | str | None) -> str | None:
        return self.client_id(known_as) if isinstance(known_as, int) else known_as

    def ledger(self, venue: VenueName) -> Ledger:
        """One venue's account."""
        return self.ledgers[venue]

    def open_on(self, venue: VenueName) -> list[OrderState]:
        """Unsettled orders of one venue, oldest first."""
        return sorted((order for order in self.open.values() if order.venue is venue), key=lambda order: order.number)

    def fingerprint(self, *, hash_maps: bool = True) -> str:
        """A digest of everything a replay must reproduce. It compares a running state with the fold of its journal.

        Without ``hash_maps`` only the size of each compact map counts, not its content.
        """
        hashed = [item.name for item in fields(self) if item.name not in {"policy", "roster"}]
        values = {name: _plain(getattr(self, name), hash_maps=hash_maps) for name in hashed}
        return canonical.digest(canonical.encode(values))


def venue_of(stage: Stage) -> VenueName | None:
    """The venue that receives the new orders of a stage; none when HALTED."""
    if stage is Stage.HALTED:
        return None
    if stage in LIVE_STAGES:
        return VenueName.LIVE
    return VenueName.MOCK if stage is Stage.MOCK else VenueName.TESTNET


def market_of(venue: VenueName) -> VenueName:
    """The venue whose public data values an account: the mock executor trades on the live venue's market."""
    return VenueName.LIVE if venue is VenueName.MOCK else venue


def _plain(value: object, *, hash_maps: bool) -> object:
    if isinstance(value, CompactMap | Column):
        return [len(value), value.digest() if hash_maps else ""]
    if isinstance(value, Map):
        pairs = sorted(value.items(), key=lambda pair: str(pair[0]))
        return [[_plain(key, hash_maps=hash_maps), _plain(item, hash_maps=hash_maps)] for key, item in pairs]
    if is_dataclass(value) and not isinstance(value, type):
        return [_plain(getattr(value, item.name), hash_maps=hash_maps) for item in fields(value)]
    if isinstance(value, tuple | list):
        return [_plain(item, hash_maps=hash_maps) for item in value]
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.value if isinstance(value, StrEnum) else value
