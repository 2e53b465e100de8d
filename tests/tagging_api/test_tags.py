"""Tags: created once, updated by whoever has read them, the highest shown to few."""

from typing import Any

import httpx

from services.common.access import Role
from tests.queries import QueryLog
from tests.tagging_api.conftest import Town

NEW = {
    "code": "first_aid",
    "name_zh": "急救员",
    "name_en": "First aider",
    "sensitivity": "internal",
}


async def listed(client: httpx.AsyncClient, **params: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    token: str | None = None
    while True:
        page = {"page_size": "7"} | ({"page_token": token} if token else {})
        answer = (await client.get("/v1/tags", params=params | page)).json()
        found |= {item["code"]: item for item in answer["items"]}
        if (token := answer["next_page_token"]) is None:
            return found


async def test_the_city_starts_with_known_tags(town: Town) -> None:
    tags = await listed(town.tagging.as_role(Role.CITY_OFFICER))
    assert list(tags) == sorted(tags)
    assert tags["industry_talent"] == {
        "code": "industry_talent",
        "name_zh": "产业人才",
        "name_en": "Industry talent",
        "category": "talents",
        "sensitivity": "internal",
        "state": "classified",
        "aliases": ["行业人才"],
        "may_see": None,
        "may_assign": None,
        "may_target": None,
        "archived": False,
        "rule": None,
        "rule_status": None,
        "created_at": tags["industry_talent"]["created_at"],
        "updated_at": tags["industry_talent"]["updated_at"],
    }
    highest = {code for code, tag in tags.items() if tag["sensitivity"] == "highest"}
    assert "community_correction" in highest
    seen_by_worker = await listed(town.tagging.as_role(Role.COMMUNITY_WORKER))
    assert set(seen_by_worker) == set(tags) - highest


async def test_a_tag_is_created_once(town: Town) -> None:
    officer = town.tagging.as_role(Role.TOWN_OFFICER)
    answer = await officer.post("/v1/tags", json=NEW)
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/tags/first_aid"
    assert answer.headers["etag"] == '"1"'
    body = answer.json()
    assert body | NEW == body
    assert (body["category"], body["state"]) == (None, "classified")
    assert (await officer.get("/v1/tags/first_aid")).json() == body

    again = await officer.post("/v1/tags", json=NEW)
    assert (again.status_code, again.json()["code"]) == (409, "tag.code_taken")


async def test_an_update_needs_what_was_read(town: Town) -> None:
    officer = town.tagging.as_role(Role.TOWN_OFFICER)
    read = await officer.get("/v1/tags/volunteer")
    change = {"name_zh": "注册志愿者", "category": None}
    missing = await officer.patch("/v1/tags/volunteer", json=change)
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition.required")
    for stale in ('"2"', 'W/"1"', '"one"', "1", '"' + "9" * 18 + '"'):
        refused = await officer.patch(
            "/v1/tags/volunteer", json=change, headers={"If-Match": stale}
        )
        assert (refused.status_code, refused.json()["code"]) == (412, "precondition.failed")
    done = await officer.patch(
        "/v1/tags/volunteer", json=change, headers={"If-Match": read.headers["etag"]}
    )
    assert done.status_code == 200
    assert done.headers["etag"] == '"2"'
    tag = done.json()
    assert (tag["name_zh"], tag["name_en"], tag["category"]) == ("注册志愿者", "Volunteer", None)
    assert tag["sensitivity"] == "public"
    nothing = await officer.patch("/v1/tags/volunteer", json={}, headers={"If-Match": '"2"'})
    assert (nothing.status_code, nothing.headers["etag"]) == (200, '"2"')


async def test_what_is_no_tag_is_refused_with_a_pointer(town: Town) -> None:
    officer = town.tagging.as_role(Role.TOWN_OFFICER)
    faults: list[tuple[dict[str, Any], str, str]] = [
        ({"code": "First"}, "/code", "string_pattern_mismatch"),
        ({"code": "x" * 65}, "/code", "string_pattern_mismatch"),
        ({"name_zh": " "}, "/name_zh", "string_too_short"),
        ({"name_zh": "字" * 101}, "/name_zh", "too_long"),
        ({"name_en": None}, "/name_en", "string_type"),
        ({"name_en": "a\x00"}, "/name_en", "text.control_character"),
        ({"sensitivity": "secret"}, "/sensitivity", "enum"),
        ({"colour": "red"}, "/colour", "extra_forbidden"),
    ]
    for change, pointer, code in faults:
        answer = await officer.post("/v1/tags", json=NEW | change)
        assert answer.status_code == 422
        assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]
    for change in ({"name_zh": None}, {"sensitivity": None}, {"code": "other"}, {"state": "x"}):
        answer = await officer.patch("/v1/tags/volunteer", json=change, headers={"If-Match": '"1"'})
        assert answer.status_code == 422


async def test_the_highest_is_for_those_with_the_permission(town: Town) -> None:
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    hidden = await worker.get("/v1/tags/community_correction")
    assert (hidden.status_code, hidden.json()["code"]) == (404, "tag.not_found")
    shown = await town.tagging.as_role(Role.TOWN_OFFICER).get("/v1/tags/community_correction")
    assert shown.status_code == 200
    # A scope can take the permission away, and then an officer cannot raise a tag out of sight.
    narrow = town.tagging.as_role(Role.TOWN_OFFICER, scope="tags.read tags.write")
    for answer in (
        await narrow.post("/v1/tags", json=NEW | {"sensitivity": "highest"}),
        await narrow.patch(
            "/v1/tags/volunteer", json={"sensitivity": "highest"}, headers={"If-Match": '"1"'}
        ),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "role.forbidden")
    gone = await narrow.patch(
        "/v1/tags/community_correction",
        json={"sensitivity": "public"},
        headers={"If-Match": '"1"'},
    )
    assert gone.status_code == 404


async def test_a_list_is_one_statement_however_long(town: Town) -> None:
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    for size in ("1", "200"):
        with QueryLog() as queries:
            assert (await officer.get("/v1/tags", params={"page_size": size})).status_code == 200
        assert sum("FROM tag" in statement for statement in queries.statements) == 1
