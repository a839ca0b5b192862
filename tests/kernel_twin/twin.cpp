// The kernels' own source as C++. Each entry has the kernel's name and runs its whole grid.
#include "shim.h"

#include <cstddef>
#include <cstdint>

// The entries have the kernels' names, so that the kernels get others.
#define preprocess_bgr_float32 kernel_bgr_float32
#define preprocess_bgr_float16 kernel_bgr_float16
#define preprocess_nv12_float32 kernel_nv12_float32
#define preprocess_nv12_float16 kernel_nv12_float16
#include "preprocess.cu"
#undef preprocess_bgr_float32
#undef preprocess_bgr_float16
#undef preprocess_nv12_float32
#undef preprocess_nv12_float16

namespace {

void run(void (*kernel)(Arguments), const unsigned* grid, const unsigned* block, void** args) {
  Arguments arguments;  // a copy: what a driver hands over need not be aligned
  std::memcpy(&arguments, args[0], sizeof arguments);
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {block[0], block[1], block[2]};
  for (blockIdx.z = 0; blockIdx.z < grid[2]; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x)
        for (threadIdx.z = 0; threadIdx.z < block[2]; ++threadIdx.z)
          for (threadIdx.y = 0; threadIdx.y < block[1]; ++threadIdx.y)
            for (threadIdx.x = 0; threadIdx.x < block[0]; ++threadIdx.x) kernel(arguments);
}

}  // namespace

// Beside each kernel, the bytes of its parameters: the driver's stand-in refuses others.
#define TWIN(name)                                                                        \
  extern "C" void preprocess_##name(const unsigned grid[3], const unsigned block[3],      \
                                    void** args) {                                        \
    run(kernel_##name, grid, block, args);                                                \
  }                                                                                       \
  extern "C" const unsigned* const preprocess_##name##_parameters;                        \
  const unsigned* const preprocess_##name##_parameters = parameters;
namespace {
const unsigned parameters[] = {sizeof(Arguments), 0};
}
TWIN(bgr_float32)
TWIN(bgr_float16)
TWIN(nv12_float32)
TWIN(nv12_float16)

// The layout, in the order of the struct: its size, then the offset of each member.
extern "C" void twin_layout(std::uint64_t* out) {
  const std::uint64_t all[] = {
      sizeof(Arguments),
      offsetof(Arguments, picture),  offsetof(Arguments, chroma),       offsetof(Arguments, columns),
      offsetof(Arguments, rows),     offsetof(Arguments, tensor),       offsetof(Arguments, pitch),
      offsetof(Arguments, chroma_pitch), offsetof(Arguments, width),    offsetof(Arguments, height),
      offsetof(Arguments, planes),   offsetof(Arguments, border),       offsetof(Arguments, factor),
      offsetof(Arguments, shift),    offsetof(Arguments, colour),
      sizeof(Tap), offsetof(Tap, first), offsetof(Tap, second), offsetof(Tap, first_weight),
      offsetof(Tap, second_weight),
      sizeof(Colour), offsetof(Colour, black), offsetof(Colour, luma), offsetof(Colour, blue_u),
      offsetof(Colour, green_u), offsetof(Colour, green_v), offsetof(Colour, red_v)};
  for (const std::uint64_t value : all) *out++ = value;
}

extern "C" unsigned short twin_half_bits(float value) { return half_bits(value); }
