"""Channels outside of this service: what leaves, what fails, what is tried again, what is in doubt."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from aiohttp import web

from services.common.access import Role
from services.common.database import Sessions
from services.common.outbox import Event
from services.tagging_api.domain.campaigns import Channel
from services.tagging_api.models import Campaign, Delivery, Parcel, WebhookEndpoint
from services.tagging_api.service.campaigns.carrying import Courier
from services.tagging_api.service.campaigns.sending import Sender
from services.tagging_api.service.channels.base import Carrier, Load, NotTaken
from services.tagging_api.settings import CampaignSettings, Settings
from tests.conftest import FixedClock
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import AREA_CHANGED, JINSHA, OTHER, TOWN, person, place
from tests.tagging_api.test_campaigns import TEXT, drafted, ended, sent
from tests.tagging_api.test_sender import _campaign

HERE = {"area": TOWN}
FAR = 4_102_444_800


class Receiver:
    """A platform that webhooks go to."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.seen: list[tuple[dict[str, str], bytes]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status, headers={"Location": "http://127.0.0.1:9/"})


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/hook", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"{runner.addresses[0][0]}:{runner.addresses[0][1]}"
    made.url = f"http://{made.url}/hook"
    yield made
    await runner.cleanup()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A machine of one's own may be called; what fails is tried again at once."""
    return settings.model_copy(
        update={
            "webhook_hosts": frozenset({"127.0.0.1"}),
            "campaigns": CampaignSettings(
                attempts=3, parcel_size=2, first_retry_seconds=10, longest_retry_seconds=20
            ),
        }
    )


@pytest.fixture
async def officer(town: Town) -> AsyncGenerator[httpx.AsyncClient]:
    async with town.tagging.as_role(Role.CITY_OFFICER, exp=FAR) as client:
        yield client


async def registered(officer: httpx.AsyncClient, url: str) -> dict[str, Any]:
    answer = await officer.post("/v1/webhook-endpoints", json={"name": "市民云", "url": url})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def lines(settings: Settings, channel: str) -> list[dict[str, Any]]:
    assert settings.outbox_directory is not None
    path = settings.outbox_directory / f"{channel}.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def deliveries(
    client: httpx.AsyncClient, campaign: dict[str, Any], **filters: Any
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        params = {"page_size": 2, **filters} | ({"page_token": token} if token else {})
        answer = await client.get(f"/v1/campaigns/{campaign['id']}/deliveries", params=params)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if (token := answer.json()["next_page_token"]) is None:
            return found


async def test_every_channel_gets_each_recipient_once(
    town: Town, settings: Settings, officer: httpx.AsyncClient
) -> None:
    people = [person() for _ in range(5)]
    await town.live_here(*people)
    done = await sent(officer, HERE, channels=["push", "in_app", "sms", "sms"])
    assert done["channels"] == ["in_app", "sms", "push"]
    assert (done["recipients"], done["delivered"]) == (5, 5)
    ids = sorted(each["id"] for each in people)
    for channel in ("sms", "push"):
        written = lines(settings, channel)
        assert sorted(line["resident_id"] for line in written) == ids
        assert {line["body"] for line in written} == {TEXT["body"]}
        assert len({line["parcel_id"] for line in written}) == 3
        assert set(written[0]) == {
            *("parcel_id", "campaign_id", "channel", "resident_id"),
            *("title", "body", "emergency", "at"),
        }
    zero = {"pending": 0, "failed": 0, "dead": 0, "skipped": 0, "unknown": 0}
    assert done["by_channel"] == [
        {"channel": channel, "delivered": 5, **zero} for channel in ("in_app", "sms", "push")
    ]
    listed = await deliveries(officer, done)
    assert sorted((each["resident_id"], each["channel"]) for each in listed) == sorted(
        (each, channel) for each in ids for channel in ("in_app", "sms", "push")
    )
    assert {each["attempts"] for each in listed if each["channel"] == "sms"} == {1}
    only = await deliveries(officer, done, channel="push", state="delivered")
    assert [each["resident_id"] for each in only] == ids


async def test_a_broadcast_is_one_for_each_village(
    town: Town, settings: Settings, officer: httpx.AsyncClient
) -> None:
    area = {"kind": "division", "code": JINSHA, "name": "金沙社区", "village_code": JINSHA}
    await town.arrived(town.register, Event(AREA_CHANGED, {"areas": [area]}))
    await town.live_here(
        *(person() for _ in range(3)),
        person(places=[place(OTHER)]),
        person(places=[place("510182105001")]),
    )
    text = {"title": "停水通知", "body": "{{village}}今晚停水。"}
    answer = await officer.post(
        "/v1/campaigns", json={"rule": HERE, **text, "channels": ["broadcast"]}
    )
    await officer.post(f"/v1/campaigns/{answer.json()['id']}/send")
    done = await ended(officer, answer.json()["id"])
    assert (done["state"], done["recipients"], done["delivered"]) == ("sent", 0, 0)
    written = lines(settings, "broadcast")
    assert {(line["area"], line["body"]) for line in written} == {
        (JINSHA, "金沙社区今晚停水。"),
        (OTHER, "社区今晚停水。"),
    }
    assert len(written) == 2
    assert "resident_id" not in written[0]
    listed = await deliveries(officer, done)
    assert {(each["area"], each["resident_id"], each["state"]) for each in listed} == {
        (JINSHA, None, "delivered"),
        (OTHER, None, "delivered"),
    }
    assert done["by_channel"][0]["delivered"] == 2


async def test_variables_are_filled_in_for_each_resident(
    town: Town, settings: Settings, officer: httpx.AsyncClient
) -> None:
    area = {"kind": "division", "code": JINSHA, "name": "金沙社区", "village_code": JINSHA}
    await town.arrived(town.register, Event(AREA_CHANGED, {"areas": [area]}))
    people = {"female": person(sex="female"), "male": person(sex="male"), None: person()}
    await town.live_here(*people.values())
    text = {"title": "{{village}}通知", "body": "{{ salutation }}，您住在{{compound}}。"}
    answer = await officer.post(
        "/v1/campaigns", json={"rule": HERE, **text, "channels": ["in_app", "sms"]}
    )
    assert answer.json()["body"] == "{{salutation}}，您住在{{compound}}。"
    await officer.post(f"/v1/campaigns/{answer.json()['id']}/send")
    await ended(officer, answer.json()["id"])
    said = {line["resident_id"]: line["body"] for line in lines(settings, "sms")}
    for sex, salutation in (("female", "女士"), ("male", "先生"), (None, "居民")):
        mine = town.tagging.as_role(Role.RESIDENT, resident_id=people[sex]["id"])
        [message] = (await mine.get("/v1/me/messages")).json()["items"]
        assert message["title"] == "金沙社区通知"
        assert message["body"] == said[people[sex]["id"]] == f"{salutation}，您住在小区。"


@pytest.mark.parametrize("text", ["{{name}}", "{{ phone }}", "{{}}", "{{village", "a}}"])
async def test_no_other_variable_is_taken(
    town: Town, officer: httpx.AsyncClient, text: str
) -> None:
    for field in ("title", "body"):
        refused = await officer.post("/v1/campaigns", json={"rule": HERE, **TEXT, field: text})
        assert refused.status_code == 422
        [fault] = refused.json()["errors"]
        assert (fault["pointer"], fault["code"]) == (f"/{field}", "template.unknown_variable")


async def test_a_webhook_is_signed_and_holds_ids_alone(
    town: Town, officer: httpx.AsyncClient, receiver: Receiver
) -> None:
    people = [person() for _ in range(3)]
    await town.live_here(*people)
    endpoint = await registered(officer, receiver.url)
    secret = base64.b64decode(endpoint["secret"].removeprefix("whsec_"))
    assert len(secret) == 32
    shown = (await officer.get(f"/v1/webhook-endpoints/{endpoint['id']}")).json()
    assert "secret" not in shown
    async with town.tagging.state["sessions"].read() as session:
        stored = (await session.scalars(sa.select(WebhookEndpoint.secret))).one()
    assert endpoint["secret"].encode() not in stored
    assert secret not in stored
    done = await sent(
        officer, HERE, channels=["webhook"], webhook_endpoint_id=endpoint["id"], topic="health"
    )
    assert (done["recipients"], done["delivered"]) == (3, 3)
    reached: list[str] = []
    for headers, body in receiver.seen:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        document = json.loads(body)
        assert document["type"] == "cn.shequ.tagging.campaign.delivery"
        assert set(document["data"]) == {
            *("campaign_id", "topic", "emergency", "count", "resident_ids"),
        }
        assert document["data"]["count"] == len(document["data"]["resident_ids"])
        reached += document["data"]["resident_ids"]
    assert sorted(reached) == sorted(each["id"] for each in people)


async def test_a_webhook_that_fails_comes_again_with_the_same_id_and_then_is_dead(
    town: Town, officer: httpx.AsyncClient, receiver: Receiver, clock: FixedClock
) -> None:
    await town.live_here(person(), person())
    endpoint = await registered(officer, receiver.url)
    receiver.status = 503
    campaign = await drafted(
        officer, HERE, channels=["webhook"], webhook_endpoint_id=endpoint["id"]
    )
    path = f"/v1/campaigns/{campaign['id']}"
    await officer.post(f"{path}/send")
    for attempt in range(1, 4):
        while len(receiver.seen) < attempt:
            await asyncio.sleep(0.01)
            if attempt > 1:
                clock.advance(timedelta(seconds=1))
    done = await ended(officer, campaign["id"])
    assert (done["state"], done["delivered"], done["failed"]) == ("sent", 0, 2)
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1
    dead = await deliveries(officer, campaign, state="dead")
    assert [(each["attempts"], each["failure"]) for each in dead] == [(3, "http.status_503")] * 2

    receiver.status = 200
    again = await officer.post(f"{path}/deliveries/resend")
    assert (again.status_code, again.json()) == (202, {"resent": 2})
    done = await ended(officer, campaign["id"])
    assert (done["state"], done["delivered"], done["failed"]) == ("sent", 2, 0)
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1
    again = await officer.post(f"{path}/deliveries/resend")
    assert again.json() == {"resent": 0}


async def test_who_redirects_is_not_followed_and_who_is_gone_is_told_nothing_more(
    town: Town, officer: httpx.AsyncClient, receiver: Receiver
) -> None:
    await town.live_here(*(person() for _ in range(4)))
    endpoint = await registered(officer, receiver.url)
    receiver.status = 410
    done = await sent(officer, HERE, channels=["webhook"], webhook_endpoint_id=endpoint["id"])
    assert (done["state"], done["by_channel"][0]["dead"]) == ("sent", 4)
    assert len(receiver.seen) <= 2  # parcels that were under way at once
    shown = (await officer.get(f"/v1/webhook-endpoints/{endpoint['id']}")).json()
    assert shown["disabled_at"] is not None
    refused = await officer.post(
        "/v1/campaigns",
        json={
            "rule": HERE,
            **TEXT,
            "channels": ["webhook"],
            "webhook_endpoint_id": endpoint["id"],
        },
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "webhook_endpoint.unknown")
    assert (await officer.delete(f"/v1/webhook-endpoints/{endpoint['id']}")).status_code == 204
    assert (await officer.get(f"/v1/webhook-endpoints/{endpoint['id']}")).status_code == 404


async def test_an_endpoint_belongs_to_its_creators_areas(
    town: Town, officer: httpx.AsyncClient, receiver: Receiver
) -> None:
    endpoint = await registered(officer, receiver.url)
    other = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    assert (await other.get(path)).status_code == 404
    assert (await other.delete(path)).status_code == 404
    assert (await other.get("/v1/webhook-endpoints")).json()["items"] == []
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, TOWN)
    body = {"rule": HERE, **TEXT, "channels": ["webhook"], "webhook_endpoint_id": endpoint["id"]}
    refused = await worker.post("/v1/campaigns", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "webhook_endpoint.unknown")
    campaign = await officer.post("/v1/campaigns", json=body)
    assert campaign.status_code == 201
    used = await officer.delete(path)
    assert (used.status_code, used.json()["code"]) == (409, "webhook_endpoint.in_use")


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://192.168.1.1:8080/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:127.0.0.2]/",
        "http://[64:ff9b::7f00:1]/",
        "http://0.0.0.0/",
        "http://user:password@example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://exa mple.com/",
        "https://example.com\\@127.0.0.2/",
        "https://example.com:99999/",
        "https://%31%32%37.0.0.2/",
        "//example.com",
    ],
)
async def test_urls_that_could_reach_inside_are_refused(
    officer: httpx.AsyncClient, url: str
) -> None:
    refused = await officer.post("/v1/webhook-endpoints", json={"name": "x", "url": url})
    assert (refused.status_code, refused.json()["code"]) == (422, "webhook_endpoint.url_refused")


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433"])
async def test_a_name_that_leads_inside_gets_nothing(
    town: Town, officer: httpx.AsyncClient, receiver: Receiver, host: str
) -> None:
    await town.live_here(person())
    endpoint = await registered(officer, receiver.url.replace("127.0.0.1", host))
    campaign = await drafted(
        officer, HERE, channels=["webhook"], webhook_endpoint_id=endpoint["id"]
    )
    await officer.post(f"/v1/campaigns/{campaign['id']}/send")
    while not await deliveries(officer, campaign, state="failed"):
        await asyncio.sleep(0.02)
    assert receiver.seen == []


async def test_quiet_hours_defer_what_rings_and_nothing_else(
    town: Town, settings: Settings, officer: httpx.AsyncClient, clock: FixedClock
) -> None:
    someone = person()
    await town.live_here(someone)
    clock.advance(timedelta(hours=9))  # nine in the evening
    campaign = await drafted(officer, HERE, channels=["in_app", "sms"])
    path = f"/v1/campaigns/{campaign['id']}"
    await officer.post(f"{path}/send")
    urgent = await drafted(officer, HERE, channels=["sms"], emergency=True, topic="emergency")
    await officer.post(f"/v1/campaigns/{urgent['id']}/send")
    assert (await ended(officer, urgent["id"]))["delivered"] == 1
    waiting = (await officer.get(path)).json()
    assert (waiting["state"], waiting["delivered"]) == ("sending", 1)
    assert waiting["deferred_until"] == "2026-11-24T00:00:00Z"
    assert [line["campaign_id"] for line in lines(settings, "sms")] == [urgent["id"]]
    clock.advance(timedelta(hours=10, minutes=59))
    await asyncio.sleep(1.2)
    assert (await officer.get(path)).json()["state"] == "sending"
    clock.advance(timedelta(minutes=1))
    done = await ended(officer, campaign["id"])
    assert (done["state"], done["delivered"], done["deferred_until"]) == ("sent", 1, None)
    assert len(lines(settings, "sms")) == 2


async def test_who_opts_out_while_it_waits_gets_nothing(
    town: Town, settings: Settings, officer: httpx.AsyncClient, clock: FixedClock
) -> None:
    stays, leaves = person(), person()
    await town.live_here(stays, leaves)
    clock.advance(timedelta(hours=9))
    campaign = await drafted(officer, HERE, channels=["sms"], topic="culture")
    await officer.post(f"/v1/campaigns/{campaign['id']}/send")
    while not await deliveries(officer, campaign, state="pending"):
        await asyncio.sleep(0.02)
    mine = town.tagging.as_role(Role.RESIDENT, resident_id=leaves["id"])
    await mine.put("/v1/me/preferences", json={"opted_out": ["culture"]})
    clock.advance(timedelta(hours=12))
    done = await ended(officer, campaign["id"])
    assert [line["resident_id"] for line in lines(settings, "sms")] == [stays["id"]]
    assert done["skipped"] == [{"reason": "opted_out", "count": 1}]


async def test_cancelling_calls_off_what_waits(
    town: Town, settings: Settings, officer: httpx.AsyncClient, clock: FixedClock
) -> None:
    await town.live_here(person(), person())
    clock.advance(timedelta(hours=9))
    campaign = await drafted(officer, HERE, channels=["sms", "broadcast"])
    await officer.post(f"/v1/campaigns/{campaign['id']}/send")
    while len(await deliveries(officer, campaign, state="pending")) < 3:
        await asyncio.sleep(0.02)
    await officer.post(f"/v1/campaigns/{campaign['id']}/cancel")
    clock.advance(timedelta(hours=12))
    await asyncio.sleep(1.2)
    assert lines(settings, "sms") == lines(settings, "broadcast") == []
    listed = await deliveries(officer, campaign)
    assert {(each["state"], each["reason"]) for each in listed} == {("skipped", "cancelled")}


class Provider:
    """A channel that does as it is told."""

    needs_text = True

    def __init__(self, *, knows_repetition: bool = False) -> None:
        self.knows_repetition = knows_repetition
        self.taken: list[Load] = []
        self.does: Callable[[], None] = lambda: None

    async def carry(self, load: Load) -> None:
        self.taken.append(load)
        self.does()


def _raise(exception: BaseException) -> Callable[[], None]:
    def does() -> None:
        raise exception

    return does


class Killed(BaseException):
    """The process dies: nothing after this is done."""


@pytest.fixture
def provider() -> Provider:
    return Provider()


async def _waiting(
    alone: Sessions, clock: FixedClock, *, channel: Channel = Channel.SMS, people: int = 3
) -> None:
    """A campaign that is handed over, with parcels that have not left."""
    campaign_id = await _campaign(alone, clock, people=people)
    async with alone.write() as session:
        await session.execute(
            sa.update(Campaign).where(Campaign.id == campaign_id).values(channels=[channel.value])
        )
    sender = Sender(alone, clock=clock, batch_size=50, settings=CampaignSettings(parcel_size=2))
    while await sender.step():
        pass


def _courier(
    alone: Sessions, clock: FixedClock, provider: Carrier, *, channel: Channel = Channel.SMS
) -> Courier:
    return Courier(
        alone,
        clock=clock,
        carriers={channel: provider},
        sealing_key=b"3" * 32,
        settings=CampaignSettings(attempts=3, lease_seconds=60, quiet_channels=frozenset()),
        chance=lambda: 1.0,
    )


async def _states(alone: Sessions) -> Sequence[tuple[str, int]]:
    async with alone.read() as session:
        found = await session.execute(
            sa.select(Delivery.state, sa.func.count())
            .group_by(Delivery.state)
            .order_by(Delivery.state)
        )
        return [(row[0], row[1]) for row in found]


async def test_what_is_in_doubt_is_never_sent_again(
    alone: Sessions, clock: FixedClock, provider: Provider
) -> None:
    await _waiting(alone, clock)
    courier = _courier(alone, clock, provider)
    provider.does = _raise(Killed())
    with pytest.raises(Killed):
        await courier.step()
    # The other parcel is no matter of the one in doubt; and nobody touches that before its time.
    provider.does = lambda: None
    assert await courier.step()
    assert not await courier.step()
    assert await _states(alone) == [("delivered", 1), ("pending", 2)]
    clock.advance(timedelta(seconds=60))
    assert await courier.step()
    assert not await courier.step()
    assert await _states(alone) == [("delivered", 1), ("unknown", 2)]
    assert len(provider.taken) == 2
    async with alone.read() as session:
        assert (await session.scalars(sa.select(Campaign.state))).one() == "sent"


async def test_an_exception_that_says_nothing_leaves_it_in_doubt(
    alone: Sessions, clock: FixedClock, provider: Provider
) -> None:
    await _waiting(alone, clock, people=2)
    provider.does = _raise(TimeoutError())
    courier = _courier(alone, clock, provider)
    assert await courier.step()
    assert await _states(alone) == [("unknown", 2)]
    clock.advance(timedelta(days=1))
    assert not await courier.step()


async def test_who_knows_repetition_is_sent_it_once_more(
    alone: Sessions, clock: FixedClock
) -> None:
    provider = Provider(knows_repetition=True)
    await _waiting(alone, clock, people=2)
    courier = _courier(alone, clock, provider)
    provider.does = _raise(Killed())
    with pytest.raises(Killed):
        await courier.step()
    provider.does = lambda: None
    clock.advance(timedelta(seconds=60))
    assert await courier.step()
    assert len({load.id for load in provider.taken}) == 1
    assert len(provider.taken) == 2
    assert await _states(alone) == [("delivered", 2)]


async def test_a_refusal_is_tried_again_later_each_time_until_it_is_dead(
    alone: Sessions, clock: FixedClock, provider: Provider
) -> None:
    await _waiting(alone, clock, people=2)
    provider.does = _raise(NotTaken("provider.busy"))
    courier = _courier(alone, clock, provider)
    for seconds in (0, 10, 20):
        clock.advance(timedelta(seconds=seconds) - timedelta(milliseconds=1))
        if seconds:
            assert not await courier.step()
        clock.advance(timedelta(milliseconds=1))
        assert await courier.step()
    assert await _states(alone) == [("dead", 2)]
    assert not await courier.step()
    async with alone.read() as session:
        parcel = (await session.scalars(sa.select(Parcel))).one()
    assert (parcel.attempts, parcel.failure, parcel.state) == (3, "provider.busy", "dead")


async def test_a_final_refusal_is_dead_at_once(
    alone: Sessions, clock: FixedClock, provider: Provider
) -> None:
    await _waiting(alone, clock, people=2)
    provider.does = _raise(NotTaken("provider.no_such_number", final=True))
    assert await _courier(alone, clock, provider).step()
    assert await _states(alone) == [("dead", 2)]


async def test_couriers_at_once_take_each_parcel_once(
    alone: Sessions, clock: FixedClock, provider: Provider
) -> None:
    await _waiting(alone, clock, people=40)
    couriers = [_courier(alone, clock, provider) for _ in range(4)]

    async def work(courier: Courier) -> None:
        while await courier.step():
            pass

    await asyncio.gather(*map(work, couriers))
    assert await _states(alone) == [("delivered", 40)]
    assert len(provider.taken) == len({load.id for load in provider.taken}) == 20
    everybody = [letter.resident_id for load in provider.taken for letter in load.letters]
    assert len(everybody) == len(set(everybody)) == 40


async def test_a_late_end_corrects_what_was_in_doubt(
    alone: Sessions, clock: FixedClock, provider: Provider
) -> None:
    await _waiting(alone, clock, people=2)
    slow = asyncio.Event()
    started = asyncio.Event()

    class Slow(Provider):
        async def carry(self, load: Load) -> None:
            del load
            started.set()
            await slow.wait()

    carrying = asyncio.create_task(_courier(alone, clock, Slow()).step())
    await started.wait()
    clock.advance(timedelta(seconds=60))
    assert await _courier(alone, clock, provider).step()
    assert await _states(alone) == [("unknown", 2)]
    slow.set()
    await carrying
    assert await _states(alone) == [("delivered", 2)]
    assert provider.taken == []
