// From a picture to a model's input, one output pixel at a time.
//
// The arithmetic is OpenCV's for 8-bit pictures (resize INTER_LINEAR, cvtColor YUV2BGR_NV12): whole
// numbers with 11 bits of weight and 20 bits of colour, rounded to 8 bits before normalising. So the
// tensor is the one that edgesdk.Preprocess makes on the CPU.
//
// The host says where each output pixel looks (Tap) and how it is scaled: nothing is derived here.
// No header is included: NVRTC has none, and the tests compile this file as C++.
#pragma once

// Where one output column (or row) looks in the picture. Both weights 0: it lies in the border.
struct alignas(8) Tap {
  unsigned short first;         // column or row of the picture
  unsigned short second;        // its neighbour, inside the picture
  unsigned short first_weight;  // of 2048
  unsigned short second_weight;
};

// From Y, U, V to B, G, R, in units of 2^-20.
struct Colour {
  int black;    // Y of black: 16 or 0
  int luma;     // of (Y - black), for all three
  int blue_u;   // of (U - 128)
  int green_u;
  int green_v;  // of (V - 128)
  int red_v;
};

// What one launch works on. edgesdk.backends.tensorrt.kernels.arguments has the same layout.
struct Arguments {
  const unsigned char* picture;  // rows of B, G, R; for NV12 the rows of Y
  const unsigned char* chroma;   // NV12: rows of U, V, one pair for 2 x 2 pixels
  const Tap* columns;            // one for each column of the tensor
  const Tap* rows;
  void* tensor;                  // planes of float or of half, without gaps
  unsigned pitch;                // bytes from row to row of `picture`
  unsigned chroma_pitch;
  int width;                     // of the tensor, in pixels
  int height;
  int planes[3];                 // where B, G and R go: 0, 1, 2 or 2, 1, 0
  int border;                    // grey level outside the picture
  float factor[3];               // of B, G and R: value = pixel * factor - shift
  float shift[3];
  Colour colour;
};

struct Pixel {
  int blue, green, red;  // 0 to 255
};

__device__ inline int clamped(int value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

// A pixel of packed rows of B, G, R.
struct Bgr {
  static __device__ inline Pixel read(const Arguments& a, int x, int y) {
    const unsigned char* at = a.picture + (unsigned long long)y * a.pitch + 3u * x;
    return {at[0], at[1], at[2]};
  }
};

// A pixel of Y and the U, V that it shares with its neighbours, as B, G, R.
struct Nv12 {
  static __device__ inline Pixel read(const Arguments& a, int x, int y) {
    const Colour& k = a.colour;
    const unsigned char* pair =
        a.chroma + (unsigned long long)(y / 2) * a.chroma_pitch + 2u * (x / 2);
    const int above = a.picture[(unsigned long long)y * a.pitch + x] - k.black;
    const int light = (above < 0 ? 0 : above) * k.luma + (1 << 19);
    const int u = pair[0] - 128, v = pair[1] - 128;
    return {clamped((light + k.blue_u * u) >> 20),
            clamped((light + k.green_u * u + k.green_v * v) >> 20),
            clamped((light + k.red_v * v) >> 20)};
  }
};

// Planes of float.
struct Float {
  static __device__ inline void write(void* tensor, unsigned long long at, float value) {
    static_cast<float*>(tensor)[at] = value;
  }
};

// Planes of half, rounded to the nearest, ties to even, as numpy does.
struct Half {
  static __device__ inline void write(void* tensor, unsigned long long at, float value) {
    unsigned short bits;
#ifdef __CUDACC__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
#else
    bits = half_bits(value);
#endif
    static_cast<unsigned short*>(tensor)[at] = bits;
  }
};

// Four neighbours weighted, first across, then down: the shifts are OpenCV's.
__device__ inline int mixed(int nw, int ne, int sw, int se, const Tap& column, const Tap& row) {
  const int north = nw * column.first_weight + ne * column.second_weight;
  const int south = sw * column.first_weight + se * column.second_weight;
  return (((row.first_weight * (north >> 4)) >> 16) +
          ((row.second_weight * (south >> 4)) >> 16) + 2) >> 2;
}

template <typename Reader>
__device__ inline Pixel sampled(const Arguments& a, const Tap& column, const Tap& row) {
  if (column.first_weight + column.second_weight == 0 || row.first_weight + row.second_weight == 0)
    return {a.border, a.border, a.border};
  const Pixel nw = Reader::read(a, column.first, row.first);
  const Pixel ne = Reader::read(a, column.second, row.first);
  const Pixel sw = Reader::read(a, column.first, row.second);
  const Pixel se = Reader::read(a, column.second, row.second);
  return {mixed(nw.blue, ne.blue, sw.blue, se.blue, column, row),
          mixed(nw.green, ne.green, sw.green, se.green, column, row),
          mixed(nw.red, ne.red, sw.red, se.red, column, row)};
}

// One thread: one pixel of the tensor, in its three planes.
template <typename Reader, typename Writer>
__device__ inline void preprocess(const Arguments& a) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= a.width || y >= a.height) return;
  const Pixel pixel = sampled<Reader>(a, a.columns[x], a.rows[y]);
  const int levels[3] = {pixel.blue, pixel.green, pixel.red};
  const unsigned long long plane = (unsigned long long)a.width * a.height;
  const unsigned long long at = (unsigned long long)y * a.width + x;
  for (int channel = 0; channel < 3; ++channel) {
    // Rounded after the product: a fused multiply-add would differ from the CPU in the last bit.
    const float product = __fmul_rn(static_cast<float>(levels[channel]), a.factor[channel]);
    Writer::write(a.tensor, a.planes[channel] * plane + at, __fsub_rn(product, a.shift[channel]));
  }
}
