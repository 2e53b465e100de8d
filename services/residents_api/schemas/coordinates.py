"""Where something stands, as people say it and in WGS-84."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from services.common.problems import Text
from services.common.schemas import Schema, fault
from services.residents_api.domain.coordinates import EAST, NORTH, SOUTH, WEST, Point, to_wgs84
from services.residents_api.schemas.codes import CoordinateSystem

Longitude = Annotated[float, Field(ge=WEST, le=EAST, allow_inf_nan=False, examples=[104.01263])]
Latitude = Annotated[float, Field(ge=SOUTH, le=NORTH, allow_inf_nan=False, examples=[30.93123])]


class Coordinates(Schema):
    """Degrees in one of the coordinate systems used in China; kept as said, converted beside."""

    longitude: Longitude
    latitude: Latitude
    coordinate_system: CoordinateSystem = Field(examples=["gcj02"])


def _in_country(said: Coordinates) -> Coordinates:
    if not to_wgs84(Point(said.longitude, said.latitude), said.coordinate_system).in_country:
        raise fault(
            "coordinates.out_of_range", Text("坐标不在国内", "These coordinates are not in China")
        )
    return said


CoordinatesSaid = Annotated[Coordinates, AfterValidator(_in_country)]


class Wgs84Read(Schema):
    """Degrees in WGS-84, rounded to a centimetre."""

    longitude: float = Field(examples=[104.01263])
    latitude: float = Field(examples=[30.93123])


def columns(said: Coordinates | None) -> dict[str, Any]:
    """The columns of a row that stands there; all of them null for nowhere known."""
    if said is None:
        return dict.fromkeys(_COLUMNS)
    there = to_wgs84(Point(said.longitude, said.latitude), said.coordinate_system)
    values = (
        round(there.longitude, 7),
        round(there.latitude, 7),
        said.longitude,
        said.latitude,
        said.coordinate_system,
    )
    return dict(zip(_COLUMNS, values, strict=True))


_COLUMNS = ("longitude", "latitude", "said_longitude", "said_latitude", "coordinate_system")


def shown(row: Any) -> dict[str, Any]:
    """`coordinates` and `wgs84` of a row that has these columns."""
    if row.longitude is None:
        return {"coordinates": None, "wgs84": None}
    return {
        "coordinates": {
            "longitude": row.said_longitude,
            "latitude": row.said_latitude,
            "coordinate_system": row.coordinate_system,
        },
        "wgs84": {"longitude": row.longitude, "latitude": row.latitude},
    }
