"""Decoding a model's outputs, tracking, counting; numpy only, but for the drawing."""
