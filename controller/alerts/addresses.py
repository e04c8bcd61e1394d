"""Where a webhook may lead: the name is resolved once, the answer is judged, and the connection goes to that address alone.

A name that resolves to an address inside the network could make the controller ask its own neighbours. So private, link-local,
loopback and reserved addresses are refused unless the settings name them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from controller.alerts.notice import ChannelError

Address = IPv4Address | IPv6Address
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""What a NAT64 gateway sends on to the IPv4 address in the last 32 bits (RFC 6052)."""

_NOT_OUTSIDE = tuple(map(IPv6Network, ("::/96", "fec0::/10", "64:ff9b:1::/48")))
"""IPv6 networks that Python counts as global and that lead nowhere outside: written like IPv4, site-local, an own translator."""

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the resolver's order. Raises ``OSError``."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def pinned_address(host: str, port: int, named: Sequence[str], resolve_name: Resolve = resolve) -> str:
    """The one address to connect to.

    Raises:
        ChannelError: the name does not resolve, or one of its addresses is private and not named in the settings.
    """
    try:
        answers = resolve_name(host, port)
    except OSError as error:
        raise ChannelError(
            f"its name does not resolve: {error.strerror or type(error).__name__}",
            code="channel-unreachable",
            remedy="Correct the address in the channel's file, or the name service of this host.",
        ) from None
    networks = [ip_network(one, strict=False) for one in named]
    for answer in answers:
        if not _allowed(ip_address(answer.partition("%")[0]), networks):
            raise ChannelError(
                "it leads to a private, loopback or reserved address that the settings do not name",
                code="channel-private",
                remedy="If the receiver is inside your network, add its address to `private` of this channel in gatehouse.toml.",
            )
    if not answers:
        raise ChannelError("its name has no address", code="channel-unreachable", remedy="Correct the channel's address.")
    return answers[0]


def _allowed(address: Address, named: Sequence[IPv4Network | IPv6Network]) -> bool:
    plain = _inside(address) or address
    if any(one.version == version.version and version in one for one in named for version in (plain, address)):
        return True
    inside = any(plain.version == 6 and plain in one for one in _NOT_OUTSIDE)
    return plain.is_global and not plain.is_multicast and not inside


def _inside(address: Address) -> IPv4Address | None:
    """The IPv4 address that a translator or a tunnel makes of an IPv6 address: ``None`` for any other address."""
    if not isinstance(address, IPv6Address):
        return None
    if address in _TRANSLATED:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
