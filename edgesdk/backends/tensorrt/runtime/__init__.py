"""Runs engines: memory, streams, graphs, phases and layer times."""
