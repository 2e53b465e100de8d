"""Where on earth something stands."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

_COLUMNS = "longitude, latitude, said_longitude, said_latitude, coordinate_system"
# All of them or none, in every table that has them.
WHOLE_POINT = sa.text(f"num_nulls({_COLUMNS}) IN (0, 5)")


class Located:
    """`longitude` and `latitude` are WGS-84; what was said, and in which system, stays beside."""

    longitude: Mapped[float | None]
    latitude: Mapped[float | None]
    said_longitude: Mapped[float | None]
    said_latitude: Mapped[float | None]
    coordinate_system: Mapped[str | None]
