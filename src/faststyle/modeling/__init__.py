"""The transformer network, which is trained, and the frozen loss networks."""
