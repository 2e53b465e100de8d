"""Which service answers which path: learned from the services' contracts, nothing listed here.

Paths are compared by what they mean to the service behind, which decodes them once: segment by
segment, decoded. A path that could mean something else there than here (an encoded slash, a dot
segment, an empty segment) is nobody's.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from services.gateway.errors import RoutesConflict

PUBLIC = frozenset({"v1", "open311", "oauth", ".well-known"})
# An empty segment, a dot segment, a backslash, a control character.
_AMBIGUOUS = re.compile(r"/(?=/|\Z)|/\.\.?(?=/|\Z)|[\\\x00-\x1f\x7f]")
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True, slots=True)
class Route:
    """One path template and who owns it. `methods` are what the owner takes."""

    template: str
    owner: str
    methods: frozenset[str]

    @property
    def allowed(self) -> frozenset[str]:
        """Also what the gateway adds: HEAD where there is GET, and OPTIONS."""
        head = {"HEAD"} if "GET" in self.methods else set[str]()
        return self.methods | head | {"OPTIONS"}


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """The path is known, the method is not."""

    allowed: frozenset[str]


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict[str, "_Node"])
    parameter: "_Node | None" = None
    route: Route | None = None


def segments_of(path: str, raw_path: bytes) -> tuple[str, ...] | None:
    """The decoded segments of a path, or None for one that no service is to see.

    `path` is decoded as a whole, `raw_path` as it came.
    """
    if not path.startswith("/") or not raw_path.isascii() or _AMBIGUOUS.search(path):
        return None
    if b"%" not in raw_path:
        return tuple(path.split("/")[1:])
    parts = raw_path.decode("ascii").split("/")[1:]
    decoded = tuple(unquote(part) for part in parts)
    return None if any("/" in part for part in decoded) else decoded


class RouteTable:
    """A tree of path segments; a literal is tried before a parameter."""

    def __init__(self) -> None:
        self._root = _Node()

    @classmethod
    def of(cls, documents: Mapping[str, Mapping[str, Any]]) -> "RouteTable":
        """The table of OpenAPI documents by service. Raises RoutesConflict."""
        table = cls()
        for owner, document in documents.items():
            for template, operations in document["paths"].items():
                if template.split("/")[1] in PUBLIC:
                    methods = {name.upper() for name in operations if name in METHODS}
                    table._add(Route(template, owner, frozenset(methods)))
        return table

    def _add(self, route: Route) -> None:
        node = self._root
        for part in route.template.split("/")[1:]:
            if "{" in part:
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(part, _Node())
        if node.route is None:
            node.route = route
        elif node.route.owner == route.owner:
            # One service may name the parameter differently from method to method.
            node.route = replace(node.route, methods=node.route.methods | route.methods)
        else:
            raise RoutesConflict(
                f"The path {route.template} is claimed by two services: "
                f"{node.route.owner} and {route.owner}."
            )

    def find(self, segments: Sequence[str], method: str) -> Route | NotAllowed | None:
        """The route to take; what the path allows instead; or None for an unknown path."""
        allowed: set[str] = set()
        for route in _matches(self._root, segments, 0):
            if method in route.methods or (method == "HEAD" and "GET" in route.methods):
                return route
            allowed |= route.allowed
        return NotAllowed(frozenset(allowed)) if allowed else None


def _matches(node: _Node, segments: Sequence[str], depth: int) -> Iterator[Route]:
    if depth == len(segments):
        if node.route is not None:
            yield node.route
        return
    literal = node.literals.get(segments[depth])
    if literal is not None:
        yield from _matches(literal, segments, depth + 1)
    if node.parameter is not None:
        yield from _matches(node.parameter, segments, depth + 1)
