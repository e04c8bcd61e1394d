"""Makes envelopes: propose a command, sign it with a key file, attach a signature made by another program. The CLI calls it."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.command import SSH_NAMESPACE, Command
from controller.authority.envelope import Envelope
from controller.authority.keys import public_key
from controller.authority.sshsig import parse_armour, sign_ed25519, verify_sshsig
from controller.authority.verify import read_command
from policies import canonical


def propose(command: Command) -> Envelope:
    """Return the unsigned envelope of a command. Raises ``Unauthorised`` for a reason with invisible or unusual characters."""
    payload = canonical.encode(command.model_dump(mode="json"))
    read_command(payload)
    return Envelope(payload)


def sign_with_file_key(envelope: Envelope, private_key: Ed25519PrivateKey) -> Envelope:
    """Add the raw signature of a key that the roster lists as ``ed25519``."""
    return envelope.add_signature(public_key(private_key).fingerprint, private_key.sign(envelope.pae))


def sign_with_ssh_key(envelope: Envelope, private_key: Ed25519PrivateKey) -> Envelope:
    """Add the OpenSSH signature of a key that the roster lists as ``ssh-ed25519``."""
    return attach_ssh_signature(envelope, sign_ed25519(private_key, SSH_NAMESPACE, envelope.pae))


def attach_ssh_signature(envelope: Envelope, armour: str) -> Envelope:
    """Add a signature that ``ssh-keygen -Y sign -n gatehouse-command@v1`` made over ``envelope.pae``, after checking it.

    Raises:
        Unauthorised: the signature is not valid, or its key has already signed.
    """
    signature = parse_armour(armour)
    verify_sshsig(signature, key=signature.key, namespace=SSH_NAMESPACE, message=envelope.pae)
    return envelope.add_signature(signature.key.fingerprint, armour.encode())
