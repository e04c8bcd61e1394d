"""House rules, checked in the source. Every rule has a sample that breaks it, so that a checker that finds nothing fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.support import tidiness
from tests.support.tidiness import PRODUCT, ROOT, Source, sources, texts

LONG_FILES = frozenset({"controller/core/events.py"})
"""The vocabulary of the journal: one list of kinds is easier to read in one file."""
LONG_FUNCTIONS: dict[str, frozenset[str]] = {}
MONEY = (
    "controller/core/",
    "exchange/book.py",
    "exchange/model.py",
    "exchange/orders.py",
    "exchange/matching/",
    "gates/",
    "policies/",
)
STATISTICS = frozenset(
    f"gates/{name}.py" for name in ("declared", "drift", "equity", "latency", "resampling", "sharpe", "shortfall", "trading")
)
"""Ratios and bounds of a whole run, which libraries compute in floats. Gates judge them; they book no amount and limit none."""
NEUTRAL = ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", ".importlinter", ".ci", *PRODUCT, "ops", "tests")
PARTS = {"lint", "types", "imports", "tools"}
"""Targets that only exist as parts of ``make check`` and ``make test``."""

# Spelled in halves, so that this file is not its own finding.
UNFINISHED = r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b"
THIS_MACHINE = r"/wo" + r"rk/|\.\./sha" + r"red|/sha" + r"red/|/tmp/" + r"gh\b"
HOSTS = (r"py" + r"pi\.org", r"pythonhos" + r"ted", r"npm" + r"js\.(org|com)", r"gh" + r"cr\.io", r"docker\.i" + r"o")
REGISTRIES = "|".join((*HOSTS, r"--(extra-)?index-" + r"url[ =]http"))
LIBRARY = r"\bcc" + r"xt\b"
LONG_FORM = r"mark\.proofs"


def places(found: list[tuple[Source, list[str]]]) -> str:
    return "\n".join(f"{source.name}:{line}" for source, lines in found for line in lines)


def check(rule: Callable[[Source], list[str]], files: list[Source], remedy: str) -> None:
    assert files, "nothing was looked at"
    found = places([(source, rule(source)) for source in files])
    assert not found, f"{remedy}\n{found}"


def words(pattern: str) -> Callable[[Source], list[str]]:
    return lambda source: tidiness.words(source, pattern)


# Size


def test_every_product_file_is_short() -> None:
    files = [source for source in sources(*PRODUCT) if source.name not in LONG_FILES]
    check(tidiness.long_file, files, "Split the file by subject:")


def test_every_test_file_is_short() -> None:
    check(tidiness.long_file, sources("tests"), "Split the test file by behaviour:")


def test_every_product_function_is_short() -> None:
    def long(source: Source) -> list[str]:
        return tidiness.long_functions(source, LONG_FUNCTIONS.get(source.name, frozenset()))

    check(long, sources(*PRODUCT), "Split the function, or exempt it here and say why:")


def test_no_exemption_outlives_its_reason() -> None:
    known = {source.name: source for source in sources(*PRODUCT)}
    for name, functions in LONG_FUNCTIONS.items():
        found = " ".join(tidiness.long_functions(known[name]))
        assert all(f" {function} has" in found for function in functions), f"{name} is short by now: remove its exemption"


# Bans


def test_money_code_has_no_floats() -> None:
    money = [source for source in sources(*PRODUCT) if source.name.startswith(MONEY) and source.name not in STATISTICS]
    assert len(money) > 30
    check(tidiness.floats, money, "Money is Decimal; use decimal text:")


def test_every_money_file_named_here_exists() -> None:
    names = [source.name for source in sources(*PRODUCT)]
    assert all(any(name.startswith(prefix) for name in names) for prefix in MONEY)
    assert set(names) >= STATISTICS


def test_no_datetime_is_naive() -> None:
    check(tidiness.naive_datetimes, sources(*PRODUCT, "ops"), "Give the instant a time zone:")


def test_only_the_runtime_catches_everything() -> None:
    # The watchdog goes on cancelling whatever an adapter raises, as the runtime does. A rehearsed bot is somebody else's program.
    # A channel stands for a hundred services, and what its library raises stops there.
    channels = ("controller/alerts/apprise_channel.py", "controller/alerts/delivery.py")
    shells = (*channels, "controller/runtime/", "controller/watchdog/emptying.py", "controller/rehearsal/bots.py")
    files = [source for source in sources(*PRODUCT) if not source.name.startswith(shells)]
    check(tidiness.broad_excepts, files, "Catch the errors you can name:")


def test_no_code_assigns_a_state() -> None:
    check(tidiness.state_assignments, sources(*PRODUCT), "State is folded from the journal, never assigned:")


def test_the_product_does_not_know_the_clients_library() -> None:
    # `bot-config` prints the configuration of some clients; nothing else in the product knows one.
    files = [source for source in texts(*PRODUCT) if not source.name.startswith("controller/cli/bots/")]
    check(words(LIBRARY), files, "Any client must do; name none:")


def test_nothing_is_left_for_later() -> None:
    check(words(UNFINISHED), texts(*PRODUCT, "ops", "tests"), "Do it, or raise a typed error that says it is not covered:")


def test_nothing_points_into_the_machine_it_was_written_on() -> None:
    check(words(THIS_MACHINE), texts(*NEUTRAL), "Use a path relative to the deployment:")


def test_nothing_names_a_package_registry() -> None:
    check(words(REGISTRIES), texts(*NEUTRAL), "Configure package sources on the installing machine:")


# Documentation


def test_every_module_says_what_it_is_for() -> None:
    check(tidiness.undocumented_module, sources(*PRODUCT), "Begin the file with one sentence:")


def test_everything_public_has_a_docstring() -> None:
    check(tidiness.undocumented, sources(*PRODUCT), "Say what it is for, or make it private:")


def test_every_make_target_is_documented() -> None:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("there is no README yet")
    written = " ".join(source.text for source in texts("README.md", "ops/docs"))
    targets = tidiness.make_targets((ROOT / "Makefile").read_text()) - PARTS
    missing = sorted(target for target in targets if f"make {target}" not in written)
    assert not missing, f"README.md or ops/docs must mention: {', '.join('make ' + target for target in missing)}"


def test_the_help_of_make_is_complete() -> None:
    makefile = (ROOT / "Makefile").read_text()
    shown = {target for target in tidiness.make_targets(makefile) if f'"make {target} ' in makefile}
    assert tidiness.make_targets(makefile) - PARTS == shown


# Tests


def test_test_files_have_names_of_their_own() -> None:
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_test_has_only_a_long_form() -> None:
    tests = [source for source in sources("tests") if source.name not in {"tests/support/proofs.py", "tests/tidy/test_tidy.py"}]
    check(words(LONG_FORM), tests, "Say which part of it `make test` runs, with tests/support/proofs.py:")


def test_every_named_short_form_exists_and_is_run_by_make_test() -> None:
    check(tidiness.missing_short_forms, sources("tests"), "Name a test of the same file that has no long_form of its own:")


def test_tests_are_not_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


# The checkers themselves

BROKEN: list[tuple[Callable[[Source], list[str]], str]] = [
    (tidiness.long_file, "x = 1\n" * 401),
    (tidiness.long_functions, "def f():\n" + "    x = 1\n" * 70),
    (tidiness.long_functions, "async def f():\n" + "    x = 1\n" * 70),
    (tidiness.floats, "price = float('1')"),
    (tidiness.floats, "price = 0.1"),
    (tidiness.floats, "price: float = 1"),
    (tidiness.floats, "def f(price: Decimal | float) -> None: ..."),
    (tidiness.floats, "def f() -> tuple[float, ...]: ..."),
    (tidiness.naive_datetimes, "datetime.now()"),
    (tidiness.naive_datetimes, "datetime.datetime.utcnow()"),
    (tidiness.naive_datetimes, "datetime.fromtimestamp(1)"),
    (tidiness.naive_datetimes, "date.today()"),
    (tidiness.broad_excepts, "try:\n    f()\nexcept Exception:\n    raise"),
    (tidiness.broad_excepts, "try:\n    f()\nexcept:\n    pass"),
    (tidiness.broad_excepts, "try:\n    f()\nexcept (ValueError, Exception) as e:\n    pass"),
    (tidiness.broad_excepts, "try:\n    f()\nexcept BaseException:\n    pass"),
    (tidiness.state_assignments, "controller.core.state = 1"),
    (tidiness.state_assignments, "a, controller.core.state = 1, 2"),
    (tidiness.state_assignments, "controller.core.state: int = 1"),
    (tidiness.state_assignments, "setattr(controller, 'state', 1)"),
    (words(LIBRARY), "# as CC" + "XT does"),
    (words(UNFINISHED), "# to" + "do: later"),
    (words(LONG_FORM), "@pytest.mark.proofs"),
    (tidiness.missing_short_forms, '@long_form(short="test_b")\ndef test_a(): ...'),
    (tidiness.missing_short_forms, '@long_form(short="test_a")\ndef test_a(): ...'),
    (words(THIS_MACHINE), "open('/wo" + "rk/x')"),
    (words(REGISTRIES), "--index-" + "url https://mirror"),
    (tidiness.undocumented_module, "x = 1"),
    (tidiness.undocumented, "def public(): ..."),
    (tidiness.undocumented, "class Public:\n    '''Yes.'''\n    def method(self): ..."),
]
CLEAN: list[tuple[Callable[[Source], list[str]], str]] = [
    (tidiness.long_file, "x = 1\n" * 400),
    (tidiness.long_file, "x = 1\n" * 390 + "\n# said\n" * 20),
    (tidiness.long_file, "def f():\n    '''" + "said\n" * 20 + "    '''\n" + "    x = 1\n" * 390),
    (tidiness.long_functions, "def f():\n" + "    x = 1\n" * 69),
    (tidiness.floats, "json.loads(text, parse_float=Decimal)\nisinstance(value, float)\nprice: Decimal = Decimal('0.1')"),
    (tidiness.naive_datetimes, "datetime.now(UTC)\nclock.now()\ndatetime.fromtimestamp(1, tz=UTC)\ndatetime.fromtimestamp(1, UTC)"),
    (tidiness.broad_excepts, "try:\n    f()\nexcept BaseException:\n    close()\n    raise\nexcept ValueError:\n    pass"),
    (tidiness.state_assignments, "state = machine.state\napp.state.limits = 1\nclass M:\n    state: int = 1"),
    (tidiness.undocumented, "def _private(): ...\nclass _Private:\n    def method(self): ..."),
]


@pytest.mark.parametrize(("rule", "text"), BROKEN)
def test_a_rule_checker_finds_what_breaks_its_rule(rule: Callable[[Source], list[str]], text: str) -> None:
    assert rule(Source("sample.py", text))


@pytest.mark.parametrize(("rule", "text"), CLEAN)
def test_a_rule_checker_accepts_what_is_allowed(rule: Callable[[Source], list[str]], text: str) -> None:
    assert rule(Source("sample.py", text)) == []


def test_a_finding_names_its_place() -> None:
    with pytest.raises(AssertionError, match=r"a/b\.py:2: the literal 0\.5"):
        check(tidiness.floats, [Source("a/b.py", "x = 1\ny = 0.5")], "Money is Decimal:")


def test_make_targets_are_read_off_the_makefile() -> None:
    assert tidiness.make_targets(".PHONY: run test help\nrun: x\n") == {"run", "test"}
