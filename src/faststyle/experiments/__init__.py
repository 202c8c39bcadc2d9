"""From a composed configuration (Hydra) to objects and results."""
