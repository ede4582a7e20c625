"""AGNTCY Agent Connect Protocol 0.2.3: models, calls, the life of a run, clients."""
