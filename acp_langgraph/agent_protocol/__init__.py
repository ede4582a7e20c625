"""LangGraph's Agent Protocol: LangGraph Server, `langgraph dev` and what else speaks it."""
