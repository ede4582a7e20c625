"""A2A, the Agent2Agent protocol: 1.0 over JSON-RPC and HTTP+JSON, and 0.3 over JSON-RPC."""
