"""A marketing campaign run by remote agents, to try out and to copy from.

`campaign` is the graph that a user of this package would write; `mailcomposer` and `email_reviewer`
are the agents, ordinary LangGraph graphs that know nothing of being remote; `agents` serves them;
`app` is the command `acp-langgraph demo`.
"""
