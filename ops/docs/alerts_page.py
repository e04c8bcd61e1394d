"""The page of alerts, from the catalogue in ``controller/core/alert_catalogue.py``. ``generate.py`` writes it."""

from __future__ import annotations

from controller.core.alert_catalogue import ALERTS, ESCALATE_AFTER_MS, Severity

_HEAD = """# Alerts

Generated from `controller/core/alert_catalogue.py` by `make docs`. Why it is so: [ADR 68](adr/0068-be-told.md).

An alert is raised when a condition begins and cleared when something proves that it is over. A warning and a critical alert
stay in `gatehouse status` and `gatehouse alerts list` until a person acknowledges them: `gatehouse ack-alert ID --key KEY
--reason WHY`, one signature by any key. The acknowledgement changes nothing else and lifts no halt. All of it is in the
journal, so a restart forgets nothing.

| severity | acknowledged | quiet hours | nobody acknowledges it |
|---|---|---|---|
| info | not needed | waits until they end | nothing |
| warning | needed | delivered | nothing |
| critical | needed | delivered | {critical} |

## Channels

Every alert is a line of the log on standard error, with `severity` in its fields; below systemd each line begins with its
priority. Warnings and critical alerts go to Sentry where `SENTRY_DSN` is set. Further channels are in `gatehouse.toml`:

```toml
[alerts]
quiet_from = 22:00:00            # info waits from here
quiet_to = 07:00:00              # to here; equal times: never
quiet_zone = "Europe/Berlin"     # default UTC

[[alerts.channels]]
name = "mail"
to = "apprise"
url_file = "secrets/mail.url"    # one Apprise URL, for example mailtos://…, tgram://…, ntfys://…
severity = "info"                # the least severe alert it gets; default info

[[alerts.channels]]
name = "pager"
to = "webhook"
url_file = "secrets/pager.url"
secret_file = "secrets/pager.secret"
private = ["10.1.2.3"]           # addresses and networks inside your network that it may lead to; default none
severity = "critical"
step = 1                         # 0: at once; 1 to 3: only what nobody acknowledged by that deadline; default 0
```

An address is a secret: it is a file of its own with mode 0600, or a systemd credential, and is in no log, entry, event or
status. One channel at least has `step = 0`.

- **apprise** sends through [Apprise](https://github.com/caronc/apprise): mail, chat and push services, one URL each. It
  follows no redirect. What it logs is read for a reason and dropped.
- **webhook** posts JSON, signed as in [Standard Webhooks](https://www.standardwebhooks.com): `webhook-signature` is `v1,` and
  the base64 of the HMAC-SHA256 of `webhook-id.webhook-timestamp.body` under the bytes of the secret;
  of one that begins with `whsec_`, under what its base64 stands for. `webhook-id` is the same for every attempt, so a receiver
  can tell a repetition; the timestamp is when the attempt was made. It follows no redirect,
  resolves the name once for an attempt and connects to that address alone. Private, loopback, link-local and reserved
  addresses are refused unless `private` names them; plain http is allowed to those only.

`gatehouse alerts test` sends a labelled test through each channel and says for each whether it was handed over, and why not.
It exits with 6 if one was not. "Handed over" means that the service took the message; nobody can know whether a person read
it.

Each channel has a queue of 128 alerts and a thread of its own, apart from the writer: a channel that hangs delays no halt and
no other channel. An attempt that takes longer than 10 s counts as failed. It is tried again after 1, 5, 30, 120 and then
every 300 s, for a day; only a new critical alert is tried earlier. Two failures in a row are the alert `channel`, on the
other channels; where none of the channels at step 0 delivers, critical alerts go to the later steps at once. A full queue
drops the least severe alert, and the next message says how many were dropped. After a restart each channel gets again what
it had not taken over, so an alert may arrive twice. A halt that returns is a new one: it is handed over and escalated again.

## Every alert

"Ends" is what proves that the condition is over; where it is empty, the alert is about something that happened.
"""


def alerts() -> str:
    """The whole page."""
    minutes = ", ".join(str(ms // 60_000) for ms in ESCALATE_AFTER_MS)
    critical = (
        f"after {minutes} minutes it goes to the channels of the next step; after the first of them no step up to real money is "
        "possible (`alert-unacknowledged`)"
    )
    lines = [_HEAD.replace("{critical}", critical)]
    for severity in reversed(Severity):
        lines += [
            f"### {severity.value.capitalize()}",
            "",
            "| alert | meaning | what to do | ends when | page |",
            "|---|---|---|---|---|",
        ]
        found = sorted((kind.value, spec) for kind, spec in ALERTS.items() if spec.severity is severity)
        for name, spec in found:
            name_of_page = spec.page.removeprefix("runbooks/").removesuffix(".md")
            page = "this page" if spec.page == "alerts.md" else f"[{name_of_page}]({spec.page})"
            lines.append(f"| `{name}` | {spec.meaning} | {spec.action} | {spec.ends} | {page} |")
        lines.append("")
    return "\n".join(lines)
