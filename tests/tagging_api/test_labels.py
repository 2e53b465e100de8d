"""Label words of ledgers become assignments, once, and unknown words wait for an officer."""

from services.common.access import Role
from services.tagging_api.service.labels import folded, generated_code
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import OTHER, person, place


async def test_a_word_means_a_tag_by_code_name_or_alias(town: Town) -> None:
    words = ["volunteer", "志愿者", "志愿服务者", " ＶＯＬＵＮＴＥＥＲ ", "志 愿 者"]
    people = [person(labels=[word]) for word in words]
    await town.live_here(*people)
    assert await town.bearers("volunteer") == {each["id"] for each in people}
    assert await town.count({"tag": "volunteer"}) == len(people)


async def test_several_words_of_one_tag_are_one_assignment(town: Town) -> None:
    someone = person(labels=["志愿者", "志愿服务者", "书法", "书法爱好", "", "  "])
    await town.live_here(someone)
    answer = await town.tagging.as_role(Role.GRID_WORKER).get(
        "/v1/tag-assignments", params={"resident_id": someone["id"]}
    )
    found = [(item["tag"], item["source"]) for item in answer.json()["items"]]
    assert found == [("hobby_calligraphy", "ledger"), ("volunteer", "ledger")]


async def test_what_an_officer_took_off_stays_off(town: Town) -> None:
    someone = person(labels=["志愿者"])
    await town.live_here(someone)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    ended = await worker.request(
        "DELETE", "/v1/tag-assignments", json={"tag": "volunteer", "resident_ids": [someone["id"]]}
    )
    assert ended.json() == {"removed": 1, "not_assigned": 0, "not_found": []}
    await town.live_here({**someone, "version": 2, "education": "primary"})
    await town.live_here({**someone, "version": 3, "labels": ["志愿者", "退役军人"]})
    assert await town.bearers("volunteer") == set()
    assert await town.bearers("veteran") == {someone["id"]}
    # The same word is news of another person, and another word of this one.
    other = person(labels=["志愿者"])
    await town.live_here(other, {**someone, "version": 4, "labels": ["志愿服务者"]})
    assert await town.bearers("volunteer") == {other["id"], someone["id"]}


async def test_an_unknown_word_waits_until_an_officer_classifies_it(town: Town) -> None:
    word = "红袖章队员"
    code = generated_code(word)
    one, other = person(labels=[word]), person(labels=[f" {word} "], places=[place(OTHER)])
    await town.live_here(one, other)
    worker, officer = (town.tagging.as_role(r) for r in (Role.COMMUNITY_WORKER, Role.TOWN_OFFICER))

    assert (await worker.get(f"/v1/tags/{code}")).status_code == 404
    waiting = await officer.get("/v1/tags", params={"state": "unclassified"})
    assert [item["code"] for item in waiting.json()["items"]] == [code]
    tag = await officer.get(f"/v1/tags/{code}")
    assert tag.json()["name_zh"] == word
    assert (tag.json()["sensitivity"], tag.json()["state"]) == ("highest", "unclassified")
    assert await town.bearers(code) == {one["id"], other["id"]}

    rule = {"all": [{"area": "510182"}, {"not": {"tag": code}}]}
    # Whoever may not see it is not told that it waits.
    for client, told in ((worker, "tag.unknown"), (officer, "tag.unclassified")):
        for path, body in (
            ("/v1/audiences/count", {"rule": rule}),
            ("/v1/campaigns", {"rule": rule, "title": "通知", "body": "内容"}),
        ):
            refused = await client.post(path, json=body)
            assert (refused.status_code, refused.json()["code"]) == (422, told)
            assert refused.json()["errors"][0]["pointer"] == "/rule/all/1/not/tag"

    renamed = await officer.patch(
        f"/v1/tags/{code}", json={"name_zh": "巡防队员"}, headers={"If-Match": tag.headers["etag"]}
    )
    assert renamed.json()["state"] == "unclassified"
    done = await officer.patch(
        f"/v1/tags/{code}",
        json={"sensitivity": "internal", "category": "volunteers", "name_en": "Patrol"},
        headers={"If-Match": renamed.headers["etag"]},
    )
    assert (done.json()["state"], done.json()["sensitivity"]) == ("classified", "internal")
    assert await town.count({"tag": code}, role=Role.COMMUNITY_WORKER) == 2

    # The word goes on meaning that tag, whatever it is called now.
    later = person(labels=[word])
    await town.live_here(later)
    assert later["id"] in await town.bearers(code)


async def test_a_tag_made_for_the_word_comes_before_the_one_that_waits(town: Town) -> None:
    word = "巡防队员"
    await town.live_here(person(labels=[word]))
    made = {"code": "patrol", "name_zh": word, "name_en": "Patrol", "sensitivity": "internal"}
    officer = town.tagging.as_role(Role.TOWN_OFFICER)
    assert (await officer.post("/v1/tags", json=made)).status_code == 201
    someone = person(labels=[word])
    await town.live_here(someone)
    assert await town.bearers("patrol") == {someone["id"]}


async def test_words_of_any_kind_make_no_trouble(town: Town) -> None:
    words = ["%", "x" * 500, "'; DROP TABLE tag; --", "😀", "\u202e倒", "ledger_"]
    await town.live_here(person(labels=words), person(labels=list(reversed(words))))
    for word in words:
        assert len(await town.bearers(generated_code(word))) == 2


def test_folding_keeps_words_apart_that_differ() -> None:
    assert folded("Ａ级 ") == folded("a级")
    assert generated_code("甲") != generated_code("乙")
