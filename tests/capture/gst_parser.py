"""Lets the real GStreamer parse pipelines, for /usr/bin/python3 with gi (Debian).

Reads one JSON list [pipeline, element, property] a line and answers with one JSON object a line:
{"elements": their kinds, sorted, "values": the property's values}, or {"error": text}.
"""

from __future__ import annotations

import json
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

Gst.init(None)


def answer(pipeline: str, element: str, name: str) -> dict[str, object]:
    try:
        parsed = Gst.parse_launch(pipeline)
    except GLib.Error as error:
        return {"error": error.message}
    kinds = sorted(each.get_factory().get_name() for each in parsed.children)
    values = [
        each.get_property(name)
        for each in parsed.children
        if name and each.get_factory().get_name() == element
    ]
    shown = [value.to_string() if isinstance(value, Gst.Caps) else value for value in values]
    return {"elements": kinds, "values": shown}


for line in sys.stdin:
    print(json.dumps(answer(*json.loads(line))), flush=True)
