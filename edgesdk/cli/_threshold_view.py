"""The threshold of an inspection model, for people."""

from __future__ import annotations

from rich.console import Console

from edgesdk.bundle import ThresholdFit


def show_threshold(found: ThresholdFit, precision: str, console: Console) -> None:
    """What the precision did to the scores, and what the threshold promises."""
    for line in threshold_lines(found, precision):
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def threshold_lines(found: ThresholdFit, precision: str) -> list[str]:
    """In sentences, the threshold itself first."""
    share = (
        f", {found.drift / found.score_spread:+.0%} of their spread" if found.score_spread else ""
    )
    lines = [
        f"threshold: float {found.given:.4g}, {precision} {found.value:.4g}, set anew by "
        f"{found.pictures} good pictures that were not learned",
        f"  their scores moved by {found.drift:+.3g}{share}; the float threshold would turn down "
        f"{found.rejected_given} of them, this one {found.rejected}",
        f"  good parts turned down, to be expected: {found.rate:.2%} "
        f"(95 %: {found.rate_low:.2%} to {found.rate_high:.2%})",
    ]
    if found.bad is not None:
        lines.append(
            f"  bad parts turned down: {found.caught} of {found.bad}, "
            f"with the float threshold {found.caught_given}"
        )
    return lines
