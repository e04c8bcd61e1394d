"""Whether the packaged systemd units run a deployment (ADR 70), and by which command it is started. Messages name that command."""

from __future__ import annotations

from pathlib import Path

from controller.settings.deployment import Settings

SOCKETS = Path("/run/gatehouse-signer")
"""Where each instance's signer listens; ``gatehouse init --systemd`` writes it into the settings."""


def instance(directory: Path, settings: Settings) -> str | None:
    """The NAME of gatehouse@NAME; ``None`` where no unit runs the deployment."""
    name = directory.resolve().name
    return name if settings.signer is not None and settings.signer.socket == str(SOCKETS / name / "signer.sock") else None


def start_command(directory: Path, settings: Settings) -> str:
    """What starts the controller of this deployment."""
    unit = instance(directory, settings)
    return f"gatehouse run --dir {directory}" if unit is None else f"systemctl start gatehouse@{unit}"
