"""How every service says no: RFC 9457 problems, without a word about HTTP libraries.

Problem
├── Malformed               400  request.malformed
├── TokenMissing            401  token.missing
├── TokenInvalid            401  token.invalid
├── RoleForbidden           403  role.forbidden
├── AreaForbidden           403  area.forbidden
├── RouteNotFound           404  route.not_found
├── MethodNotAllowed        405  method.not_allowed
├── PreconditionFailed      412  precondition.failed
├── TooLarge                413  request.too_large
├── MediaTypeUnsupported    415  request.media_type
├── RequestInvalid          422  request.invalid
├── IdempotencyKeyReused    422  idempotency_key.reused
├── PreconditionRequired    428  precondition.required
├── InternalError           500  internal.error
└── Unavailable             503  service.unavailable

A `code` is a promise: clients branch on it, so it never changes. Titles and details come in
Chinese and English; neither ever carries a value that the caller sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple


class Text(NamedTuple):
    """One sentence in the two languages that the platform speaks."""

    zh: str
    en: str

    def in_language(self, language: str) -> str:
        return self.en if language == "en" else self.zh


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault in what was sent.

    `pointer` is an RFC 6901 pointer into the JSON or form body (`/phones/0`); for anything outside
    of the body it starts with where it stood: `/query/area`, `/path/resident_id`, `/header/if-match`.
    """

    pointer: str
    code: str
    detail: Text


class Problem(Exception):
    """A refusal. Subclasses say which; instances may add a detail, field errors and headers."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal.error"
    title: ClassVar[Text] = Text("服务内部错误", "Internal error")

    def __init__(
        self,
        detail: Text | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(self.code)
        self.detail = detail or self.title
        self.errors = errors
        self.headers = dict(headers or {})
        # Of this problem alone (RFC 9457, extension members), masked as any answer is.
        self.members = dict(members or {})

    @classmethod
    def at(cls, pointer: str, code: str, detail: Text) -> "Problem":
        """The problem with exactly one faulty field."""
        return cls(errors=(FieldError(pointer, code, detail),))


class Malformed(Problem):
    status = 400
    code = "request.malformed"
    title = Text("请求内容无法解析", "The request body could not be parsed")


class TokenMissing(Problem):
    status = 401
    code = "token.missing"
    title = Text("缺少访问令牌", "An access token is required")

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class TokenInvalid(Problem):
    status = 401
    code = "token.invalid"
    title = Text("访问令牌无效或已过期", "The access token is not valid, or no longer")

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class RoleForbidden(Problem):
    status = 403
    code = "role.forbidden"
    title = Text("当前角色无权执行此操作", "Your role may not do this")


class AreaForbidden(Problem):
    status = 403
    code = "area.forbidden"
    title = Text("该区域不在您的管辖范围内", "That area is outside yours")


class RouteNotFound(Problem):
    status = 404
    code = "route.not_found"
    title = Text("没有这个地址", "There is nothing at this address")


class MethodNotAllowed(Problem):
    status = 405
    code = "method.not_allowed"
    title = Text("此地址不支持该方法", "This address does not take that method")


class PreconditionFailed(Problem):
    status = 412
    code = "precondition.failed"
    title = Text("数据已被他人更新，请刷新后重试", "Somebody changed this meanwhile; read it again")


class TooLarge(Problem):
    status = 413
    code = "request.too_large"
    title = Text("请求内容过大", "The request body is too large")


class MediaTypeUnsupported(Problem):
    status = 415
    code = "request.media_type"
    title = Text("不支持的内容类型", "This media type is not taken here")


class RequestInvalid(Problem):
    status = 422
    code = "request.invalid"
    title = Text("请求中有无效的内容", "Some of what was sent is not valid")


class IdempotencyKeyReused(Problem):
    status = 422
    code = "idempotency_key.reused"
    title = Text("幂等键已用于另一个请求", "This Idempotency-Key was used for a different request")


class PreconditionRequired(Problem):
    status = 428
    code = "precondition.required"
    title = Text("更新需要 If-Match 请求头", "An update needs the If-Match header")


class InternalError(Problem):
    pass


class Unavailable(Problem):
    status = 503
    code = "service.unavailable"
    title = Text("服务暂时不可用，请稍后重试", "The service is out of reach just now; try again")

    def __init__(self, detail: Text | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "1"})
