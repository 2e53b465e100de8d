"""What people are called and reached by, as it is sent."""

from typing import Annotated

from pydantic import Field, StringConstraints

from services.common.schemas import Line

Name = Annotated[Line, Field(max_length=60, examples=["张三"])]
NumberText = Annotated[
    str, StringConstraints(min_length=1, max_length=40), Field(examples=["519900199001010015"])
]
PhoneText = Annotated[
    str, StringConstraints(min_length=1, max_length=40), Field(examples=["13800000000"])
]
