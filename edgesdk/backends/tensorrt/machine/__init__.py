"""What is here: the driver, its GPUs, the board and its TensorRT, asked before any object is made."""
