"""Runs models: one module for each engine, all behind the same two protocols."""
