// Memory of the device and pinned memory of the host, with bounds and liveness; copies.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "state.h"

constexpr int UNSET = 0xCD;  // what memory holds before anything is written to it
constexpr int FREED = 0xDD;

size_t live_bytes() {
  size_t sum = 0;
  for (auto& [address, allocation] : state().allocations) sum += allocation.bytes;
  return sum;
}

bool inside(uintptr_t address, size_t bytes) {
  auto after = state().allocations.upper_bound(address);
  if (after == state().allocations.begin()) return false;
  auto& [start, allocation] = *std::prev(after);
  return address + bytes <= start + allocation.bytes;
}

void free_allocation(std::map<uintptr_t, Allocation>::iterator found) {
  auto& [address, allocation] = *found;
  memset(reinterpret_cast<void*>(address), FREED, allocation.bytes);
  if (allocation.kind == Kind::device) {
    free(reinterpret_cast<void*>(address));
  } else {
    munmap(reinterpret_cast<void*>(address), allocation.bytes);
    munmap(allocation.host, allocation.bytes);
  }
  state().allocations.erase(found);
}

CUresult cuMemGetInfo(size_t* unused, size_t* total) {
  ENTER(begin_in_context, "cuMemGetInfo");
  *total = state().memory;
  *unused = state().memory - live_bytes();
  return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr* address, size_t bytes) {
  ENTER(begin_outside_capture, "cuMemAlloc");
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (bytes > state().memory - live_bytes()) return CUDA_ERROR_OUT_OF_MEMORY;
  void* made = aligned_alloc(256, (bytes + 255) / 256 * 256);
  memset(made, UNSET, bytes);
  *address = reinterpret_cast<CUdeviceptr>(made);
  state().allocations[*address] = {context_stack.back(), Kind::device, bytes};
  return CUDA_SUCCESS;
}

CUresult cuMemFree(CUdeviceptr address) {
  ENTER(begin_outside_capture, "cuMemFree");
  auto found = state().allocations.find(address);
  if (found == state().allocations.end() || found->second.kind != Kind::device) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  CUresult earlier = drain_all(lock, false);  // the driver waits for the device before it frees
  found = state().allocations.find(address);
  if (found != state().allocations.end()) free_allocation(found);
  return earlier;
}

CUresult cuMemGetAddressRange(CUdeviceptr* start, size_t* bytes, CUdeviceptr address) {
  ENTER(begin_in_context, "cuMemGetAddressRange");
  if (!inside(address, 1)) return CUDA_ERROR_NOT_FOUND;
  auto found = std::prev(state().allocations.upper_bound(address));
  if (start) *start = found->first;
  if (bytes) *bytes = found->second.bytes;
  return CUDA_SUCCESS;
}

// Mapped twice, so that the address of the CPU and that of the device differ: code that takes
// one for the other is caught, which it would not be on most real machines.
CUresult cuMemHostAlloc(void** host, size_t bytes, unsigned) {
  ENTER(begin_outside_capture, "cuMemHostAlloc");
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (bytes > state().memory - live_bytes()) return CUDA_ERROR_OUT_OF_MEMORY;
  int file = memfd_create("pinned", 0);
  if (file < 0 || ftruncate(file, bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  *host = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  void* device = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  memset(*host, UNSET, bytes);
  uintptr_t address = reinterpret_cast<uintptr_t>(device);
  state().allocations[address] = {context_stack.back(), Kind::pinned, bytes, *host};
  return CUDA_SUCCESS;
}

CUresult cuMemAllocHost(void** host, size_t bytes) { return cuMemHostAlloc(host, bytes, 0); }

static std::map<uintptr_t, Allocation>::iterator pinned_at(void* host) {
  auto& all = state().allocations;
  for (auto found = all.begin(); found != all.end(); ++found) {
    if (found->second.kind == Kind::pinned && found->second.host == host) return found;
  }
  return all.end();
}

CUresult cuMemHostGetDevicePointer(CUdeviceptr* address, void* host, unsigned) {
  ENTER(begin_in_context, "cuMemHostGetDevicePointer");
  auto found = pinned_at(host);
  if (found == state().allocations.end()) return CUDA_ERROR_INVALID_VALUE;
  *address = found->first;
  return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void* host) {
  ENTER(begin_outside_capture, "cuMemFreeHost");
  if (pinned_at(host) == state().allocations.end()) return CUDA_ERROR_INVALID_VALUE;
  CUresult earlier = drain_all(lock, false);
  if (auto found = pinned_at(host); found != state().allocations.end()) free_allocation(found);
  return earlier;
}

// A copy checks its bounds when it is asked for, and again when it runs: memory may be gone.
struct Copy {
  uintptr_t target, source;
  size_t bytes;
  bool target_on_device, source_on_device;

  bool fits() const {
    return (!target_on_device || inside(target, bytes)) &&
           (!source_on_device || inside(source, bytes));
  }

  CUresult operator()() const {
    {
      Lock lock(state().mutex);
      if (!fits()) return CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    memmove(reinterpret_cast<void*>(target), reinterpret_cast<void*>(source), bytes);
    return CUDA_SUCCESS;
  }
};

static CUresult copy_now(const char* name, Copy copy) {
  ENTER(begin_outside_capture, name);
  if (!copy.fits()) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult earlier = drain_all(lock, true); earlier) return earlier;
  lock.unlock();
  return copy();
}

static CUresult copy_on(const char* name, Copy copy, CUstream handle) {
  ENTER(begin_in_context, name);
  CUstream stream = stream_of(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!copy.fits()) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(stream, copy, lock);
}

static uintptr_t at(const void* host) { return reinterpret_cast<uintptr_t>(host); }

CUresult cuMemcpyHtoD(CUdeviceptr target, const void* source, size_t bytes) {
  return copy_now("cuMemcpyHtoD", {target, at(source), bytes, true, false});
}

CUresult cuMemcpyDtoH(void* target, CUdeviceptr source, size_t bytes) {
  return copy_now("cuMemcpyDtoH", {at(target), source, bytes, false, true});
}

CUresult cuMemcpyDtoD(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
  return copy_now("cuMemcpyDtoD", {target, source, bytes, true, true});
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr target, const void* source, size_t bytes, CUstream stream) {
  return copy_on("cuMemcpyHtoDAsync", {target, at(source), bytes, true, false}, stream);
}

CUresult cuMemcpyDtoHAsync(void* target, CUdeviceptr source, size_t bytes, CUstream stream) {
  return copy_on("cuMemcpyDtoHAsync", {at(target), source, bytes, false, true}, stream);
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream) {
  return copy_on("cuMemcpyDtoDAsync", {target, source, bytes, true, true}, stream);
}

CUresult cuMemsetD8Async(CUdeviceptr target, unsigned char value, size_t bytes, CUstream handle) {
  ENTER(begin_in_context, "cuMemsetD8Async");
  CUstream stream = stream_of(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!inside(target, bytes)) return CUDA_ERROR_INVALID_VALUE;
  return enqueue(stream, [=] {
    memset(reinterpret_cast<void*>(target), value, bytes);
    return CUDA_SUCCESS;
  }, lock);
}

CUresult cuMemsetD8(CUdeviceptr target, unsigned char value, size_t bytes) {
  return cuMemsetD8Async(target, value, bytes, nullptr);
}
