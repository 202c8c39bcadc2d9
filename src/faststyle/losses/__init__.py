"""Perceptual losses."""
