"""Audiences with a name: whose they are, what they mean elsewhere, and what cannot be done."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.tagging_api.models import Audience, AudienceMember
from tests.houses import Identity
from tests.queries import QueryLog
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA, OTHER, TOWN, person, place
from tests.tagging_api.polls import written

WOMEN = {"field": "sex", "op": "eq", "value": "female"}
MEN = {"field": "sex", "op": "eq", "value": "male"}


@pytest.fixture
def officer(town: Town) -> httpx.AsyncClient:
    return town.tagging.as_role(Role.CITY_OFFICER)


async def saved(client: httpx.AsyncClient, rule: Any, **values: Any) -> dict[str, Any]:
    answer = await client.post("/v1/audiences", json={"name": "人群", "rule": rule, **values})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/audiences/{answer.json()['id']}"
    assert answer.headers["etag"] == '"1"'
    found: dict[str, Any] = answer.json()
    return found


def refusal(answer: httpx.Response) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [e["pointer"] for e in body.get("errors", [])]


async def changed(
    client: httpx.AsyncClient, audience: dict[str, Any], **values: Any
) -> httpx.Response:
    path = f"/v1/audiences/{audience['id']}"
    tag = (await client.get(path)).headers["etag"]
    return await client.patch(path, json=values, headers={"If-Match": tag})


def named(audience: dict[str, Any]) -> dict[str, Any]:
    return {"audience": audience["id"]}


async def test_an_audience_is_saved_read_changed_and_removed(
    town: Town, officer: httpx.AsyncClient
) -> None:
    rule = {"all": [WOMEN, {"sample": {"rule": {"tag": "volunteer"}, "percent": 5.5}}]}
    audience = await saved(officer, rule, name="女志愿者")
    assert audience["kind"] == "dynamic"
    assert audience["sensitivity"] == "public"
    assert audience["frozen_at"] is None
    # As it was sent, with the default that decides who is drawn.
    drawn = {"sample": {"rule": {"tag": "volunteer"}, "percent": 5.5, "seed": 0}}
    assert audience["rule"] == {"all": [WOMEN, drawn]}
    path = f"/v1/audiences/{audience['id']}"
    assert (await officer.get(path)).json() == audience

    answer = await officer.patch(path, json={"name": "女"}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert (answer.json()["name"], answer.json()["rule"]) == ("女", audience["rule"])
    late = await officer.patch(path, json={"rule": MEN}, headers={"If-Match": '"1"'})
    assert refusal(late)[:2] == (412, "precondition.failed")
    bare = await officer.patch(path, json={"rule": MEN})
    assert refusal(bare)[:2] == (428, "precondition.required")
    answer = await changed(officer, audience, rule={"tag": "disability"})
    assert (answer.json()["sensitivity"], answer.json()["name"]) == ("sensitive", "女")
    for fault, pointer in (
        ({"rule": None}, "/rule"),
        ({"name": None}, "/name"),
        ({"kind": "frozen"}, "/kind"),
        ({"rule": {"tag": "没有"}}, "/rule/tag"),
    ):
        answer = await changed(officer, audience, **fault)
        assert refusal(answer)[0::2] == (422, [pointer])

    assert (await officer.delete(path)).status_code == 204
    for gone in (await officer.get(path), await officer.delete(path)):
        assert refusal(gone)[:2] == (404, "audience.not_found")


async def test_the_list_is_newest_first_page_by_page(
    town: Town, officer: httpx.AsyncClient
) -> None:
    ids = [(await saved(officer, WOMEN, name=f"第{n}个"))["id"] for n in range(5)]
    ids.append((await saved(officer, {"any": [{"tag": "elderly"}, {"tag": "veteran"}]}))["id"])
    for size in (1, 6):
        with QueryLog() as queries:
            await officer.get("/v1/audiences", params={"page_size": size})
        assert len(queries) == 2, size  # the audiences, and their tags
    found: list[str] = []
    token = None
    while True:
        params = {"page_size": 2, **({"page_token": token} if token else {})}
        answer = (await officer.get("/v1/audiences", params=params)).json()
        found += [item["id"] for item in answer["items"]]
        token = answer["next_page_token"]
        if token is None:
            break
    assert found == ids[::-1]


async def test_an_audience_belongs_to_the_areas_of_its_creator(
    town: Town, identity: Identity
) -> None:
    worker = town.tagging.as_role(Role.GRID_WORKER, JINSHA)
    both = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA, OTHER)
    mine, ours = await saved(worker, WOMEN), await saved(both, WOMEN)
    for areas, sees in (
        ((TOWN,), {mine["id"], ours["id"]}),
        ((JINSHA, OTHER), {mine["id"], ours["id"]}),
        ((JINSHA,), {mine["id"]}),
        ((OTHER,), set[str]()),
        ((f"{JINSHA}001",), set[str]()),
        (("510182001",), set[str]()),
    ):
        client = town.tagging.as_role(Role.COMMUNITY_WORKER, *areas)
        listed = (await client.get("/v1/audiences")).json()["items"]
        assert {item["id"] for item in listed} == sees, areas
        for audience in (mine, ours):
            path = f"/v1/audiences/{audience['id']}"
            answers = [
                await client.get(path),
                await client.patch(path, json={"name": "新"}, headers={"If-Match": '"99"'}),
                await client.post(f"{path}/freeze", json={"name": "固定"}),
            ]
            if audience["id"] in sees:
                assert [answer.status_code for answer in answers] == [200, 412, 201]
                frozen = answers[2].json()["id"]
                assert (await client.delete(f"/v1/audiences/{frozen}")).status_code == 204
            else:
                assert {refusal(answer)[:2] for answer in answers} == {(404, "audience.not_found")}
                asked = await client.post("/v1/audiences/count", json={"rule": named(audience)})
                assert refusal(asked) == (422, "audience.unknown", ["/rule/audience"])
                assert (await client.delete(path)).status_code == 404
    narrowed = await town.tagging.as_role(Role.COMMUNITY_WORKER, TOWN).get(
        "/v1/audiences", params={"area": JINSHA}
    )
    assert [item["id"] for item in narrowed.json()["items"]] == [mine["id"]]
    outside = await worker.get("/v1/audiences", params={"area": OTHER})
    assert refusal(outside)[:2] == (403, "area.forbidden")
    homeless = town.tagging.as_role(Role.GRID_WORKER, "510105")
    nowhere = town.tagging.client(identity.token(Role.GRID_WORKER, areas=()))
    assert (await homeless.get("/v1/audiences")).json()["items"] == []
    answer = await nowhere.post("/v1/audiences", json={"name": "人群", "rule": WOMEN})
    assert refusal(answer)[:2] == (403, "area.forbidden")


async def test_who_may_count_only_may_not_save(town: Town) -> None:
    client = town.tagging.as_role(Role.CLIENT, TOWN)
    assert (await client.get("/v1/audiences")).status_code == 200
    answer = await client.post("/v1/audiences", json={"name": "人群", "rule": WOMEN})
    assert refusal(answer)[:2] == (403, "role.forbidden")


async def test_it_means_the_same_people_whoever_uses_it(
    town: Town, officer: httpx.AsyncClient
) -> None:
    here = [person(sex="female") for _ in range(6)]
    there = [person(sex="female", places=[place(OTHER)]) for _ in range(6)]
    # Lives in both, as an owner here and as a tenant there.
    both = person(sex="female", places=[place(), place(OTHER, tenure="tenant")])
    await town.live_here(*here, *there, both)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    women = await saved(worker, WOMEN)
    tenants = await saved(worker, {"field": "tenure", "op": "eq", "value": "tenant"})
    three = await saved(worker, {"sample": {"rule": WOMEN, "n": 3, "seed": 7}})
    for areas in ((JINSHA,), (TOWN,), ("510182",)):
        assert await town.count(named(women), *areas) == 7
        assert await town.count(named(tenants), *areas) == 0
        assert await town.count(named(three), *areas) == 3
        assert await town.count({"all": [named(three), {"area": JINSHA}]}, *areas) == 3
    assert await town.count({"not": named(women)}, TOWN) == 6
    assert await town.count({"any": [named(women), {"area": OTHER}]}, TOWN) == 13
    assert await town.count({"field": "tenure", "op": "eq", "value": "tenant"}, TOWN) == 1


async def test_a_dynamic_audience_moves_and_a_frozen_one_does_not(
    town: Town, officer: httpx.AsyncClient
) -> None:
    people = [person(sex="female") for _ in range(4)]
    await town.live_here(*people, person(sex="male"))
    dynamic = await saved(officer, WOMEN)
    frozen = await saved(officer, WOMEN, kind="frozen")
    again = await officer.post(f"/v1/audiences/{dynamic['id']}/freeze", json={"name": "固定"})
    assert again.status_code == 201, again.text
    later = again.json()
    assert (later["kind"], later["rule"], later["name"]) == ("frozen", WOMEN, "固定")
    assert frozen["frozen_at"] is not None
    everything = [named(each) for each in (dynamic, frozen, later)]
    assert [await town.count(rule) for rule in everything] == [4, 4, 4]

    await town.live_here(person(sex="female"))
    assert [await town.count(rule) for rule in everything] == [5, 4, 4]
    # Who has moved away is in none; who has become somebody else by the rule is still in.
    await town.live_here({**people[0], "version": 2, "places": []})
    await town.live_here({**people[1], "version": 2, "sex": "male"})
    assert [await town.count(rule) for rule in everything] == [3, 3, 3]
    assert await town.count({"all": [everything[1], MEN]}) == 1
    await town.live_here({**people[0], "version": 3})
    assert [await town.count(rule) for rule in everything] == [4, 4, 4]

    answer = await changed(officer, frozen, rule=MEN)
    assert refusal(answer)[:2] == (409, "audience.frozen")
    assert (await changed(officer, frozen, name="改名")).json()["name"] == "改名"
    # The one it came from may go.
    assert (await officer.delete(f"/v1/audiences/{dynamic['id']}")).status_code == 204
    assert await town.count(everything[2]) == 4
    sessions: Sessions = town.tagging.state["sessions"]
    assert (await officer.delete(f"/v1/audiences/{later['id']}")).status_code == 204
    async with sessions.read() as session:
        left = await session.scalar(
            sa.select(sa.func.count()).where(AudienceMember.audience_id == UUID(later["id"]))
        )
    assert left == 0


async def test_nesting_and_what_is_built_upon(town: Town, officer: httpx.AsyncClient) -> None:
    await town.live_here(*(person(sex=sex) for sex in ("female", "male", "male")))
    women = await saved(officer, WOMEN)
    others = await saved(officer, {"not": named(women)})
    all_ = await saved(officer, {"any": [named(women), named(others)]})
    assert [await town.count(named(each)) for each in (women, others, all_)] == [1, 2, 3]
    refused = await officer.delete(f"/v1/audiences/{women['id']}")
    assert refusal(refused)[:2] == (409, "audience.in_use")

    assert (await changed(officer, women, rule=MEN)).status_code == 200
    assert [await town.count(named(each)) for each in (women, others, all_)] == [2, 1, 3]
    # What others stand on says so as well.
    await changed(officer, women, rule={"tag": "disability"})
    for each in (women, others, all_):
        shown = (await officer.get(f"/v1/audiences/{each['id']}")).json()
        assert shown["sensitivity"] == "sensitive"
    for each in (all_, others, women):
        assert (await officer.delete(f"/v1/audiences/{each['id']}")).status_code == 204


async def test_what_is_still_to_be_sent_keeps_its_audience(
    town: Town, officer: httpx.AsyncClient
) -> None:
    women = await saved(officer, WOMEN)
    rule = {"all": [MEN, {"not": {"sample": {"rule": named(women), "n": 1}}}]}
    drafted = await officer.post(
        "/v1/campaigns", json={"rule": rule, "title": "通知", "body": "内容"}
    )
    assert drafted.status_code == 201, drafted.text
    path = f"/v1/audiences/{women['id']}"
    assert refusal(await officer.delete(path))[:2] == (409, "audience.in_use")
    cancelled = await officer.post(f"/v1/campaigns/{drafted.json()['id']}/cancel")
    assert cancelled.status_code == 200, cancelled.text
    assert (await officer.delete(path)).status_code == 204


async def test_no_audience_contains_itself(town: Town, officer: httpx.AsyncClient) -> None:
    first = await saved(officer, WOMEN)
    second = await saved(officer, {"all": [MEN, named(first)]})
    third = await saved(officer, {"not": named(second)})
    for rule, pointer in (
        (named(first), "/rule/audience"),
        ({"any": [WOMEN, {"not": named(second)}]}, "/rule/any/1/not/audience"),
        (
            {"all": [{"sample": {"rule": named(third), "n": 1}}]},
            "/rule/all/0/sample/rule/audience",
        ),
    ):
        answer = await changed(officer, first, rule=rule)
        assert refusal(answer) == (422, "audience.cycle", [pointer])
    # Nothing of it stayed.
    assert (await officer.get(f"/v1/audiences/{first['id']}")).json()["rule"] == WOMEN
    unknown = await officer.post(
        "/v1/audiences", json={"name": "人群", "rule": {"all": [{"audience": str(new_id())}]}}
    )
    assert refusal(unknown) == (422, "audience.unknown", ["/rule/all/0/audience"])


async def test_two_at_once_do_not_close_a_circle(town: Town, officer: httpx.AsyncClient) -> None:
    for _ in range(5):
        one, other = await saved(officer, WOMEN), await saved(officer, MEN)
        answers = await asyncio.gather(
            changed(officer, one, rule=named(other)), changed(officer, other, rule=named(one))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 422]
        assert [refusal(a)[1] for a in answers if a.status_code == 422] == ["audience.cycle"]


async def test_all_of_it_together_is_bounded(town: Town, officer: httpx.AsyncClient) -> None:
    # Each twice as large as the one before: 3, 7, 15, 31, 63, 127, 255 rules.
    audience = await saved(officer, {"any": [WOMEN, MEN]})
    for _ in range(5):
        audience = await saved(officer, {"any": [named(audience), named(audience)]})
    rule = {"all": [named(audience), named(audience)]}
    answer = await officer.post("/v1/audiences", json={"name": "人群", "rule": rule})
    assert refusal(answer) == (422, "rule.too_large", ["/rule/all/1/audience"])
    answer = await officer.post("/v1/audiences/count", json={"rule": rule})
    assert refusal(answer)[:2] == (422, "rule.too_large")

    deep = WOMEN
    for _ in range(9):
        deep = {"not": deep}
    below = await saved(officer, deep)
    deeper = named(below)
    for _ in range(6):
        deeper = {"not": deeper}
    top = await saved(officer, deeper)
    assert await town.count(named(top)) == 0
    answer = await officer.post("/v1/audiences", json={"name": "人群", "rule": {"not": deeper}})
    assert refusal(answer) == (
        422,
        "rule.too_deep",
        ["/rule/not/not/not/not/not/not/not/audience"],
    )
    # Nor does one become so by a change of what it stands on.
    answer = await changed(officer, below, rule={"not": deep})
    assert refusal(answer)[:2] == (422, "rule.too_deep")
    assert (await officer.get(f"/v1/audiences/{below['id']}")).json()["rule"] == deep


async def test_the_highest_sensitivity_is_inherited(town: Town, officer: httpx.AsyncClient) -> None:
    someone = person(labels=["信访"])
    await town.live_here(someone, person())
    secret = await saved(officer, {"tag": "petition"})
    above = await saved(officer, {"not": {"sample": {"rule": named(secret), "percent": 100}}})
    frozen = (
        await officer.post(f"/v1/audiences/{above['id']}/freeze", json={"name": "固定"})
    ).json()
    harmless = await saved(officer, WOMEN)
    assert [each["sensitivity"] for each in (secret, above, frozen)] == ["highest"] * 3
    assert await town.count(named(frozen)) == 1

    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, "510182")
    listed = (await worker.get("/v1/audiences")).json()["items"]
    assert [item["id"] for item in listed] == [harmless["id"]]
    for each in (secret, above, frozen):
        assert (await worker.get(f"/v1/audiences/{each['id']}")).status_code == 404
        for client, path, expected in (
            (worker, "/v1/audiences/count", (403, "role.forbidden")),
            (officer, "/v1/campaigns", (422, "campaign.sensitive_rule")),
        ):
            rule = {"any": [WOMEN, {"not": named(each)}]}
            body: dict[str, Any] = {"rule": rule}
            if path == "/v1/campaigns":
                body |= {"title": "通知", "body": "内容"}
            answer = await client.post(path, json=body)
            assert refusal(answer)[:2] == expected
            if path == "/v1/campaigns":
                assert refusal(answer)[2] == ["/rule/any/1/not/audience"]
    saving = await worker.post("/v1/audiences", json={"name": "人群", "rule": named(secret)})
    assert refusal(saving)[:2] == (403, "role.forbidden")


async def test_a_tag_reclassified_later_counts_too(town: Town, officer: httpx.AsyncClient) -> None:
    await town.live_here(person(labels=["志愿者"]))
    rule = {"tag": "volunteer"}
    dynamic, frozen = await saved(officer, rule), await saved(officer, rule, kind="frozen")
    nested = await saved(officer, {"all": [named(dynamic), named(frozen)]})
    every = (dynamic, frozen, nested)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, "510182")

    async def reclassified(sensitivity: str) -> None:
        tag = (await officer.get("/v1/tags/volunteer")).headers["etag"]
        answer = await officer.patch(
            "/v1/tags/volunteer", json={"sensitivity": sensitivity}, headers={"If-Match": tag}
        )
        assert answer.status_code == 200, answer.text

    await reclassified("highest")
    for each in every:
        shown = (await officer.get(f"/v1/audiences/{each['id']}")).json()
        assert shown["sensitivity"] == "highest"
        assert (await worker.get(f"/v1/audiences/{each['id']}")).status_code == 404
        answer = await worker.post("/v1/audiences/count", json={"rule": named(each)})
        assert refusal(answer)[:2] == (403, "role.forbidden")
    # One that was frozen meanwhile stays as sensitive as its tag was then.
    meanwhile = await saved(officer, rule, kind="frozen")
    above = await saved(officer, {"not": named(meanwhile)})
    await reclassified("public")
    for each in every:
        answer = await worker.post("/v1/audiences/count", json={"rule": named(each)})
        assert answer.status_code == 200
    for each in (meanwhile, above):
        shown = (await officer.get(f"/v1/audiences/{each['id']}")).json()
        assert shown["sensitivity"] == "highest"
        assert (await worker.get(f"/v1/audiences/{each['id']}")).status_code == 404


async def test_what_names_a_tag_is_for_those_who_may_see_it(
    town: Town, officer: httpx.AsyncClient
) -> None:
    created = await officer.post(
        "/v1/tags",
        json={
            "code": "visited_by_mayor",
            "name_zh": "市长走访",
            "name_en": "Visited by the mayor",
            "sensitivity": "internal",
            "may_see": ["city_officer"],
        },
    )
    assert created.status_code == 201, created.text
    audience = await saved(officer, {"tag": "visited_by_mayor"})
    above = await saved(officer, {"not": named(audience)})
    survey = await written(officer, rule=named(above))
    plan = await officer.post(
        "/v1/site-plans",
        json={
            "name": "选址",
            "area": TOWN,
            "places": 1,
            "max_distance_metres": 400,
            "weights": {"audience": 1},
            "rule": named(above),
        },
    )
    assert plan.status_code == 201, plan.text
    # With more permissions than are asked for, and not the role.
    other = town.tagging.as_role(Role.TOWN_OFFICER, "510182")
    for kind, one in (
        ("audiences", audience),
        ("audiences", above),
        ("surveys", survey),
        ("site-plans", plan.json()),
    ):
        listed = (await officer.get(f"/v1/{kind}")).json()["items"]
        assert one["id"] in {each["id"] for each in listed}
        assert (await officer.get(f"/v1/{kind}/{one['id']}")).status_code == 200
        assert (await other.get(f"/v1/{kind}")).json()["items"] == []
        assert (await other.get(f"/v1/{kind}/{one['id']}")).status_code == 404


async def test_all_that_stand_on_a_changed_one_are_brought_up_to_date_once(
    town: Town, officer: httpx.AsyncClient
) -> None:
    base = await saved(officer, WOMEN)
    top = base
    for _ in range(3):
        # Two ways lead down from each.
        top = await saved(
            officer, {"any": [named(await saved(officer, named(top))) for _ in range(2)]}
        )
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, "510182")
    assert (await worker.get(f"/v1/audiences/{top['id']}")).status_code == 200
    assert (await changed(officer, base, rule={"tag": "petition"})).status_code == 200
    assert (await officer.get(f"/v1/audiences/{top['id']}")).json()["sensitivity"] == "highest"
    assert (await worker.get(f"/v1/audiences/{top['id']}")).status_code == 404
    # What makes another one too large is told where this one was sent.
    answer = await changed(officer, base, rule={"any": [WOMEN] * 40})
    assert refusal(answer) == (422, "rule.too_large", ["/rule"])


async def test_what_is_saved_names_nobody(town: Town, officer: httpx.AsyncClient) -> None:
    people = [person(sex="female") for _ in range(3)]
    await town.live_here(*people)
    audience = await saved(officer, WOMEN, kind="frozen")
    answer = await officer.get(f"/v1/audiences/{audience['id']}")
    assert not any(each["id"] in answer.text for each in people)
    sessions: Sessions = town.tagging.state["sessions"]
    async with sessions.read() as session:
        row = await session.get(Audience, UUID(audience["id"]))
        assert row is not None
        assert row.areas == ["510182"]
