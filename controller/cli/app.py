"""The whole ``gatehouse`` command: collects the verbs of every file. ``controller.__main__`` and the tests run it."""

from __future__ import annotations

from controller.cli.access import verbs as access_verbs
from controller.cli.alerts import verbs as alert_verbs
from controller.cli.backup import verbs as backup
from controller.cli.bots import verb as bots
from controller.cli.demo import verb as demo
from controller.cli.doctor import verb as doctor
from controller.cli.journal import verbs as journal
from controller.cli.rehearse import verb as rehearse
from controller.cli.root import root
from controller.cli.run import fleet, processes, signer, watchdog, witness
from controller.cli.schemas import verb as schemas
from controller.cli.setup import init
from controller.cli.show import explain, policy, release, report, status, verify
from controller.cli.sign import alerts, archive, bot_keys, drills, flatten, governance, keys, moves, rebaseline, signing
from controller.cli.tape import verbs as tape
from controller.cli.update import verb as update
from controller.cli.version import verb as version

app = root()

groups = (
    *(init, version, doctor, processes, signer, watchdog, witness, fleet, demo, status, explain, bots),
    *(signing, moves, governance, bot_keys, alerts, drills, flatten, rebaseline, archive, report, verify, rehearse, schemas),
)
for group in groups:
    group.register(app)
app.add_typer(alert_verbs.app, name="alerts")
app.add_typer(access_verbs.app, name="access")
app.add_typer(backup.app, name="backup")
app.add_typer(journal.app, name="journal")
app.add_typer(bot_keys.group, name="keys")
app.add_typer(keys.roster, name="roster")
app.add_typer(policy.app, name="policy")
app.add_typer(release.app, name="release")
app.add_typer(tape.app, name="tape")
app.add_typer(update.app, name="update")
