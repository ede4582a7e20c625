"""As whom requests are made, where that is not the same for all: `TokenAuth` and `HeaderAuth`."""

from acp_langgraph.auth.tokens import HeaderAuth, Refuse, TokenAuth, credentials_of

__all__ = ["HeaderAuth", "Refuse", "TokenAuth", "credentials_of"]
