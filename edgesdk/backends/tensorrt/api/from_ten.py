"""What TensorRT 10 and 11 have and 8 has not."""
