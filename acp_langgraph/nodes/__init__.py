"""What users add to a graph, a module each; `acp_langgraph` itself has their public names."""
