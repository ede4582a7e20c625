"""JSON Schemas as agents declare them: read, compared, and put into words.

They come over the wire from whoever runs the agent. So everything here takes any JSON value for a
schema, follows references inside the document only, and stops where a schema has no end.
"""
