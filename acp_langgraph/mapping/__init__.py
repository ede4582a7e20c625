"""State paths and mapping plans."""
