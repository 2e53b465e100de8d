"""A community worker's day, through the gateway, with all four processes up."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.journeys.conftest import RunningTown
from tests.residents_api.ledgers import VILLAGE, all_items, imported

pytestmark = pytest.mark.xdist_group("journey")

TOWN = "510182104"
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
    found = await worker.post("/v1/residents/search", json={"pinyin": "zqx", "name": "邹琴"})
    resident = found.json()["items"][0]
    assert "邹琴秀" not in found.text
    plain = await worker.post(
        f"/v1/residents/{resident['id']}/reveal", json={"purpose": "入户走访", "fields": ["name"]}
    )
    assert plain.json()["name"] == "邹琴秀"
    seen = await town.as_account("auditor").get(f"/v1/residents/{resident['id']}/accesses")
    assert [(r["act"], r["purpose"]) for r in seen.json()["items"]] == [("reveal", "入户走访")]
    changed = await worker.patch(
        f"/v1/residents/{resident['id']}",
        json={"education": "undergraduate"},
        headers={"If-Match": found.headers.get("etag", f'"{resident["version"]}"')},
    )
    assert changed.status_code == 200, changed.text
    lives = (await worker.get(f"/v1/residents/{resident['id']}/occupancies")).json()["items"]
    there = (await worker.get(f"/v1/dwellings/{lives[0]['dwelling_id']}/occupancies")).json()
    assert resident["id"] in {row["resident_id"] for row in there["items"]}

    # 4. Labels: an unknown word is of no use until an officer classifies it
    await worker.post("/v1/tag-assignments", json={"tag": "volunteer", "resident_ids": [woman]})
    volunteers = {"all": [WOMEN_25_TO_35, {"tag": "volunteer"}]}
    assert await count(officer, volunteers) > 0

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
    await officer.post(
        "/v1/tags",
        json={
            "code": "journey_secret",
            "name_zh": "保密",
            "name_en": "Secret",
            "sensitivity": "highest",
        },
    )
    refused = await officer.post(
        "/v1/campaigns",
        json={"rule": {"not": {"tag": "journey_secret"}}, "title": "不", "body": "不"},
    )
    assert refused.status_code == 422, refused.text

    # 6. Report and answer
    await report_and_answer(town, citizen, worker)


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
    assert stored.headers["content-type"] == "image/jpeg"
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
    outsider = town.as_account("grid")
    assert (await outsider.get(report)).status_code in {200, 404}
