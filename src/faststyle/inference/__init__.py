"""Applying saved weights to pictures."""
