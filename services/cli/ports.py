"""Ports on this machine, kept from others between the choice and the moment a service listens."""

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.cli.database import SERVICES
from services.cli.failures import Failure

HOST = "127.0.0.1"


@dataclass(slots=True)
class Ports:
    """A port for each service. While this is open nobody is given one of them by accident."""

    numbers: Mapping[str, int]
    _held: list[socket.socket] = field(repr=False)

    @classmethod
    def reserve(cls, gateway: int) -> "Ports":
        """The asked port for the gateway, 0 for any; the next ones for the services, or others.

        Raises Failure if the asked port is taken.
        """
        held = {"gateway": _hold(gateway)}
        for offset, name in enumerate((name for name in SERVICES if name != "gateway"), start=1):
            held[name] = _hold_near(gateway + offset if gateway else 0)
        ports = cls(
            {name: holder.getsockname()[1] for name, holder in held.items()}, list(held.values())
        )
        if sys.platform != "linux":
            # Elsewhere a second socket cannot be bound while the first one is.
            ports.close()
        return ports

    def close(self) -> None:
        for holder in self._held:
            holder.close()
        self._held.clear()


def _hold(port: int) -> socket.socket:
    """Bound, but not listening: on Linux a service that sets SO_REUSEADDR, as all do, still can."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((HOST, port))
    except (OSError, OverflowError) as refused:
        holder.close()
        reason = refused.strerror if isinstance(refused, OSError) else "no such port"
        raise Failure(
            f"Port {port} cannot be used ({reason}): choose another with --port."
        ) from None
    return holder


def _hold_near(port: int) -> socket.socket:
    try:
        return _hold(port)
    except Failure:
        return _hold(0)
