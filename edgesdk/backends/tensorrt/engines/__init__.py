"""Engines on disk: what names them, who vouches for them, and where they are kept."""
