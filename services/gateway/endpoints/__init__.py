"""HTTP in, schema out."""

from services.gateway.endpoints import accounts, documentation, me, sign_in

routers = (
    sign_in.tokens,
    sign_in.documents,
    me.router,
    accounts.router,
    documentation.router,
)
tags = {
    "sign-in": "Tokens in, tokens out, and who one is.",
    "accounts": "Who may sign in, kept by administrators.",
}
