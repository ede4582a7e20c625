"""AGNTCY's API Bridge Agent: services asked in plain words."""
