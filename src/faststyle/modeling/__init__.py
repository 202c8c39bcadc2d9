"""The networks: the one that is trained, and the frozen ones that judge it."""
