"""`agntcy_acp.langgraph.io_mapper`; the names are the package's own.

With them are those of `agntcy_iomapper` that go into a mapped edge.
"""

from acp_langgraph.mapping.edges import add_io_mapped_conditional_edge, add_io_mapped_edge
from acp_langgraph.mapping.metadata import FieldMetadata, IOMappingAgentMetadata

__all__ = [
    "FieldMetadata",
    "IOMappingAgentMetadata",
    "add_io_mapped_conditional_edge",
    "add_io_mapped_edge",
]
