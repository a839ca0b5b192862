// The kernels by the names under which edgesdk launches them. Block and grid are two-dimensional:
// x counts columns of the tensor, y its rows.
#include "preprocess.cuh"

extern "C" __global__ void preprocess_bgr_float32(const Arguments a) { preprocess<Bgr, Float>(a); }
extern "C" __global__ void preprocess_bgr_float16(const Arguments a) { preprocess<Bgr, Half>(a); }
extern "C" __global__ void preprocess_nv12_float32(const Arguments a) { preprocess<Nv12, Float>(a); }
extern "C" __global__ void preprocess_nv12_float16(const Arguments a) { preprocess<Nv12, Half>(a); }
