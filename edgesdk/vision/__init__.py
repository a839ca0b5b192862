"""Decoding a model's outputs, tracking, counting and drawing: numpy only."""
