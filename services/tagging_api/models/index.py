"""What counts are broken down by."""

from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.tagging_api.models.base import Base


class AreaName(Base):
    """What a division above villages, or a grid, is called.

    Villages and compounds have tables of their own.
    """

    __tablename__ = "area_name"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    name: Mapped[str]
    generation: Mapped[int]
