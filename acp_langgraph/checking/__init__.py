"""Whether a graph's nodes fit the agents that they run, told before anything runs.

`graphs` finds the remote nodes of a graph, `declared` says what a node's types allow as JSON Schema,
`nodes` compares one node with the state it is in and with its agent's descriptor, and `check` does
that for a whole graph.
"""
