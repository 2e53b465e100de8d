"""Which addresses a webhook may lead to: public ones only, or a stranger's URL reaches our inside."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

# Addresses that carry another one inside, and lead there by a translator: whatever it is.
_TRANSLATED: Final = (
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("2002::/16"),
    IPv6Network("2001::/32"),
)
_URL: Final = re.compile(
    r"https?://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?"
    r"([/?][A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]*)?"
)
_HIGHEST_PORT: Final = 65535


def is_public(text: str) -> bool:
    """Whether an IP address belongs to a machine out in the world. False for what is none."""
    try:
        address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if any(address in network for network in _TRANSLATED):
            return False
        address = address.ipv4_mapped or address
    return address.is_global and not address.is_multicast


def host_of(url: str) -> str | None:
    """The host of a URL that may be called; None for any other URL.

    Nothing that two parsers could read in two ways gets through: no user, no escapes in the host,
    no backslash.
    """
    match = _URL.fullmatch(url)
    if match is None or (match["port"] and not 0 < int(match["port"]) <= _HIGHEST_PORT):
        return None
    return match["host"].strip("[]").lower()


def is_literal(host: str) -> bool:
    """Whether a host is an address and no name."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
