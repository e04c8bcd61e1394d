"""A channel through Apprise: mail, chat and push services by one URL each. ``bootstrap`` and ``gatehouse alerts test`` make it.

Apprise logs hosts as warnings and whole URLs for debugging, follows redirects unless told otherwise, and says only yes or no. So
its loggers end here: their lines are read for a reason of a fixed set of words and go nowhere else, and its exceptions stop here.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from typing import TYPE_CHECKING, Any

from controller.alerts.notice import ChannelError, Notice
from controller.core.alert_catalogue import Severity
from exchange.errors import ConfigError

if TYPE_CHECKING:
    from apprise import Apprise, NotifyType

_STATUS = re.compile(r"error=(\d{3})\b")
_REASONS = (
    (re.compile(r"refused", re.IGNORECASE), "the connection was refused"),
    (re.compile(r"timed? ?out", re.IGNORECASE), "no answer in time"),
    (re.compile(r"certificate|ssl", re.IGNORECASE), "TLS failed"),
    (re.compile(r"resol|name or service|getaddrinfo", re.IGNORECASE), "its name does not resolve"),
    (re.compile(r"authenticat|unauthori[sz]ed", re.IGNORECASE), "the service refused the login"),
    (re.compile(r"reset|aborted|closed|disconnected", re.IGNORECASE), "the connection was cut"),
    (re.compile(r"unreachable|no route", re.IGNORECASE), "the network does not reach it"),
)
_UNKNOWN = "the service did not take it over, and Apprise says no reason"


class _Heard(logging.Handler):
    """Turns the lines of Apprise's logger into reasons, for each thread, and lets nothing else out."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._reasons: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        # Other lines repeat the message, whose words are no reason.
        if not record.thread or not (record.levelno >= logging.WARNING or line.startswith("Socket Exception")):
            return
        status = _STATUS.search(line)
        found = f"HTTP {status[1]}" if status else next((why for seen, why in _REASONS if seen.search(line)), "")
        if found:
            self._reasons.setdefault(record.thread, found)

    def take(self) -> str:
        """What was said on this thread since the last call."""
        return self._reasons.pop(threading.get_ident(), "")


_HEARD = _Heard()


def _silence() -> None:
    """Let no line of Apprise, and of what it sends with, reach a log."""
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [_HEARD], False
    logger.setLevel(logging.DEBUG)
    for name in ("requests", "urllib3", "requests_oauthlib", "oauthlib", "paho", "markdown", "MARKDOWN"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class AppriseChannel:
    """Implements ``Channel``.

    Raises:
        ConfigError: ``channel-url``, Apprise does not know the URL; ``channel-library``, Apprise itself fails.
    """

    def __init__(self, name: str, url: str) -> None:
        _silence()
        self._name = name
        self._url = url
        with warnings.catch_warnings():
            # The first URL loads every service that Apprise knows, and some load what Python will remove.
            warnings.simplefilter("ignore")
            try:
                self._server()
            except ConfigError:
                raise
            except Exception as error:  # noqa: BLE001 - it loads every service; what one of them raises may quote the URL
                raise ConfigError(
                    f"the alert channel {name} cannot be opened: Apprise fails with {type(error).__name__}",
                    code="channel-library",
                    remedy="Install gatehouse again from its requirements.lock, which names Apprise and what it needs.",
                ) from None

    @property
    def name(self) -> str:
        """See ``Channel``."""
        return self._name

    def send(self, notice: Notice) -> None:
        """See ``Channel``. A URL of several targets is taken over only if all of them took it over."""
        _HEARD.take()
        try:
            server = self._server()
            taken = server.notify(body=notice.text, title=notice.subject, notify_type=_type_of(notice), body_format=_plain())
        except Exception as error:  # noqa: BLE001 - what a library of a hundred services raises stops here
            raise _refused(f"Apprise failed with {type(error).__name__}") from None
        why = _HEARD.take()
        if not taken:
            raise _refused(why or _UNKNOWN)

    def _server(self) -> Apprise:
        from apprise import Apprise, AppriseAsset, PersistentStoreMode

        # Made for each message: it keeps its own waiting times, and a send that hangs must not share them with the next one.
        asset = AppriseAsset(
            secure_logging=True,
            # Without a time limit of its own it sends on this thread. Its own threads are few, shared by all channels, and waited
            # for at the end of the process; ``delivery`` has one for each attempt.
            service_timeout=0,
            storage_mode=PersistentStoreMode.MEMORY,
            app_id="gatehouse",
            app_desc="gatehouse",
            app_url="",
            async_mode=False,
            http_redirects=False,
            pgp_autogen=False,
            pem_autogen=False,
        )
        server = Apprise(asset=asset)
        try:
            known = server.add(self._url)
        except Exception:  # noqa: BLE001 - the same: a malformed URL is the file's fault, however a service says it
            known = False
        if not known:
            raise ConfigError(
                f"Apprise does not know the URL of the alert channel {self._name}",
                code="channel-url",
                remedy="Write one URL of the form that Apprise documents for the service into the file that url_file names.",
            )
        return server


def _type_of(notice: Notice) -> NotifyType:
    from apprise import NotifyType

    kinds = {Severity.INFO: NotifyType.INFO, Severity.WARNING: NotifyType.WARNING, Severity.CRITICAL: NotifyType.FAILURE}
    return kinds[notice.severity]


def _plain() -> Any:
    from apprise import NotifyFormat

    return NotifyFormat.TEXT


def _refused(why: str) -> ChannelError:
    return ChannelError(why, code="channel-refused", remedy="Correct the channel's URL, or the service behind it.")
