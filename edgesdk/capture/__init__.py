"""Cameras and streams: opened where they can be killed, watched, and opened again."""
