"""The three ways to an access token: a password, a client's secret, a refresh token."""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import structlog

from services.common.access import GRANTS, Role, granted
from services.common.clock import Clock
from services.common.database import Sessions, WriteSession
from services.common.identifiers import new_id
from services.common.settings import SecuritySettings
from services.gateway.domain.token_requests import ClientCredentials, GrantType, TokenRequest
from services.gateway.errors import ClientInvalid, GrantInvalid, ScopeInvalid
from services.gateway.models import Account, ApiClient, RefreshFamily, RefreshToken
from services.gateway.repository import accounts, sign_ins
from services.gateway.service.keys import SigningKeys
from services.gateway.service.passwords import Passwords
from services.gateway.service.throttle import Attempt, Throttle
from services.gateway.settings import SignInSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Issued:
    """What was granted; `expires_in` in seconds."""

    access_token: str = field(repr=False)
    expires_in: int
    scope: str
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Subject:
    """Who the token is about, as its claims say it."""

    sub: str
    roles: Sequence[str]
    areas: Sequence[str]
    scope: frozenset[str]
    client_id: str | None = None
    resident_id: UUID | None = None
    session_id: UUID | None = None


class Grants:
    def __init__(
        self,
        *,
        sessions: Sessions,
        clock: Clock,
        keys: SigningKeys,
        passwords: Passwords,
        throttle: Throttle,
        security: SecuritySettings,
        settings: SignInSettings,
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._keys = keys
        self._passwords = passwords
        self._throttle = throttle
        self._security = security
        self._settings = settings

    async def issue(self, request: TokenRequest, *, peer: str) -> Issued:
        """A token for what was presented. Raises GrantRefused."""
        match request.grant_type:
            case GrantType.PASSWORD:
                name, password = request.required("username"), request.required("password")
                client = await self._client(request.client, peer=peer)
                return await self._password(name, password, client, request.scope, peer=peer)
            case GrantType.REFRESH_TOKEN:
                token = request.required("refresh_token")
                client = await self._client(request.client, peer=peer)
                return await self._refresh(token, client, request.scope)
            case GrantType.CLIENT_CREDENTIALS:
                client = await self._client(request.client, peer=peer)
                if client is None:
                    raise ClientInvalid()
                return self._client_credentials(client, request.scope)

    async def end(self, family_id: UUID) -> None:
        """End a sign-in, at once and for good."""
        async with self._sessions.write() as session:
            await sign_ins.end_family(session, family_id, at=self._clock.now())

    async def _client(self, presented: ClientCredentials | None, *, peer: str) -> ApiClient | None:
        """The client that proves itself; None if none tries to."""
        if presented is None:
            return None
        attempt = Attempt(kind="client", name=presented.client_id, peer=peer)
        async with self._passwords.slot():
            await self._throttle.check(attempt)
            async with self._sessions.read() as session:
                client = await accounts.client(session, presented.client_id)
            kept = client.secret_hash if client else None
            if not await self._passwords.verify(presented.secret, kept):
                await self._throttle.failed(attempt)
                raise ClientInvalid()
        return client

    def _client_credentials(self, client: ApiClient, scope: frozenset[str] | None) -> Issued:
        grantable = {permission.value for permission in GRANTS[Role.CLIENT]}
        subject = _Subject(
            sub=f"client:{client.client_id}",
            roles=[Role.CLIENT.value],
            areas=client.areas,
            scope=_narrowed(grantable & set(client.scopes), scope),
            client_id=client.client_id,
        )
        return self._issued(subject)

    async def _password(
        self,
        name: str,
        password: str,
        client: ApiClient | None,
        scope: frozenset[str] | None,
        *,
        peer: str,
    ) -> Issued:
        attempt = Attempt(kind="account", name=name, peer=peer)
        async with self._passwords.slot():
            await self._throttle.check(attempt)
            async with self._sessions.read() as session:
                account = await accounts.account_named(session, name)
            kept = account.password_hash if account else None
            right = await self._passwords.verify(password, kept)
            if account is None or not right or account.disabled_at is not None:
                await self._throttle.failed(attempt)
                raise GrantInvalid("The name or the password is wrong.")
        family = RefreshFamily(
            id=new_id(),
            account_id=account.id,
            client_id=client.client_id if client else None,
            scope=sorted(scope) if scope else None,
            started_at=self._clock.now(),
        )
        subject = _account_subject(account, family, scope)
        async with self._sessions.write() as session:
            await self._throttle.succeeded(session, attempt)
            session.add(family)
            token = self._new_token(session, family)
        return self._issued(subject, refresh_token=token)

    async def _refresh(
        self, presented: str, client: ApiClient | None, scope: frozenset[str] | None
    ) -> Issued:
        digest = _digest(presented)
        now = self._clock.now()
        async with self._sessions.read() as session:
            found = await sign_ins.refresh_token(session, digest)
        if found is None:
            raise _refresh_token_invalid()
        kept, family, account = found
        if kept.used_at is not None:
            await self._end_reused(family.id)
        if (
            kept.used_at is not None
            or kept.expires_at <= now
            or family.ended_at is not None
            or account.disabled_at is not None
            or family.client_id != (client.client_id if client else None)
        ):
            raise _refresh_token_invalid()
        subject = _account_subject(account, family, scope)
        token = None
        async with self._sessions.write() as session:
            if await sign_ins.use(session, digest, at=now):
                token = self._new_token(session, family)
        if token is None:
            # Somebody else used it since we looked.
            await self._end_reused(family.id)
            raise _refresh_token_invalid()
        return self._issued(subject, refresh_token=token)

    async def _end_reused(self, family_id: UUID) -> None:
        """Of two who present one token, one has stolen it, and nobody knows which."""
        await self.end(family_id)
        log.warning("refresh_token.reused", family=str(family_id))

    def _new_token(self, session: WriteSession, family: RefreshFamily) -> str:
        token = secrets.token_urlsafe(32)
        now = self._clock.now()
        session.add(
            RefreshToken(
                hash=_digest(token),
                family_id=family.id,
                account_id=family.account_id,
                issued_at=now,
                expires_at=now + timedelta(days=self._settings.refresh_token_days),
            )
        )
        return token

    def _issued(self, subject: _Subject, *, refresh_token: str | None = None) -> Issued:
        now = int(self._clock.now().timestamp())
        lifetime = self._settings.access_token_seconds
        scope = " ".join(sorted(subject.scope))
        claims = {
            "iss": self._security.issuer,
            "aud": self._security.audience,
            "sub": subject.sub,
            "roles": list(subject.roles),
            "areas": list(subject.areas),
            "scope": scope,
            "client_id": subject.client_id,
            "resident_id": str(subject.resident_id) if subject.resident_id else None,
            "sid": str(subject.session_id) if subject.session_id else None,
            "jti": uuid4().hex,
            "iat": now,
            "exp": now + lifetime,
        }
        return Issued(self._keys.sign(claims), lifetime, scope, refresh_token)


def _account_subject(
    account: Account, family: RefreshFamily, scope: frozenset[str] | None
) -> _Subject:
    everything = {p.value for p in granted(frozenset(Role(role) for role in account.roles))}
    # What a role has lost since the sign-in is lost here too.
    grantable = everything if family.scope is None else everything & set(family.scope)
    return _Subject(
        sub=f"account:{account.id}",
        roles=account.roles,
        areas=account.areas,
        scope=_narrowed(grantable, scope),
        client_id=family.client_id,
        resident_id=account.resident_id,
        session_id=family.id,
    )


def _narrowed(grantable: Collection[str], asked: frozenset[str] | None) -> frozenset[str]:
    if asked is None:
        return frozenset(grantable)
    if not asked.issubset(grantable):
        raise ScopeInvalid()
    return asked


def _refresh_token_invalid() -> GrantInvalid:
    return GrantInvalid("The refresh token is not valid, or no longer.")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
