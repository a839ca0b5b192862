// What a kernel's twin looks like to the stand-in driver.
//
// A module is loaded from an image that begins with the line "STAND-IN TWIN <shared object>".
// A kernel NAME is two symbols of that shared object:
//
//   PARAMETERS(NAME, void*, int, float)             its parameters in order
//   extern "C" void NAME(const unsigned grid[3], const unsigned block[3], void** arguments)
//
// where arguments[i] points at the i-th parameter, as in cuLaunchKernel. A launch whose packed
// parameters do not have that size is refused with CUDA_ERROR_INVALID_VALUE. Without PARAMETERS
// there is one argument, the whole packed buffer: enough for a kernel that takes one struct.

#pragma once

#define PARAMETERS(NAME, ...) extern "C" const unsigned* const NAME##_parameters = SizesOf<__VA_ARGS__>::sizes;

template <typename... T>
struct SizesOf {
  static constexpr unsigned sizes[] = {sizeof(T)..., 0};
};
template <typename... T>
constexpr unsigned SizesOf<T...>::sizes[];
