"""Pictures: files and NumPy arrays. No torch."""
