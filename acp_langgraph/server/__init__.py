"""An ACP server for compiled LangGraph graphs (extra `server`)."""
