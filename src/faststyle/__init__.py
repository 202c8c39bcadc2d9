"""Feed-forward fast style transfer: train a network for one painting, apply it to any picture.

The package root imports nothing, so that applying a style never pays for training:

- ``faststyle.inference.Stylizer`` applies saved weights,
- ``faststyle.experiments.train.train`` trains them.

CONTRIBUTING.md says what is where.
"""

__version__ = "0.1.0"
