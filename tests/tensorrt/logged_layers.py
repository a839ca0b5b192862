"""The layers of an engine as TensorRT-RTX writes them into its verbose log when it has built one.

Its inspector needs a GPU, its builder does not, and the log has the inspector's fields on one line
for each layer. They are put into the inspector's JSON here, so that what reads that JSON reads
what a real builder said.
"""

from __future__ import annotations

import json
import re

TENSOR = re.compile(r"\{ Name: (.*?), Dimensions: .*?Datatype: (\w+), Format: ")
LAYER = re.compile(
    r"^Name: (.*?), LayerType: (\w+), Inputs: (.*?)(?:, Constants: (.*?))?, Outputs: (.*)"
    r", TacticName: (.*?), StreamId: \d+, (?:.*?, )?Metadata: (.*)$"
)
HEAD = "Layers:\n"


class LoggedLayers:
    """Give `hear` to the build; afterwards ask for the inspector's JSON."""

    def __init__(self) -> None:
        self.text = ""

    def hear(self, line: str) -> None:
        if line.startswith(HEAD):
            self.text = line.removeprefix(HEAD)

    def json(self) -> str:
        rows = self.text.partition("\n\nI/O Tensors:")[0].split("\n")
        return json.dumps({"Layers": [row(line) for line in rows if line], "Bindings": []})


def row(line: str) -> dict[str, object]:
    found = LAYER.match(line)
    assert found, f"another form of layer: {line}"
    name, kind, inputs, constants, outputs, tactic, metadata = found.groups()
    return {
        "Name": name,
        "LayerType": kind,
        "Inputs": tensors(inputs),
        "Constants": tensors(constants or ""),
        "Outputs": tensors(outputs),
        "TacticName": tactic,
        "Metadata": metadata,
    }


def tensors(text: str) -> list[dict[str, str]]:
    return [{"Name": name, "Datatype": kind} for name, kind in TENSOR.findall(text)]
