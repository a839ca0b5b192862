"""What is here: driver, GPUs, board and TensorRT, asked before any object of theirs is made."""
