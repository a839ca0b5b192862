"""What `edgesdk run --print-pipeline` shows: how each source would be opened, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from edgesdk.capture import Choice, Machine, SourceUri, choose, parse_source, this_machine

READERS = {"gstreamer": "OpenCV with GStreamer", "ffmpeg": "OpenCV with FFmpeg", "v4l2": "OpenCV"}


def show_pipelines(sources: Sequence[tuple[str, str]], as_json: bool) -> None:
    """For each (name, source): comments, then the pipeline or address on a line of its own.

    Nothing is opened, and passwords are shown as ***. Raises ConfigError for a wrong source and
    DataError for one that this machine cannot open.
    """
    uris = [(name, parse_source(text)) for name, text in sources]
    opened = [(name, uri, _choice(uri)) for name, uri in uris]
    if as_json:
        click.echo(json.dumps([_as_object(*each) for each in opened]))
        return
    for name, uri, choice in opened:
        click.echo(f"# {name + ': ' if name else ''}{uri.shown}")
        if choice is None:
            click.echo("# read without a pipeline")
            continue
        for line in (f"read by {READERS[choice.reader]}", *choice.reasons, *_details(choice)):
            click.echo(f"# {line}")
        click.echo(choice.shown)


def _choice(uri: SourceUri, machine: Machine | None = None) -> Choice | None:
    if uri.kind in ("pictures", "sim"):
        return None
    return choose(uri, machine or this_machine())


def _details(choice: Choice) -> list[str]:
    lines = [f"{name} = {value:.12g}" for name, value in choice.properties]
    lines += [f"{name}={value}" for name, value in choice.environment]
    if choice.rotation:
        lines.append(f"turned by {choice.rotation} degrees clockwise after reading")
    return lines


def _as_object(name: str, uri: SourceUri, choice: Choice | None) -> dict[str, Any]:
    return {
        "stream": name,
        "source": uri.shown,
        "kind": uri.kind,
        "reader": choice.reader if choice else None,
        "pipeline": choice.shown if choice else None,
        "reasons": list(choice.reasons) if choice else [],
        "properties": dict(choice.properties) if choice else {},
    }
