// Modules and launches: an image names a shared object that holds twins of its kernels.

#include <dlfcn.h>

#include <cstring>
#include <memory>

#include "state.h"

static const char MARKER[] = "STAND-IN TWIN ";

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  ENTER(begin_outside_capture, "cuModuleLoadData");
  const char* text = static_cast<const char*>(image);
  if (strncmp(text, MARKER, strlen(MARKER))) return CUDA_ERROR_INVALID_IMAGE;
  text += strlen(MARKER);
  std::string path(text, strcspn(text, "\n"));
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return CUDA_ERROR_FILE_NOT_FOUND;
  *module = new CUmod_st;
  (*module)->context = context_stack.back();
  (*module)->library = library;
  state().modules.insert(*module);
  return CUDA_SUCCESS;
}

// Leaves the compiler's logs empty: their sizes are given back where they were given.
CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned count,
                            CUjit_option* options, void** values) {
  for (unsigned i = 0; i < count; ++i) {
    bool is_size = options[i] == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES ||
                   options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES;
    if (is_size) values[i] = nullptr;
  }
  return cuModuleLoadData(module, image);
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  ENTER(begin_in_context, "cuModuleGetFunction");
  if (!state().modules.count(module)) return CUDA_ERROR_INVALID_HANDLE;
  void* twin = dlsym(module->library, name);
  if (!twin) return CUDA_ERROR_NOT_FOUND;
  CUfunction& known = module->functions[name];
  if (!known) known = new CUfunc_st;
  known->twin = reinterpret_cast<decltype(known->twin)>(twin);
  void* told = dlsym(module->library, (std::string(name) + "_parameters").c_str());
  known->parameters = told ? *static_cast<const unsigned* const*>(told) : nullptr;
  *function = known;
  return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule module) {
  ENTER(begin_in_context, "cuModuleUnload");
  if (!state().modules.erase(module)) return CUDA_ERROR_INVALID_HANDLE;
  drain_all(lock, false);
  for (auto& [name, function] : module->functions) delete function;
  dlclose(module->library);
  delete module;
  return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction) {
  ENTER(begin_in_context, "cuFuncGetAttribute");
  *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0;
  return CUDA_SUCCESS;
}

CUresult cuFuncSetCacheConfig(CUfunction, CUfunc_cache) { return CUDA_SUCCESS; }

// Old calls that pycuda still makes before each launch; the launch itself says the shape again.
CUresult cuFuncSetBlockShape(CUfunction, int, int, int) { return CUDA_SUCCESS; }
CUresult cuFuncSetSharedSize(CUfunction, unsigned) { return CUDA_SUCCESS; }

// The arguments of a launch, copied when it is asked for, as the driver does.
struct Arguments {
  std::vector<char> packed;
  std::vector<size_t> offsets;
};

static bool layout(const unsigned* sizes, size_t bytes, Arguments& out) {
  if (!sizes) {
    out.offsets.push_back(0);
    return true;
  }
  size_t end = 0;
  for (; *sizes; ++sizes) {
    size_t alignment = *sizes < 8 ? *sizes : 8;
    end = (end + alignment - 1) / alignment * alignment;
    out.offsets.push_back(end);
    end += *sizes;
  }
  return end == bytes;
}

static bool read_packed(void** extra, const unsigned* sizes, Arguments& out) {
  const char* buffer = nullptr;
  size_t bytes = 0;
  for (; extra && *extra != CU_LAUNCH_PARAM_END; extra += 2) {
    if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER) buffer = static_cast<const char*>(extra[1]);
    if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE) bytes = *static_cast<size_t*>(extra[1]);
  }
  out.packed.assign(buffer, buffer + bytes);
  return layout(sizes, bytes, out);
}

static bool read_separate(void** arguments, const unsigned* sizes, Arguments& out) {
  for (; sizes && *sizes; ++sizes, ++arguments) {
    size_t alignment = *sizes < 8 ? *sizes : 8;
    out.packed.resize((out.packed.size() + alignment - 1) / alignment * alignment);
    out.offsets.push_back(out.packed.size());
    const char* value = static_cast<const char*>(*arguments);
    out.packed.insert(out.packed.end(), value, value + *sizes);
  }
  return sizes != nullptr;
}

CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                        unsigned by, unsigned bz, unsigned, CUstream handle, void** arguments,
                        void** extra) {
  ENTER(begin_in_context, "cuLaunchKernel");
  CUstream stream = stream_of(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  bool empty = !gx || !gy || !gz || !bx || !by || !bz;
  bool large = size_t(bx) * by * bz > 1024 || bz > 64 || gy > 65535 || gz > 65535;
  if (empty || large) return CUDA_ERROR_INVALID_VALUE;
  auto given = std::make_shared<Arguments>();
  const unsigned* sizes = function->parameters;
  bool fits = extra ? read_packed(extra, sizes, *given) : read_separate(arguments, sizes, *given);
  if (!fits) return CUDA_ERROR_INVALID_VALUE;
  auto twin = function->twin;
  return enqueue(stream, [=] {
    const unsigned grid[3] = {gx, gy, gz};
    const unsigned block[3] = {bx, by, bz};
    std::vector<void*> pointers;
    for (size_t offset : given->offsets) pointers.push_back(given->packed.data() + offset);
    twin(grid, block, pointers.data());
    return CUDA_SUCCESS;
  }, lock);
}
