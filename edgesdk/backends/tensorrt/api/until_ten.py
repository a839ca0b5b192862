"""What TensorRT 8.5 to 10 have and 11 has not."""
