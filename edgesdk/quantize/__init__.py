"""Quantize: write the precision into the graph, in the form that TensorRT 8.5 to 11 takes."""
