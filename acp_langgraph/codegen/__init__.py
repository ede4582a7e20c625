"""Python types from an agent's descriptor (extra `types`).

What a descriptor says comes from whoever runs the agent. `bundle` takes from its schemas the keywords
that make a type, under names of our own; `models` has datamodel-code-generator write them, and looks
at what was written before anybody imports it.
"""
