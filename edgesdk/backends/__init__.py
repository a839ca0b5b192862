"""Runs models: one module for each engine, all behind the same two protocols."""

from edgesdk.backends.base import Backend, Engine, Probe, Session
from edgesdk.backends.choose import backend_names, load_backend, load_backend_for, opened

__all__ = [
    "Backend",
    "Engine",
    "Probe",
    "Session",
    "backend_names",
    "load_backend",
    "load_backend_for",
    "opened",
]
