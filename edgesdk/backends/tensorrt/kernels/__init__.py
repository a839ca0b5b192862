"""Preprocessing on the GPU: the same numbers as `edgesdk.Preprocess` makes on the CPU.

The CUDA sources lie beside this file. Decoding and NMS stay on the CPU (docs/adr/0018).
"""

from edgesdk.backends.tensorrt.kernels.compile import compiled, find_compiler
from edgesdk.backends.tensorrt.kernels.launch import GpuPreprocess
from edgesdk.backends.tensorrt.kernels.pictures import BgrOnGpu, Nv12OnGpu

__all__ = ["BgrOnGpu", "GpuPreprocess", "Nv12OnGpu", "compiled", "find_compiler"]
