"""Measures of pictures, networks and loss networks."""
