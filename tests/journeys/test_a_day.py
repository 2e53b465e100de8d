"""A community worker's day, through the gateway, with all four processes up."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from tests.journeys.conftest import RunningTown
from tests.residents_api.ledgers import all_items, imported, person, text
from tests.residents_api.people import VILLAGE, number

TOWN = "510182104"
SECRET = "journey_secret"
WORD = "书香门第"
WOMEN_25_TO_35 = {
    "all": [
        {"area": TOWN},
        {"field": "sex", "op": "eq", "value": "female"},
        {"field": "age", "op": "between", "value": [25, 35]},
    ]
}


async def count(client: httpx.AsyncClient, rule: Any, position: str | None = None) -> int:
    body: dict[str, Any] = {"rule": rule}
    if position:
        body["min_position"] = position
    answer = await client.post("/v1/audiences/count", json=body)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["count"])


async def until(client: httpx.AsyncClient, path: str, state: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await client.get(path)).json()
            if found["state"] == state:
                return found
            await asyncio.sleep(0.1)


async def test_the_day(town: RunningTown, data: Path) -> None:
    officer, worker = town.as_account("town"), town.as_account("village")
    citizen = town.as_account("resident")

    # 1. Who am I
    me = (await worker.get("/v1/me")).json()
    assert (me["roles"], me["areas"]) == (["community_worker"], [VILLAGE])
    woman = (await citizen.get("/v1/me")).json()["resident_id"]

    # 4. The town's figure, from the projection
    assert await count(officer, WOMEN_25_TO_35) == 3256
    divisions = [d async for d in all_items(worker, "/v1/divisions", parent_code=TOWN)]
    assert len(divisions) == 11

    # 2. A ledger on a town that holds people
    expected = json.loads((data / "ledger_jinsha.expected.json").read_text())
    before = await count(officer, {"area": VILLAGE})
    job = await imported(worker, data / "ledger_jinsha.xlsx")
    assert (job["residents_created"], job["rows_rejected"]) == (
        expected["residents"],
        expected["rejected"],
    )
    assert job["dwellings_created"] == expected["dwellings"]
    rows = [r async for r in all_items(worker, f"/v1/imports/{job['id']}/rows", has_codes=True)]
    assert [(r["row"], r["outcome"], r["codes"]) for r in rows] == [
        (r["row"], r["outcome"], r["codes"]) for r in expected["key"]
    ]
    after = await count(officer, {"area": VILLAGE}, job["position"])
    assert after == before + expected["residents"]
    again = await imported(worker, data / "ledger_jinsha.xlsx")
    assert again["residents_unchanged"] == expected["residents"]

    # 3. Find, reveal, correct, move
    await find_and_correct(town, worker)
    await move_in_and_out(worker)

    # 4. Labels: by hand, and from a ledger
    made = await worker.post(
        "/v1/tag-assignments", json={"tag": "volunteer", "resident_ids": [woman]}
    )
    labelled = {"all": [WOMEN_25_TO_35, {"tag": "volunteer"}]}
    assert await count(officer, labelled, made.headers["position"]) > 0
    await an_unknown_label_waits(officer, worker)

    # 5. Notify exactly them, once
    draft = await officer.post(
        "/v1/campaigns",
        json={"rule": WOMEN_25_TO_35, "title": "孕妇学校", "body": "周六九点", "topic": "health"},
    )
    assert draft.status_code == 201, draft.text
    campaign = f"/v1/campaigns/{draft.json()['id']}"
    assert (await officer.post(f"{campaign}/send")).status_code == 202
    sent = await until(officer, campaign, "sent")
    reached = await count(officer, WOMEN_25_TO_35)
    assert sent["recipients"] == sent["delivered"] == reached
    inbox = (await citizen.get("/v1/me/messages")).json()["items"]
    assert [m["title"] for m in inbox] == ["孕妇学校"]
    assert (await officer.post(f"{campaign}/send")).status_code == 409
    secret = {"name_zh": "保密", "name_en": "Secret", "sensitivity": "highest"}
    assert (await officer.post("/v1/tags", json={"code": SECRET, **secret})).status_code == 201
    refused = await officer.post(
        "/v1/campaigns", json={"rule": {"not": {"tag": SECRET}}, "title": "不", "body": "不"}
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "campaign.sensitive_rule")

    # 6. Report and answer
    await report_and_answer(town, citizen, worker)


async def find_and_correct(town: RunningTown, worker: httpx.AsyncClient) -> None:
    found = await worker.post("/v1/residents/search", json={"pinyin": "zqx", "name": "邹琴"})
    resident = found.json()["items"][0]
    assert "邹琴秀" not in found.text
    path = f"/v1/residents/{resident['id']}"
    plain = await worker.post(
        f"{path}/reveal", json={"purpose": "入户走访", "fields": ["name", "id_number", "phones"]}
    )
    assert plain.json()["name"] == "邹琴秀"
    for exactly in (
        {"id_number": plain.json()["id_number"]},
        {"phone": plain.json()["phones"][0]},
        {"pinyin": "zouqinxiu"},
    ):
        same = await worker.post("/v1/residents/search", json=exactly)
        assert resident["id"] in {item["id"] for item in same.json()["items"]}, list(exactly)
    seen = await town.as_account("auditor").get(f"{path}/accesses")
    assert ("reveal", "入户走访") in [(r["act"], r["purpose"]) for r in seen.json()["items"]]
    tag = (await worker.get(path)).headers["etag"]
    for expected in (200, 412):
        changed = await worker.patch(
            path, json={"education": "undergraduate"}, headers={"If-Match": tag}
        )
        assert changed.status_code == expected, changed.text
    lives = (await worker.get(f"{path}/occupancies")).json()["items"]
    there = (await worker.get(f"/v1/dwellings/{lives[0]['dwelling_id']}/occupancies")).json()
    assert resident["id"] in {row["resident_id"] for row in there["items"]}


async def move_in_and_out(worker: httpx.AsyncClient) -> None:
    """Somebody new is registered, moves in and moves out again."""
    made = await worker.post(
        "/v1/residents",
        json={
            "name": "祝新来",
            "id_number": number("1951-03-04", 701),
            "population_type": "household_registered",
        },
    )
    assert made.status_code == 201, made.text
    resident = made.json()["id"]
    listed = (await worker.get("/v1/dwellings", params={"area": VILLAGE, "page_size": 1})).json()
    rule = {"all": [{"area": VILLAGE}, {"field": "birth_date", "op": "eq", "value": "1951-03-04"}]}
    before = await count(worker, rule, made.headers["position"])
    moved = await worker.post(
        "/v1/occupancies",
        json={
            "resident_id": resident,
            "dwelling_id": listed["items"][0]["id"],
            "tenure": "tenant",
            "relation_to_head": "other",
            "start_date": "2020-01-01",
        },
    )
    assert moved.status_code == 201, moved.text
    assert await count(worker, rule, moved.headers["position"]) == before + 1
    left = await worker.post(
        f"/v1/occupancies/{moved.json()['id']}/end", json={"end_date": "2021-01-01"}
    )
    assert left.status_code == 200, left.text
    assert await count(worker, rule, left.headers["position"]) == before


async def an_unknown_label_waits(officer: httpx.AsyncClient, worker: httpx.AsyncClient) -> None:
    """A word that nobody knows is of no use until an officer classifies it."""
    bearer = person("祝有名", number("1952-05-06", 703), room="9901", labels=WORD)
    job = await imported(worker, text(bearer), name="labels.csv")
    assert job["residents_created"] == 1, job
    anybody = {"any": [{"area": VILLAGE}]}
    await count(officer, anybody, job["position"])  # what the ledger said has arrived
    waiting = all_items(officer, "/v1/tags", state="unclassified")
    (code,) = [tag["code"] async for tag in waiting if tag["name_zh"] == WORD]
    refused = await officer.post("/v1/audiences/count", json={"rule": {"tag": code}})
    assert (refused.status_code, refused.json()["code"]) == (422, "tag.unclassified")
    tag = await officer.get(f"/v1/tags/{code}")
    classified = await officer.patch(
        f"/v1/tags/{code}",
        json={"name_en": "Reading family", "sensitivity": "public"},
        headers={"If-Match": tag.headers["etag"]},
    )
    assert classified.status_code == 200, classified.text
    assert await count(officer, {"tag": code}) == 1


async def report_and_answer(
    town: RunningTown, citizen: httpx.AsyncClient, worker: httpx.AsyncClient
) -> None:
    photo = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "a-camera-of-somebody"
    Image.new("RGB", (320, 200), "navy").save(photo, "JPEG", exif=exif)
    made = await citizen.post(
        "/v1/reports",
        data={"category": "city_management", "text": "路灯不亮", "address": "东门"},
        files={"photos": ("lamp.jpg", photo.getvalue(), "image/jpeg")},
    )
    assert made.status_code == 201, made.text
    report = f"/v1/reports/{made.json()['id']}"
    stored = await worker.get(f"{report}/photos/1")
    assert stored.headers["content-type"] == "image/jpeg", stored.text
    assert b"a-camera-of-somebody" not in stored.content
    listed = (await worker.get("/v1/reports", params={"area": VILLAGE})).json()["items"]
    assert made.json()["id"] in {row["id"] for row in listed}
    assert (await worker.post(f"{report}/replies", json={"text": "今晚修"})).status_code == 201
    assert (await worker.post(f"{report}/resolve", json={"text": "已修复"})).status_code == 200
    answered = (await citizen.get(report)).json()
    assert answered["status"] == "resolved"
    assert [r["text"] for r in answered["replies"]] == ["今晚修", "已修复"]
    figures = (await worker.get("/v1/reports/statistics", params={"area": VILLAGE})).json()
    assert (figures["total"], figures["answered"], figures["answer_rate"]) == (1, 1, 1.0)
    async with asyncio.timeout(10):
        while True:
            inbox = (await citizen.get("/v1/me/messages")).json()["items"]
            about = [m for m in inbox if m["subject_id"] == made.json()["id"]]
            if len(about) == 2:
                break
            await asyncio.sleep(0.1)
    # It was filed for the village, of which a grid is only a part.
    assert (await town.as_account("grid").get(report)).status_code == 404
    assert (await citizen.post(f"{report}/replies", json={"text": "?"})).status_code == 403
