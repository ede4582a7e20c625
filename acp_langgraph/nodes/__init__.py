"""What users add to a graph."""
