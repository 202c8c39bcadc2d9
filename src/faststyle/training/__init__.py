"""Training: the only part of the package that imports Lightning and Hydra."""
