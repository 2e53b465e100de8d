"""`/v1/code-lists`: what the codes mean, in Chinese and English."""

from typing import Annotated

from fastapi import APIRouter, Path

from services.common.access import Permission
from services.common.errors import refuses
from services.common.routing import UnitOfWorkRoute
from services.common.security import Caller, requires
from services.residents_api.domain.code_lists import CODE_LISTS
from services.residents_api.errors import CodeListNotFound
from services.residents_api.schemas.codes import CodeListIndex, CodeListRead

router = APIRouter(prefix="/v1", tags=["code-lists"], route_class=UnitOfWorkRoute)

ReferenceReader = Annotated[Caller, requires(Permission.REFERENCE_READ)]


@router.get("/code-lists")
async def list_code_lists(_: ReferenceReader) -> CodeListIndex:
    """All code lists by name."""
    return CodeListIndex.model_validate(
        {"items": list(CODE_LISTS.values()), "next_page_token": None}
    )


@router.get("/code-lists/{name}", responses=refuses(CodeListNotFound))
async def show_code_list(
    _: ReferenceReader,
    name: Annotated[str, Path(max_length=60, examples=["education"])],
) -> CodeListRead:
    """One code list."""
    if (found := CODE_LISTS.get(name)) is None:
        raise CodeListNotFound()
    return CodeListRead.model_validate(
        {
            "name": found.name,
            "name_zh": found.name_zh,
            "name_en": found.name_en,
            "standard": found.standard,
            "items": found.entries,
            "next_page_token": None,
        }
    )
