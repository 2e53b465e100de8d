"""Every JSON body of the routes of audiences, surveys and site plans shows an example that is one."""

from collections.abc import Iterator

import pytest
from fastapi import params
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel

from services.tagging_api.endpoints import (
    membership,
    saved_audiences,
    site_plans,
    surveys,
    visits,
)

ROUTERS = (membership, saved_audiences, site_plans, surveys, visits)


def bodies() -> Iterator[type[BaseModel]]:
    for module in ROUTERS:
        for context in iter_route_contexts(module.router.routes):
            route = context.original_route
            assert isinstance(route, APIRoute)
            if route.body_field is None or isinstance(route.body_field.field_info, params.Form):
                continue
            model = route.body_field.field_info.annotation
            assert isinstance(model, type)
            assert issubclass(model, BaseModel)
            yield model


@pytest.mark.parametrize("model", [*bodies()], ids=lambda model: model.__name__)
def test_a_body_shows_examples_of_itself(model: type[BaseModel]) -> None:
    examples = model.model_json_schema().get("examples", [])
    assert examples
    for example in examples:
        assert model.model_validate(example).model_dump(
            mode="json", by_alias=True, exclude_unset=True
        ) == dict(example)
