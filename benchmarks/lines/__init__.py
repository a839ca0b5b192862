"""Counting over many lines, detectors and harms, one by one against the truth, beside the peers."""
