"""Every route against every role, and input that no route may stumble over."""

import json
from itertools import product
from typing import Any
from uuid import uuid4

from fastapi.routing import iter_route_contexts

from services.common.access import Permission, Role, granted
from services.common.routing import UnitOfWorkRoute
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA

ROUTES: dict[tuple[str, str], Permission] = {
    ("GET", "/v1/tags"): Permission.TAGS_READ,
    ("POST", "/v1/tags"): Permission.TAGS_WRITE,
    ("GET", "/v1/tags/volunteer"): Permission.TAGS_READ,
    ("PATCH", "/v1/tags/volunteer"): Permission.TAGS_WRITE,
    ("GET", "/v1/tag-assignments"): Permission.TAGS_READ,
    ("POST", "/v1/tag-assignments"): Permission.TAG_ASSIGNMENTS_WRITE,
    ("DELETE", "/v1/tag-assignments"): Permission.TAG_ASSIGNMENTS_WRITE,
    ("POST", "/v1/audiences/count"): Permission.AUDIENCES_COUNT,
    ("GET", "/v1/campaigns"): Permission.CAMPAIGNS_WRITE,
    ("POST", "/v1/campaigns"): Permission.CAMPAIGNS_WRITE,
    ("GET", f"/v1/campaigns/{uuid4()}"): Permission.CAMPAIGNS_WRITE,
    ("POST", f"/v1/campaigns/{uuid4()}/send"): Permission.CAMPAIGNS_WRITE,
    ("GET", "/v1/me/messages"): Permission.MESSAGES_READ,
    ("POST", f"/v1/me/messages/{uuid4()}/read"): Permission.MESSAGES_READ,
}


def _routes(town: Town) -> int:
    return sum(
        len(context.original_route.methods or ())
        for context in iter_route_contexts(town.tagging.app.routes)
        if isinstance(context.original_route, UnitOfWorkRoute)
        and context.path_format.startswith("/v1")
    )


async def test_every_role_does_what_the_table_says_and_no_more(town: Town) -> None:
    assert _routes(town) == len(ROUTES)
    for (method, path), permission in ROUTES.items():
        nobody = await town.tagging.client().request(method, path)
        assert (nobody.status_code, nobody.json()["code"]) == (401, "token.missing")
        forged = await town.tagging.client("a.b.c").request(method, path)
        assert (forged.status_code, forged.json()["code"]) == (401, "token.invalid")
        neighbour = await town.tagging.as_service().request(method, path)
        assert neighbour.status_code == 401
        for role in Role:
            answer = await town.tagging.as_role(role, JINSHA).request(method, path, json={})
            may = permission in granted(frozenset({role}))
            assert (answer.status_code == 403) is (not may), (method, path, role)
            assert answer.status_code < 500


NASTY = ["\x00", "\ud800", "x" * 100_000, -1, 2**63, 1e308, True, None, [], {}, [[]], "'; --"]


BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/tags"): {
        "code": "a",
        "name_zh": "甲",
        "name_en": "A",
        "category": "c",
        "sensitivity": "public",
    },
    ("PATCH", "/v1/tags/volunteer"): {"name_zh": "甲", "category": "c"},
    ("POST", "/v1/tag-assignments"): {"tag": "volunteer", "resident_ids": [str(uuid4())]},
    ("DELETE", "/v1/tag-assignments"): {"tag": "volunteer", "resident_ids": [str(uuid4())]},
    ("POST", "/v1/audiences/count"): {"rule": {"area": "51"}, "min_position": "x"},
    ("POST", "/v1/campaigns"): {"rule": {"area": "51"}, "title": "甲", "body": "乙", "topic": "丙"},
}


async def test_no_value_is_a_fault_of_ours(town: Town) -> None:
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    headers = {"If-Match": '"1"', "Content-Type": "application/json"}
    for (method, path), body in BODIES.items():
        for name, value in product(body, NASTY):
            sent = json.dumps(body | {name: value})
            answer = await officer.request(method, path, content=sent, headers=headers)
            assert answer.status_code < 500, (path, name, value)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
        for content in (b"", b"{", b"\xff\xfe", b"null", b"[]", b'"x"', b'{"a":' * 5000, b"NaN"):
            answer = await officer.request(method, path, content=content, headers=headers)
            assert answer.status_code in {400, 422}, (path, content)
        large = await officer.request(method, path, content=b" " * 2_000_000, headers=headers)
        assert (large.status_code, large.json()["code"]) == (413, "request.too_large")


ADDRESSES = [
    "/v1/tags?page_size=0",
    "/v1/tags?page_size=99999999999999999999",
    "/v1/tags?state=x",
    "/v1/tags?page_token=%00",
    "/v1/tags/%00",
    "/v1/tags/UPPER",
    "/v1/tag-assignments?resident_id=1",
    "/v1/tag-assignments?tag=%00",
    "/v1/tag-assignments?area=1",
    "/v1/tag-assignments?area=%00",
    "/v1/campaigns?page_token=WyIxIl0",
    "/v1/campaigns/%00",
]


async def test_no_address_is_a_fault_of_ours(town: Town) -> None:
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    for path in ADDRESSES:
        answer = await officer.get(path)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), path


async def test_names_of_operations_are_verbs_and_nouns(town: Town) -> None:
    document = (await town.tagging.as_service().get("/internal/openapi.json")).json()
    names = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    }
    assert names == {
        "list_tags",
        "create_tag",
        "read_tag",
        "update_tag",
        "list_tag_assignments",
        "assign_tag",
        "unassign_tag",
        "count_audience",
        "list_campaigns",
        "create_campaign",
        "read_campaign",
        "send_campaign",
        "list_messages",
        "mark_message_read",
    }
