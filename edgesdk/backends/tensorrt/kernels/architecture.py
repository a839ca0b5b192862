"""Which architecture a compiler is asked for."""

from __future__ import annotations

from edgesdk.errors import BackendError

Release = tuple[int, int]
"""Of CUDA, e.g. (12, 6)."""

KNOWN_BY = {
    "sm_72": "CUDA 10 to 12.9 (Xavier: JetPack 5)",
    "sm_87": "CUDA 11.4 and later (Orin: JetPack 5 to 7)",
    "sm_101": "CUDA 12.8 and 12.9 (Thor)",
    "sm_110": "CUDA 13 and later (Thor: JetPack 7)",
}
"""For hints: the architectures of Jetsons, and the compilers that know them."""
THOR = {"10.1", "11.0"}
"""Thor's compute capability as CUDA 12 and as CUDA 13 count it."""


def architecture_of(compute_capability: str, cuda: Release) -> str:
    """E.g. "sm_87" for "8.7". Thor is sm_101 for the compilers of CUDA 12, sm_110 from 13 on.

    Raises BackendError when the text is not of the form "8.7".
    """
    if compute_capability in THOR:
        return "sm_101" if cuda < (13, 0) else "sm_110"
    major, _, minor = compute_capability.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise BackendError(
            f"a compute capability should look like 8.7, found {compute_capability!r}",
            "ask the device for it: edgesdk doctor",
        )
    return f"sm_{major}{minor}"


def check_known(architecture: str, compiler: str, known: frozenset[str]) -> None:
    """Raise BackendError unless the compiler, described by `compiler`, makes code for it."""
    if architecture in known:
        return
    wanted = KNOWN_BY.get(architecture, "the CUDA release that came with the GPU or a later one")
    listed = ", ".join(sorted(known, key=_number))
    raise BackendError(
        f"{compiler} makes no code for {architecture}; it knows {listed}",
        f"{architecture} needs {wanted}; on a Jetson, install the CUDA of its own JetPack",
    )


def _number(architecture: str) -> int:
    digits = "".join(filter(str.isdecimal, architecture))
    return int(digits or 0)
