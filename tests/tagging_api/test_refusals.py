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
from tests.tagging_api.polls import POLL

ROUTES: dict[tuple[str, str], Permission] = {
    ("GET", "/v1/tags"): Permission.TAGS_READ,
    ("POST", "/v1/tags"): Permission.TAGS_WRITE,
    ("GET", "/v1/tags/volunteer"): Permission.TAGS_READ,
    ("PATCH", "/v1/tags/volunteer"): Permission.TAGS_WRITE,
    ("GET", "/v1/tags/volunteer/membership-events"): Permission.TAGS_READ,
    ("GET", "/v1/tag-categories"): Permission.TAGS_READ,
    ("POST", "/v1/tag-categories"): Permission.TAGS_WRITE,
    ("GET", "/v1/tag-categories/hobbies"): Permission.TAGS_READ,
    ("PATCH", "/v1/tag-categories/hobbies"): Permission.TAGS_WRITE,
    ("GET", "/v1/tag-assignments"): Permission.TAGS_READ,
    ("POST", "/v1/tag-assignments"): Permission.TAG_ASSIGNMENTS_WRITE,
    ("DELETE", "/v1/tag-assignments"): Permission.TAG_ASSIGNMENTS_WRITE,
    ("POST", "/v1/audiences/count"): Permission.AUDIENCES_COUNT,
    ("POST", "/v1/audiences/breakdown"): Permission.AUDIENCES_COUNT,
    ("POST", "/v1/audiences/overlap"): Permission.AUDIENCES_COUNT,
    ("POST", "/v1/audiences/reach"): Permission.AUDIENCES_COUNT,
    ("GET", "/v1/audiences"): Permission.AUDIENCES_COUNT,
    ("POST", "/v1/audiences"): Permission.AUDIENCES_WRITE,
    ("GET", f"/v1/audiences/{uuid4()}"): Permission.AUDIENCES_COUNT,
    ("PATCH", f"/v1/audiences/{uuid4()}"): Permission.AUDIENCES_WRITE,
    ("DELETE", f"/v1/audiences/{uuid4()}"): Permission.AUDIENCES_WRITE,
    ("POST", f"/v1/audiences/{uuid4()}/freeze"): Permission.AUDIENCES_WRITE,
    ("POST", "/v1/audiences/preview"): Permission.AUDIENCES_COUNT,
    ("POST", "/v1/audiences/explain"): Permission.AUDIENCES_COUNT,
    ("GET", "/v1/campaigns"): Permission.CAMPAIGNS_WRITE,
    ("POST", "/v1/campaigns"): Permission.CAMPAIGNS_WRITE,
    ("GET", f"/v1/campaigns/{uuid4()}"): Permission.CAMPAIGNS_WRITE,
    ("PATCH", f"/v1/campaigns/{uuid4()}"): Permission.CAMPAIGNS_WRITE,
    ("POST", f"/v1/campaigns/{uuid4()}/send"): Permission.CAMPAIGNS_WRITE,
    ("POST", f"/v1/campaigns/{uuid4()}/approve"): Permission.CAMPAIGNS_APPROVE,
    ("POST", f"/v1/campaigns/{uuid4()}/reject"): Permission.CAMPAIGNS_APPROVE,
    ("POST", f"/v1/campaigns/{uuid4()}/pause"): Permission.CAMPAIGNS_WRITE,
    ("POST", f"/v1/campaigns/{uuid4()}/resume"): Permission.CAMPAIGNS_WRITE,
    ("POST", f"/v1/campaigns/{uuid4()}/cancel"): Permission.CAMPAIGNS_WRITE,
    ("GET", f"/v1/campaigns/{uuid4()}/deliveries"): Permission.CAMPAIGNS_WRITE,
    ("POST", f"/v1/campaigns/{uuid4()}/deliveries/resend"): Permission.CAMPAIGNS_WRITE,
    ("POST", "/v1/webhook-endpoints"): Permission.WEBHOOKS_WRITE,
    ("GET", "/v1/webhook-endpoints"): Permission.WEBHOOKS_WRITE,
    ("GET", f"/v1/webhook-endpoints/{uuid4()}"): Permission.WEBHOOKS_WRITE,
    ("DELETE", f"/v1/webhook-endpoints/{uuid4()}"): Permission.WEBHOOKS_WRITE,
    ("GET", "/v1/surveys"): Permission.SURVEYS_READ,
    ("POST", "/v1/surveys"): Permission.SURVEYS_WRITE,
    ("GET", f"/v1/surveys/{uuid4()}"): Permission.SURVEYS_READ,
    ("PATCH", f"/v1/surveys/{uuid4()}"): Permission.SURVEYS_WRITE,
    ("POST", f"/v1/surveys/{uuid4()}/draw"): Permission.SURVEYS_WRITE,
    ("POST", f"/v1/surveys/{uuid4()}/visits"): Permission.SURVEYS_WRITE,
    ("POST", f"/v1/surveys/{uuid4()}/close"): Permission.SURVEYS_WRITE,
    ("GET", f"/v1/surveys/{uuid4()}/results"): Permission.SURVEYS_READ,
    ("GET", "/v1/visits"): Permission.VISITS_WRITE,
    ("GET", f"/v1/visits/{uuid4()}"): Permission.VISITS_WRITE,
    ("POST", f"/v1/visits/{uuid4()}/answers"): Permission.VISITS_WRITE,
    ("POST", f"/v1/visits/{uuid4()}/take"): Permission.VISITS_WRITE,
    ("POST", f"/v1/visits/{uuid4()}/hand-over"): Permission.VISITS_WRITE,
    ("GET", "/v1/site-plans"): Permission.SITE_PLANS_WRITE,
    ("POST", "/v1/site-plans"): Permission.SITE_PLANS_WRITE,
    ("GET", f"/v1/site-plans/{uuid4()}"): Permission.SITE_PLANS_WRITE,
    ("GET", "/v1/me/messages"): Permission.MESSAGES_READ,
    ("POST", f"/v1/me/messages/{uuid4()}/read"): Permission.MESSAGES_READ,
    ("POST", f"/v1/me/messages/{uuid4()}/click"): Permission.MESSAGES_READ,
    ("POST", "/v1/me/messages/read"): Permission.MESSAGES_READ,
    ("GET", "/v1/me/messages/unread-count"): Permission.MESSAGES_READ,
    ("GET", "/v1/me/preferences"): Permission.MESSAGES_READ,
    ("PUT", "/v1/me/preferences"): Permission.MESSAGES_READ,
    ("GET", "/v1/topics"): Permission.REFERENCE_READ,
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
        "may_see": ["city_officer"],
        "rule": {"tag": "volunteer"},
    },
    ("PATCH", "/v1/tags/volunteer"): {
        "name_zh": "甲",
        "category": "c",
        "sensitivity": "internal",
        "may_see": None,
        "may_assign": ["grid_worker"],
        "may_target": None,
        "archived": False,
        "rule": {"field": "age", "op": "gte", "value": 80},
    },
    ("POST", "/v1/tag-categories"): {
        "code": "a",
        "name_zh": "甲",
        "name_en": "A",
        "parent_code": "hobbies",
    },
    ("PATCH", "/v1/tag-categories/hobbies"): {"name_zh": "甲", "parent_code": None},
    ("POST", "/v1/tag-assignments"): {
        "tag": "volunteer",
        "resident_ids": [str(uuid4())],
        "valid_from": "2026-12-01",
        "valid_until": "2027-12-01",
        "note": "甲",
    },
    ("DELETE", "/v1/tag-assignments"): {"tag": "volunteer", "resident_ids": [str(uuid4())]},
    ("POST", "/v1/audiences/count"): {"rule": {"area": "51"}, "min_position": "x"},
    ("POST", "/v1/audiences/breakdown"): {
        "rule": {"area": "51"},
        "by": "village",
        "tags": ["volunteer"],
        "min_position": "x",
    },
    ("POST", "/v1/audiences/overlap"): {
        "audiences": [{"rule": {"area": "51"}}, {"audience": str(uuid4())}],
        "min_position": "x",
    },
    ("POST", "/v1/audiences/reach"): {
        "rule": {"area": "51"},
        "topic": "health",
        "channel": "in_app",
        "min_position": "x",
    },
    ("POST", "/v1/audiences"): {
        "name": "甲",
        "rule": {"sample": {"rule": {"tag": "volunteer", "source": "worker"}, "n": 1}},
        "kind": "frozen",
    },
    ("POST", "/v1/audiences/preview"): {
        "rule": {"area": "51"},
        "page_size": 1,
        "page_token": None,
    },
    ("POST", "/v1/audiences/explain"): {"rule": {"area": "51"}, "resident_id": str(uuid4())},
    ("POST", "/v1/campaigns"): {
        "rule": {"area": "51"},
        "title": "甲",
        "body": "乙",
        "topic": "丙",
        "channels": ["in_app", "sms"],
        "emergency": False,
        "holdout_percent": 5,
    },
    ("PUT", "/v1/me/preferences"): {"opted_out": ["culture"]},
    ("POST", "/v1/webhook-endpoints"): {"name": "甲", "url": "https://hooks.example.com/a"},
    ("POST", "/v1/surveys"): POLL
    | {
        "audience": None,
        "predicted": {"question": "need", "option": "yes", "share": 0.5},
        "tag_if": {"question": "need", "option": "yes", "tag": "volunteer"},
    },
    ("POST", f"/v1/visits/{uuid4()}/answers"): {"state": "done", "answers": {"need": "yes"}},
    ("POST", f"/v1/visits/{uuid4()}/hand-over"): {"account": None},
    ("POST", "/v1/site-plans"): {
        "name": "甲",
        "area": "51",
        "places": 1,
        "max_distance_metres": 500,
        "at_most_one_within_metres": 500,
        "weights": {"audience": 1},
        "rule": {"area": "51"},
        "required": [],
        "excluded": [],
    },
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
    "/v1/tags?category=%00",
    "/v1/tags?archived=x",
    "/v1/tags/volunteer/membership-events?since=2026-01-01T00:00:00",
    "/v1/tags/volunteer/membership-events?area=%00",
    "/v1/tags/volunteer/membership-events?page_token=WyIxIl0",
    "/v1/tag-categories/%00",
    "/v1/tag-categories?page_token=%00",
    "/v1/tag-assignments?ended=x",
    "/v1/tag-assignments?resident_id=1",
    "/v1/tag-assignments?tag=%00",
    "/v1/tag-assignments?area=1",
    "/v1/tag-assignments?area=%00",
    "/v1/audiences?area=%00",
    "/v1/audiences?page_token=%00",
    "/v1/audiences/%00",
    "/v1/campaigns?page_token=WyIxIl0",
    "/v1/campaigns/%00",
    "/v1/campaigns?state=x",
    "/v1/webhook-endpoints/1",
    "/v1/me/messages?unread=2",
    "/v1/me/messages?topic=%00",
    "/v1/surveys?state=x",
    "/v1/surveys/%00",
    "/v1/visits?state=x",
    "/v1/visits?area=%00",
    "/v1/visits?survey_id=1",
    "/v1/visits?mine=x",
    "/v1/visits/%00",
    "/v1/site-plans?area=1",
    "/v1/site-plans/%00",
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
        "list_tag_membership_events",
        "list_tag_categories",
        "create_tag_category",
        "read_tag_category",
        "update_tag_category",
        "list_tag_assignments",
        "assign_tag",
        "unassign_tag",
        "count_audience",
        "break_audience_down",
        "overlap_audiences",
        "reach_audience",
        "list_audiences",
        "create_audience",
        "read_audience",
        "update_audience",
        "delete_audience",
        "freeze_audience",
        "preview_audience",
        "explain_audience",
        "list_campaigns",
        "create_campaign",
        "read_campaign",
        "send_campaign",
        "update_campaign",
        "approve_campaign",
        "reject_campaign",
        "pause_campaign",
        "resume_campaign",
        "cancel_campaign",
        "list_deliveries",
        "resend_deliveries",
        "create_webhook_endpoint",
        "list_webhook_endpoints",
        "read_webhook_endpoint",
        "delete_webhook_endpoint",
        "count_unread_messages",
        "mark_all_messages_read",
        "mark_message_clicked",
        "list_topics",
        "read_preferences",
        "update_preferences",
        "list_surveys",
        "create_survey",
        "read_survey",
        "update_survey",
        "draw_survey",
        "spread_visits",
        "close_survey",
        "read_survey_results",
        "list_visits",
        "read_visit",
        "answer_visit",
        "take_visit",
        "hand_over_visit",
        "list_site_plans",
        "create_site_plan",
        "read_site_plan",
        "list_messages",
        "mark_message_read",
    }
