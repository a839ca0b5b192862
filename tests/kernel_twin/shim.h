// What the kernels take from CUDA, for a C++ compiler: one thread after the other, on the CPU.
#pragma once
#include <cstring>

#define __global__
#define __device__

struct Index {
  unsigned x, y, z;
};
inline thread_local Index gridDim, blockDim, blockIdx, threadIdx;

inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fsub_rn(float a, float b) { return a - b; }

// float to half, to the nearest, ties to even; written out, since not every g++ has _Float16.
inline unsigned short half_bits(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof bits);
  const unsigned sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) return sign | 0x7e00u;   // not a number
  if (size >= 0x477ff000u) return sign | 0x7c00u;  // from 65520 on: infinite
  const int exponent = static_cast<int>(size >> 23) - 127;
  if (exponent < -25) return sign;
  const unsigned fraction = (size & 0x7fffffu) | 0x800000u;
  const int lost = exponent < -14 ? 13 + (-14 - exponent) : 13;
  const unsigned kept = fraction >> lost, rest = fraction & ((1u << lost) - 1), half = 1u << (lost - 1);
  const unsigned rounded = kept + (rest > half || (rest == half && (kept & 1u)));
  return sign | (exponent < -14 ? rounded : (static_cast<unsigned>(exponent + 14) << 10) + rounded);
}
