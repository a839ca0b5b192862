// Initialisation, the one device, and contexts with their stack for each thread.

#include <cstdlib>
#include <cstring>

#include "state.h"

thread_local std::vector<CUcontext> context_stack;

static void read_environment(State& made) {
  if (const char* text = std::getenv("STAND_IN_INTEGRATED")) made.integrated = *text != '0';
  if (const char* text = std::getenv("STAND_IN_LAZY")) made.lazy = *text == '1';
  if (const char* text = std::getenv("STAND_IN_MEMORY")) made.memory = std::strtoull(text, nullptr, 10);
  made.primary.primary = true;
  made.default_stream.context = &made.primary;
}

State& state() {
  static State* made = [] {  // never destroyed: calls may come while the process ends
    State* fresh = new State;
    read_environment(*fresh);
    return fresh;
  }();
  return *made;
}

CUresult begin(const char* name) {
  State& all = state();
  ++all.calls[name];
  if (auto found = all.failures.find(name); found != all.failures.end() && !found->second.empty()) {
    CUresult code = found->second.front();
    found->second.pop_front();
    return code;
  }
  return all.initialised || !strcmp(name, "cuInit") ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

CUresult begin_in_context(const char* name) {
  if (CUresult refused = begin(name); refused) return refused;
  if (context_stack.empty() || !context_stack.back()) return CUDA_ERROR_INVALID_CONTEXT;
  CUcontext current = context_stack.back();
  if (!state().contexts.count(current)) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  return current->sticky;
}

CUresult begin_outside_capture(const char* name) {
  if (CUresult refused = begin_in_context(name); refused) return refused;
  for (CUstream stream : state().streams) {
    bool own = stream->capturing_thread == std::this_thread::get_id();
    bool forbids = stream->mode == CU_STREAM_CAPTURE_MODE_GLOBAL ||
                   (stream->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && own);
    if (stream->capture && forbids) {
      stream->capture_spoiled = true;
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  }
  return CUDA_SUCCESS;
}

CUresult cuInit(unsigned flags) {
  ENTER(begin, "cuInit");
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  state().initialised = true;
  return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int* version) {
  *version = 13000;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int* count) {
  ENTER(begin, "cuDeviceGetCount");
  *count = 1;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  ENTER(begin, "cuDeviceGet");
  if (ordinal != 0) return CUDA_ERROR_INVALID_DEVICE;
  *device = 0;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char* name, int length, CUdevice) {
  ENTER(begin, "cuDeviceGetName");
  strncpy(name, "stand-in for Orin", length - 1);
  name[length - 1] = 0;
  return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t* bytes, CUdevice) {
  ENTER(begin, "cuDeviceTotalMem");
  *bytes = state().memory;
  return CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice) {
  ENTER(begin, "cuDeviceComputeCapability");
  *major = 8;
  *minor = 7;
  return CUDA_SUCCESS;
}

static int attribute_value(CUdevice_attribute attribute) {
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return 8;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return 7;
    case CU_DEVICE_ATTRIBUTE_INTEGRATED: return state().integrated;
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY: return 1;
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING: return 1;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: return 1024;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return 32;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return 16;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: return 1300000;
    default: return 0;
  }
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  ENTER(begin, "cuDeviceGetAttribute");
  *value = attribute_value(attribute);
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice) {
  ENTER(begin, "cuDevicePrimaryCtxRetain");
  ++state().primary.references;
  state().contexts.insert(&state().primary);
  *context = &state().primary;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice) {
  ENTER(begin, "cuDevicePrimaryCtxRelease");
  CUctx_st& primary = state().primary;
  if (primary.references == 0) return CUDA_ERROR_INVALID_CONTEXT;
  if (--primary.references == 0) end_context(&primary);
  return CUDA_SUCCESS;
}

#undef cuCtxCreate
extern "C" CUresult cuCtxCreate_v4(CUcontext* context, CUctxCreateParams*, unsigned, CUdevice) {
  ENTER(begin, "cuCtxCreate");
  *context = new CUctx_st;
  state().contexts.insert(*context);
  context_stack.push_back(*context);
  return CUDA_SUCCESS;
}

CUresult cuCtxDestroy(CUcontext context) {
  ENTER(begin, "cuCtxDestroy");
  if (!state().contexts.count(context) || context->primary) return CUDA_ERROR_INVALID_CONTEXT;
  if (!context_stack.empty() && context_stack.back() == context) context_stack.pop_back();
  end_context(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxDetach(CUcontext context) { return cuCtxDestroy(context); }

CUresult cuCtxPushCurrent(CUcontext context) {
  ENTER(begin, "cuCtxPushCurrent");
  if (!state().contexts.count(context)) return CUDA_ERROR_INVALID_CONTEXT;
  context_stack.push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext* context) {
  ENTER(begin, "cuCtxPopCurrent");
  if (context_stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  if (context) *context = context_stack.back();
  context_stack.pop_back();
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  ENTER(begin, "cuCtxGetCurrent");
  *context = context_stack.empty() ? nullptr : context_stack.back();
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  ENTER(begin, "cuCtxSetCurrent");
  if (!context_stack.empty()) context_stack.pop_back();
  if (context) context_stack.push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice* device) {
  ENTER(begin_in_context, "cuCtxGetDevice");
  *device = 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize() {
  ENTER(begin_outside_capture, "cuCtxSynchronize");
  return drain_all(lock, false);
}
