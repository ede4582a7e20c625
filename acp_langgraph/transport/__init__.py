"""The only place that speaks HTTP: it performs calls, and runs flows outside of a graph."""

from acp_langgraph.transport.blocking import Transport
from acp_langgraph.transport.nonblocking import AsyncTransport

__all__ = ["AsyncTransport", "Transport"]
