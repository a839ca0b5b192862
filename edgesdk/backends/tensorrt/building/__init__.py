"""From a graph to an engine, with any TensorRT from 8.5 to 11."""
