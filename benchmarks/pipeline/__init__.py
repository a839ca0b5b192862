"""Camera pipelines against their peers."""
