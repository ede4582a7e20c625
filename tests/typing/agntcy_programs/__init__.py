"""Programs for `agntcy_acp`, with their import lines changed; see `tests/interop/test_agntcy_programs.py`."""
