# gatehouse: `make run` shows it, `make test` tests it, `make proofs` searches it to the end, `make check` lints it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ARGS   ?=
TESTS  ?= tests
# Most of the slow tests wait for real processes, so a few more workers than cores pay off.
WORKERS ?= 4

.PHONY: deb wheel image first-hour run test proofs soak ordinary dress bots campaign fuzz mutate lint types imports check fix docs model proto bench power bare lock audit release tools clean help

help:
	@echo "make run    set everything up and run the demo (ARGS=--exit ends it by itself)"
	@echo "make test   set everything up and test every behaviour: before every commit"
	@echo "make proofs run the long forms of the tests: whole searches, every crash, long runs"
	@echo "make soak   run what needs the whole machine for minutes: overload, long runs of real processes (MINUTES=30: one busy deployment, with curves)"
	@echo "make ordinary play a week's events on a production deployment against a stand-in for MEXC (as root; ORDINARY_SECONDS for a long run)"
	@echo "make dress  rehearse production by the commands that operators type, on an installed gatehouse (as root; ARGS='--mode solo')"
	@echo "make bots   install bots that others wrote and govern them up to LIVE_€10 (ARGS='--only freqtrade'; needs the package index)"
	@echo "make campaign play 100,000 generated sequences against the venue's own books, then rehearse seeds with faults (CAMPAIGN_SEED, _SEQUENCES, _MINUTES)"
	@echo "make fuzz   give the parsers of what MEXC sends random bytes for a minute, guided by coverage (ARGS='--seconds 600')"
	@echo "make mutate change the code that guards money, and see whether the tests notice (ARGS=FILE for one file)"
	@echo "make check  lint, types and import rules"
	@echo "make fix    format and apply safe lint fixes"
	@echo "make docs   regenerate the diagrams and tables in ops/docs, and the model's edges"
	@echo "make model  search the model of two controllers to its last state (ops/model)"
	@echo "make bench  measure it, as ratios taken in one run, and say what moved (ARGS='--only depth replay'; ARGS=--keep keeps the run)"
	@echo "make power  let bots of known worth through the gate \`validation\`, and count whom it promotes (ARGS='--runs 40 --table-runs 0')"
	@echo "make deb    build the Debian package into dist (ARGS='--debian 12 --debian 13' for both)"
	@echo "make wheel  build the wheel into dist (ARGS=--house for all that it needs, to install without a network)"
	@echo "make image  build an OCI image into dist: no shell, not root (as root, because it unpacks Debian's packages)"
	@echo "make first-hour run ops/docs/first-hour.md in a fresh Debian that is booted (as root; some minutes)"
	@echo "make bare   run it and test it on an empty Debian 12 (as root)"
	@echo "make proto  regenerate the protobuf code from the .proto files"
	@echo "make lock   refresh requirements.lock, without anything younger than a week"
	@echo "make release build wheel and sdist twice to equal bytes, with SBOM, changelog and signed sums (ARGS='--key FILE'; else a test key)"
	@echo "make audit  look for known faults: vulnerabilities, licences, young releases, secrets in the history (ADVISORIES=DIR, ARGS='--only secrets')"
	@echo "make clean  remove what the other targets made"

# Compiled here, because a process that may not write would compile all of it at every start (ADR 59).
# pip installs into the new environment from outside, so Debian's python3 without python3-venv is enough.
$(READY): requirements.lock pyproject.toml
	@echo "Setting up $(VENV) (about a minute the first time)"
	@rm -rf $(VENV)
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "gatehouse needs Python 3.11 or newer"'
	@$(PYTHON) -m venv --without-pip $(VENV)
	@$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q controller exchange gates policies
	@touch $(READY)

run: $(READY)
	@$(BIN)/gatehouse demo $(ARGS)

# What tests drive and pip cannot bring: "command:packages". Without root nothing is installed, and those tests say why they skip.
TOOLS := chromium:chromium spin:spin gcc:gcc,libc6-dev softhsm2-util:softhsm2 ssh-keygen:openssh-client strace:strace git:git unshare:util-linux ip:iproute2 systemd-analyze:systemd

tools:
	@wanted=""; for tool in $(TOOLS); do command -v "$${tool%%:*}" >/dev/null 2>&1 || wanted="$$wanted,$${tool#*:}"; done; \
	wanted=$$(echo "$$wanted" | tr ',' ' '); [ -z "$$wanted" ] || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "Installing for the tests:$$wanted"; apt-get update -qq && apt-get install -y -qq --no-install-recommends $$wanted >/dev/null || \
  echo "They could not be installed; the tests that need them will be skipped"; \
	else echo "Missing, and no way to install it here; the tests that need it will be skipped:$$wanted"; fi

# Both end with what they cost in CPU-minutes. What is marked, and how, is in tests/support/proofs.py.
PYTEST = $(BIN)/python ops/spent.py "make $@" $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test: $(READY) tools
	@$(PYTEST) -m "not proofs and not soak" $(TESTS)

proofs: $(READY) tools
	@$(MAKE) --no-print-directory tools TOOLS="promtool:prometheus patroni:patroni,python3-etcd,postgresql etcd:etcd-server"
	@PYTHONASYNCIODEBUG=1 $(PYTEST) --timeout=1200 -m "(proofs or (counted and not short)) and not soak" $(TESTS)

# One after the other, because each loads the machine by itself.
# With MINUTES it is one long run in real time instead, as root, with curves in var/soak.
soak: $(READY) tools
	@$(BIN)/python ops/spent.py "make $@" $(if $(MINUTES),$(BIN)/python -m tests.support.ordinary.run --mode solo --minutes $(MINUTES) $(ARGS),$(BIN)/python -m pytest -n 0 --timeout=1800 -v -m soak $(TESTS))

ordinary: $(READY) tools
	@$(BIN)/python ops/spent.py "make $@" $(BIN)/python -m tests.support.ordinary.run $(ARGS)

dress: $(READY) tools
	@$(BIN)/python ops/spent.py "make $@" $(BIN)/python -m tests.support.dress.run $(ARGS)

bots: $(READY) tools
	@$(BIN)/python ops/spent.py "make $@" $(BIN)/python -m tests.support.bots.run $(ARGS)

campaign: $(READY)
	@$(BIN)/python ops/spent.py "make $@" $(BIN)/python -m tests.support.campaign.run
	@$(BIN)/python ops/spent.py "make $@, rehearsals" $(BIN)/python -m tests.support.campaign.rehearsals

fuzz: $(READY)
	@$(BIN)/python -m ops.fuzz $(ARGS)

mutate: $(READY)
	@$(BIN)/python ops/spent.py "make $@" $(BIN)/python -m ops.mutation $(ARGS)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy

imports: $(READY)
	@$(BIN)/lint-imports

check: lint types imports

fix: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(READY)
	@$(BIN)/python ops/docs/generate.py
	@$(BIN)/python -m ops.model.generate

model: $(READY) tools
	@$(BIN)/python -m ops.model.check

proto: $(READY)
	@$(BIN)/python ops/proto.py

bench: $(READY)
	@$(BIN)/python -m ops.bench $(ARGS)

power: $(READY)
	@$(BIN)/python ops/spent.py "make $@" $(BIN)/python -m ops.power $(ARGS)

deb: $(READY)
	@$(BIN)/python -m ops.deb $(ARGS)

wheel: $(READY)
	@$(BIN)/python -m ops.deb.wheel $(ARGS)

image: $(READY)
	@$(BIN)/python -m ops.image $(ARGS)

first-hour: $(READY)
	@$(BIN)/python ops/spent.py "make $@" $(BIN)/python -m tests.support.first_hour.run $(ARGS)

bare:
	@WORKERS=$(WORKERS) bash ops/bare.sh

# The audit's tools have an environment of their own, so that none of them is in the product's.
AUDIT := var/audit/venv
$(AUDIT)/.ready: ops/audit/requirements.lock
	@rm -rf $(AUDIT) && $(PYTHON) -m venv --without-pip $(AUDIT)
	@$(PYTHON) -m pip --python $(AUDIT)/bin/python install --quiet --disable-pip-version-check --require-hashes -r ops/audit/requirements.lock
	@touch $@

audit: $(READY) $(AUDIT)/.ready
	@$(BIN)/python -m ops.audit $(ARGS)

release: $(READY) $(AUDIT)/.ready
	@$(BIN)/python -m ops.release $(ARGS)

# Nothing younger than a week is taken into a lock (ops/audit/README.md).
COMPILE = $(AUDIT)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-header --quiet --exclude-newer "$$(date -u -d '7 days ago' +%Y-%m-%dT%H:%M:%SZ)"

lock: $(AUDIT)/.ready
	@$(COMPILE) pyproject.toml --all-extras -o requirements.lock
	@$(COMPILE) ops/audit/requirements.in -o ops/audit/requirements.lock
	@PYTHONPATH=. $(PYTHON) -m tests.support.bots.installing

clean:
	@rm -rf $(VENV) build dist mutants *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
