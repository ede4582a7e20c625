"""Graphs that are suspended while a remote run works: who goes on with them.

A node with `wait="suspend"` stops its graph, and nothing is left that waits. The graph is woken by whoever has
it and its checkpointer: `WakeApp`, which remote servers call when a run is done, and the sweeper, which looks
from time to time for what was not told. Both do the same under the thread's lock (`waker`), so that it does
not matter which comes first, how often, or whether one dies at it.
"""
