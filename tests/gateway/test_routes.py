"""The table of routes: what is found, what is allowed instead, what contradicts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.domain.routes import NotAllowed, Route, RouteTable, segments_of
from services.gateway.errors import RoutesConflict
from tests.gateway.servers import contract


def table(**paths: dict[str, list[str]]) -> RouteTable:
    return RouteTable.of({name: contract(found, title=name) for name, found in paths.items()})


def find(routes: RouteTable, path: str, method: str = "GET") -> Any:
    return routes.find(path.split("/")[1:], method)


def test_a_path_leads_to_its_owner() -> None:
    routes = table(a={"/v1/as": ["get"]}, b={"/v1/as/{id}/bs": ["get", "post"]})
    assert find(routes, "/v1/as") == Route("/v1/as", "a", frozenset({"GET"}))
    assert find(routes, "/v1/as/7/bs", "POST").owner == "b"
    assert find(routes, "/v1/as/7") is None
    assert find(routes, "/v1") is None
    assert find(routes, "/v1/as/7/bs/1") is None


@pytest.mark.parametrize("paths", [("/v1/x/{a}", "/v1/x/{b}"), ("/v1/x", "/v1/x")])
def test_a_path_has_one_owner_whatever_its_parameters_are_called(paths: tuple[str, str]) -> None:
    with pytest.raises(RoutesConflict) as refused:
        table(a={paths[0]: ["get"]}, b={paths[1]: ["post"]})
    assert str(refused.value) == f"The path {paths[1]} is claimed by two services: a and b."


def test_one_service_may_call_its_parameters_what_it_likes() -> None:
    routes = table(a={"/v1/x/{a}": ["get"], "/v1/x/{b}": ["put"]})
    assert find(routes, "/v1/x/1", "PUT").methods == {"GET", "PUT"}


def test_only_public_prefixes_are_learned() -> None:
    routes = table(a={"/internal/feed": ["get"], "/metrics": ["get"], "/oauth/x": ["post"]})
    assert find(routes, "/internal/feed") is None
    assert find(routes, "/metrics") is None
    assert find(routes, "/oauth/x", "POST") is not None


def test_what_is_allowed_is_told_over_all_that_match() -> None:
    routes = table(a={"/v1/x/{id}": ["get"]}, b={"/v1/x/search": ["post"]})
    assert find(routes, "/v1/x/search", "POST").owner == "b"
    assert find(routes, "/v1/x/search", "GET").owner == "a"
    assert find(routes, "/v1/x/search", "HEAD").owner == "a"
    refused = find(routes, "/v1/x/search", "DELETE")
    assert refused == NotAllowed(frozenset({"GET", "HEAD", "OPTIONS", "POST"}))


@given(st.text(max_size=30))
def test_segments_never_hold_what_could_lead_elsewhere(text: str) -> None:
    quoted = "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))
    segments = segments_of("/v1/" + text, b"/v1/" + quoted.encode())
    if segments is not None:
        assert len(segments) == 2
        assert segments[1] not in {"", ".", ".."}
        assert not set(segments[1]) & set("/\\\0\r\n")
