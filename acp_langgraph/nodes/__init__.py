"""What users add to a graph, a module each; `acp_langgraph` itself has their public names."""

try:
    from langgraph.errors import GraphDrained
except ImportError as error:
    from importlib.metadata import version

    raise ImportError(
        f"acp_langgraph needs langgraph 1.2 or newer, and {version('langgraph')} is installed: "
        'pip install --upgrade "langgraph>=1.2,<2"',
        name=error.name,
    ) from error

del GraphDrained
