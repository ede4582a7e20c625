"""The demo's agents in `langgraph dev`: `acp-langgraph demo --agents URL --protocol langgraph` works with them."""

from acp_langgraph.demo import email_reviewer, mailcomposer

composer = mailcomposer.build()
reviewer = email_reviewer.build()
