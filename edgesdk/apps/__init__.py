"""Apps: a folder with app.toml and app.py becomes a pipeline."""

from edgesdk.apps.choosing import RunModel, choose_model
from edgesdk.apps.folder import App, app_names, bundle_app, load_app
from edgesdk.apps.program import Program, Scene
from edgesdk.apps.run import (
    PreparedRun,
    PreparedStream,
    RunRequest,
    prepare_run,
    sources_of,
)

__all__ = [
    "App",
    "PreparedRun",
    "PreparedStream",
    "Program",
    "RunModel",
    "RunRequest",
    "Scene",
    "app_names",
    "bundle_app",
    "choose_model",
    "load_app",
    "prepare_run",
    "sources_of",
]
