"""How the gateway says no.

Problem
├── AccountNotFound      404  account.not_found
├── AccountNameTaken     409  account.name_taken        constraint account_name_key
├── ClientIdTaken        409  client.id_taken           constraint api_client_pkey
├── UpgradeUnsupported   501  upgrade.unsupported       a WebSocket
├── UpstreamFailed       502  upstream.failed           broke off before it answered
└── UpstreamTimedOut     504  upstream.timed_out

GrantRefused: `/oauth/token` alone answers in the form of RFC 6749
├── GrantRequestInvalid  400  invalid_request
├── ClientInvalid        401  invalid_client
├── GrantInvalid         400  invalid_grant             password, refresh token
├── GrantUnsupported     400  unsupported_grant_type
├── ScopeInvalid         400  invalid_scope
├── TooManyAttempts      429  temporarily_unavailable
└── SignInBusy           503  temporarily_unavailable

RoutesConflict: services contradict each other, and no client is to see the result
"""

from collections.abc import Mapping
from typing import ClassVar

from services.common.problems import Problem, Text


class AccountNotFound(Problem):
    status = 404
    code = "account.not_found"
    title = Text("没有这个账号", "No such account")


class AccountNameTaken(Problem):
    status = 409
    code = "account.name_taken"
    title = Text("账号名已被使用", "There is an account of that name already")


class ClientIdTaken(Problem):
    status = 409
    code = "client.id_taken"
    title = Text("客户端标识已被使用", "There is a client of that id already")


class UpgradeUnsupported(Problem):
    status = 501
    code = "upgrade.unsupported"
    title = Text("不支持 WebSocket", "WebSockets are not spoken here")


class UpstreamFailed(Problem):
    status = 502
    code = "upstream.failed"
    title = Text("服务中断了应答", "The service broke off before it answered")


class UpstreamTimedOut(Problem):
    status = 504
    code = "upstream.timed_out"
    title = Text("服务未能及时应答", "The service did not answer in time")


REFUSALS: Mapping[str, type[Problem]] = {
    "account_name_key": AccountNameTaken,
    "api_client_pkey": ClientIdTaken,
}


class GrantRefused(Exception):
    """A refusal of `/oauth/token`. `description` is ASCII, and never holds what was sent."""

    status: ClassVar[int] = 400
    error: ClassVar[str]

    def __init__(self, description: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(self.error)
        self.description = description
        self.headers = dict(headers or {})


class GrantRequestInvalid(GrantRefused):
    error = "invalid_request"


class ClientInvalid(GrantRefused):
    status = 401
    error = "invalid_client"

    def __init__(self) -> None:
        super().__init__(
            "Client authentication failed.", headers={"WWW-Authenticate": 'Basic realm="shequ"'}
        )


class GrantInvalid(GrantRefused):
    error = "invalid_grant"


class GrantUnsupported(GrantRefused):
    error = "unsupported_grant_type"

    def __init__(self) -> None:
        super().__init__("Use password, client_credentials or refresh_token.")


class ScopeInvalid(GrantRefused):
    error = "invalid_scope"

    def __init__(self) -> None:
        super().__init__("The scope asks for more than is granted.")


class TooManyAttempts(GrantRefused):
    status = 429
    error = "temporarily_unavailable"

    def __init__(self, *, seconds: int) -> None:
        super().__init__(
            "Too many failed attempts; try again later.", headers={"Retry-After": str(seconds)}
        )


class SignInBusy(GrantRefused):
    status = 503
    error = "temporarily_unavailable"

    def __init__(self) -> None:
        super().__init__("Too many sign-ins at once; try again.", headers={"Retry-After": "1"})


class RoutesConflict(RuntimeError):
    """One sentence that names what is contradicted, and by which services."""
