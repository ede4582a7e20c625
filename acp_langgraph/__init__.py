"""Remote agents as LangGraph nodes."""
