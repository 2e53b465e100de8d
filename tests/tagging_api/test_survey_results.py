"""What a survey found, in figures, beside what the data had predicted."""

from typing import Any

import httpx

from services.common.access import Role
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA, TOWN, person, place
from tests.tagging_api.polls import (
    NEED,
    TOPICS,
    answered,
    drawn,
    results,
    settle,
    visits,
    women,
)

CLASS = {
    "all": [
        {"area": TOWN},
        {"field": "sex", "op": "eq", "value": "female"},
        {"field": "age", "op": "between", "value": [25, 35]},
    ]
}
MARRIED = {"field": "marital_status", "op": "in", "value": ["first_married", "married"]}


async def answer_all(client: httpx.AsyncClient, survey: str, answers: list[dict[str, Any]]) -> None:
    found = await visits(client, survey_id=survey)
    assert len(found) >= len(answers)
    for visit, given in zip(found, answers, strict=False):
        answer = await answered(client, visit["id"], **given)
        assert answer.status_code == 200, answer.text


async def test_the_demo_town(town: Town) -> None:
    """3,256 women of 25 to 35 in the town, 200 visited, 184 in need: 92 %."""
    villages = [f"{TOWN}{n:03}" for n in range(1, 9)]
    married = {n % 100 for n in range(93)}
    population = [
        person(
            sex="female",
            birth_date=f"{1991 + n % 10}-11-23",
            marital_status="married" if n % 100 in married else "never_married",
            places=[place(villages[n % 8])],
        )
        for n in range(3256)
    ]
    others = [
        person(sex="female", birth_date="1990-11-23", places=[place(villages[0])]),
        person(sex="female", birth_date="2001-11-24", places=[place(villages[0])]),
        person(sex="male", birth_date="1995-01-01", places=[place(villages[0])]),
        person(sex="female", birth_date="1995-01-01", places=[place("510182105001")]),
    ]
    await settle(town, population + others)
    officer = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    survey = await drawn(
        officer,
        200,
        seed=2026,
        rule=CLASS,
        predicted={"question": "need", "option": "yes", "rule": MARRIED},
    )
    drawn_from = {each["id"] for each in population}
    chosen = await visits(officer, survey_id=survey)
    assert len(chosen) == 200
    assert {each["resident_id"] for each in chosen} <= drawn_from
    await answer_all(officer, survey, [{"need": "yes"}] * 184 + [{"need": "no"}] * 16)
    found = await results(officer, survey)
    assert (found["population"], found["sample"], found["response_rate"]) == (3256, 200, 1)
    assert found["visits"] == {"open": 0, "done": 200, "not_met": 0, "refused": 0}
    assert found["confidence"] == 0.95
    need = found["questions"][0]
    assert need == {
        "key": "need",
        "text": NEED["text"],
        "kind": "single",
        "answered": 200,
        "options": [
            {
                "code": "yes",
                "text": "需要",
                "count": 184,
                "share": 0.92,
                "low": 0.8757,
                "high": 0.9494,
                "suppressed": False,
            },
            {
                "code": "no",
                "text": "不需要",
                "count": 16,
                "share": 0.08,
                "low": 0.0506,
                "high": 0.1243,
                "suppressed": False,
            },
        ],
        "mean": None,
        "texts": None,
    }
    assert found["predicted"] == {
        "question": "need",
        "option": "yes",
        "predicted_share": round((32 * 93 + 56) / 3256, 4),
        "surveyed_share": 0.92,
        "low": 0.8757,
        "high": 0.9494,
        "within_interval": True,
    }


async def test_those_who_did_not_answer_count_as_drawn_only(town: Town) -> None:
    await settle(town, women(40))
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    survey = await drawn(worker, 20, predicted={"question": "need", "option": "no", "share": 0.9})
    empty = await results(worker, survey)
    assert (empty["response_rate"], empty["visits"]["open"]) == (0, 20)
    assert [each["answered"] for each in empty["questions"]] == [0, 0, 0, 0]
    assert empty["questions"][0]["options"][0] == {
        "code": "yes",
        "text": "需要",
        "count": 0,
        "share": None,
        "low": None,
        "high": None,
        "suppressed": False,
    }
    assert empty["predicted"]["within_interval"] is None
    sheets = [
        {"need": "yes", "topics": ["food", "baby"], "children": 1, "remarks": "好"},
        {"need": "yes", "topics": [], "children": 2},
        {"need": "no", "topics": ["food"], "children": 4.5},
        {"need": "yes"},
    ]
    await answer_all(worker, survey, sheets)
    found = await visits(worker, survey_id=survey)
    await answered(worker, found[4]["id"], "not_met")
    await answered(worker, found[5]["id"], "refused")
    body = await results(worker, survey)
    assert body["visits"] == {"open": 14, "done": 4, "not_met": 1, "refused": 1}
    assert body["response_rate"] == 0.2
    need, topics, children, remarks = body["questions"]
    assert [(o["count"], o["share"]) for o in need["options"]] == [(3, 0.75), (1, 0.25)]
    assert topics["answered"] == 3
    assert [(o["count"], o["share"]) for o in topics["options"]] == [
        (2, 0.6667),
        (0, 0.0),
        (1, 0.3333),
    ]
    # 2.5 +- t(2) 4.3027 * 1.8028 / sqrt(3) * sqrt(1 - 3/40)
    assert children["mean"] == {
        "mean": 2.5,
        "low": -1.8071,
        "high": 6.8071,
        "smallest": 1,
        "largest": 4.5,
    }
    assert (remarks["answered"], remarks["texts"]) == (1, ["好"])
    assert body["predicted"]["predicted_share"] == 0.9
    assert body["predicted"]["within_interval"] is False


async def test_few_of_a_sensitive_audience_are_not_told(town: Town) -> None:
    await settle(town, women(30, labels=["志愿者"]))
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    tag = await officer.get("/v1/tags/volunteer")
    changed = await officer.patch(
        "/v1/tags/volunteer",
        json={"sensitivity": "sensitive"},
        headers={"If-Match": tag.headers["etag"]},
    )
    assert changed.status_code == 200, changed.text
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    survey = await drawn(
        worker,
        20,
        rule={"tag": "volunteer"},
        questions=[NEED, TOPICS],
        predicted={"question": "need", "option": "no", "rule": {"not": {"tag": "volunteer"}}},
    )
    await answer_all(
        worker,
        survey,
        [{"need": "yes", "topics": ["food"]}] * 17 + [{"need": "no", "topics": ["birth"]}] * 3,
    )
    hidden = await results(worker, survey)
    for option in hidden["questions"][0]["options"]:
        assert option["suppressed"]
        assert {option[name] for name in ("count", "share", "low", "high")} == {None}
    assert [o["count"] for o in hidden["questions"][1]["options"]] == [None, None, 0]
    assert hidden["predicted"]["surveyed_share"] is None
    assert hidden["predicted"]["predicted_share"] == 0
    shown = await results(officer, survey)
    assert [o["count"] for o in shown["questions"][0]["options"]] == [17, 3]
    assert shown["predicted"]["surveyed_share"] == 0.15


async def test_a_small_sensitive_audience_is_not_counted(town: Town) -> None:
    await settle(town, women(3, labels=["低保"]))
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    created = await officer.post(
        "/v1/tags",
        json={
            "code": "in_debt",
            "name_zh": "负债",
            "name_en": "In debt",
            "sensitivity": "sensitive",
        },
    )
    assert created.status_code == 201, created.text
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    survey = await drawn(worker, 20, rule={"not": {"tag": "in_debt"}})
    for client, expected in ((worker, None), (officer, 3)):
        body = (await client.get(f"/v1/surveys/{survey}")).json()
        assert (body["population"], body["sample"]) == (expected, expected)
        found = await results(client, survey)
        assert (found["population"], found["sample"]) == (expected, expected)
        # Nor by what came of visits: they are as many as were drawn.
        visited = {"open": 3, "done": 0, "not_met": 0, "refused": 0} if expected else None
        assert (found["visits"], found["response_rate"]) == (visited, 0 if expected else None)
