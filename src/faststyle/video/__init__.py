"""Clips: in, painted frame by frame without flicker, and out."""

CONTAINERS = (".mp4", ".mov", ".mkv", ".webm", ".avi")
ANIMATIONS = {".gif": "GIF", ".webp": "WEBP"}  # Pillow's names
SUFFIXES = (*CONTAINERS, *ANIMATIONS)
PACKAGES = ("av", "cv2")  # of the extra ``video``
LEVERS = ("camera", "still")  # against flicker: ``faststyle.video.steady``
STEADY = {"both": LEVERS, "camera": LEVERS[:1], "still": LEVERS[1:], "none": ()}
