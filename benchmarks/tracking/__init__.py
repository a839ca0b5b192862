"""Trackers on the same detections: edgesdk and its peers."""
