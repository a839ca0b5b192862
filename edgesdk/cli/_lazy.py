"""A click group that knows its verbs by name and imports one only when it is called."""

from __future__ import annotations

import difflib
import importlib

import click

VERBS = {
    "demo": "The whole path on simulated traffic: build, run, count, report.",
    "doctor": "What this machine can do, or what a bundle suffers from.",
    "devices": "The Jetson modules that are known.",
    "zoo": "Third-party models by name, checked by digest.",
    "fit": "Learn from pictures of good parts what a bad one is.",
    "build": "Calibrate, quantize and bundle an ONNX model for a device.",
    "compile": "Make the TensorRT engine of a bundle, on the machine with the GPU.",
    "export": "Files for DeepStream, trtexec and old scripts.",
    "new": "A folder for one site of a shipped app, with only what that site sets.",
    "run": "Run an app on a video, a folder of pictures or a simulation.",
    "bench": "Measure latency by stage and write a report.",
}
"""Verb -> one line of help. The module edgesdk.cli.<verb> holds a click command `command`."""


class LazyGroup(click.Group):
    """Lists the verbs without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order a new user meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"edgesdk.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest verb suggested for a wrong one."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], VERBS, n=1)
            tail = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{tail}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with their lines, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))
