// Kernels for the stand-in driver's tests; each runs its whole grid.
#include "twin.h"

// out[i] = in[i] * factor + offset, for i below count; one thread for each.
PARAMETERS(scale, const float*, float*, int, float, double)
extern "C" void scale(const unsigned grid[3], const unsigned block[3], void** arguments) {
  const float* in = *static_cast<const float**>(arguments[0]);
  float* out = *static_cast<float**>(arguments[1]);
  int count = *static_cast<int*>(arguments[2]);
  float factor = *static_cast<float*>(arguments[3]);
  double offset = *static_cast<double*>(arguments[4]);
  int threads = static_cast<int>(grid[0] * block[0]);
  for (int i = 0; i < count && i < threads; ++i) out[i] = in[i] * factor + static_cast<float>(offset);
}

struct Point {
  float x, y;
  unsigned long long target;
};

// Without PARAMETERS: one struct is the only argument.
extern "C" void put(const unsigned*, const unsigned*, void** arguments) {
  const Point* point = static_cast<Point*>(arguments[0]);
  float* target = reinterpret_cast<float*>(point->target);
  target[0] = point->x;
  target[1] = point->y;
}
