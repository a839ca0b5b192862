// A stand-in for NVIDIA's driver, libcuda.so.1, on the CPU: for tests only.
//
// What it is: every cu* call that edgesdk and pycuda make, with the driver's rules about contexts,
// handles, bounds and stream capture. Device memory is malloc, kernels are functions of a shared
// object that g++ compiled from the same source ("twins", see twin.h).
// What it shows: that our calls are right in order, arguments and bookkeeping.
// What it cannot show: that a GPU computes anything. Nothing runs beside anything else here: an
// operation runs when it is given to its stream, or, in the lazy mode (STAND_IN_LAZY=1), as late
// as the rules allow, so that a result used before its synchronize is caught.
//
// STAND_IN_INTEGRATED=1 (as a Jetson, the default) or 0; STAND_IN_MEMORY: bytes, default 8 GiB.

#pragma once

#include <cuda.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using Operation = std::function<CUresult()>;
using Lock = std::unique_lock<std::mutex>;

struct CUctx_st {
  bool primary = false;
  int references = 0;
  CUresult sticky = CUDA_SUCCESS;  // an error on the device that all later calls report
};

struct CUgraph_st {
  std::vector<Operation> nodes;
};

struct CUgraphExec_st {
  std::vector<Operation> nodes;
};

struct CUstream_st {
  CUcontext context = nullptr;
  bool blocking = true;  // waits for, and is waited for by, the default stream
  std::deque<Operation> waiting;
  bool draining = false;
  CUgraph capture = nullptr;
  bool capture_spoiled = false;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::thread::id capturing_thread;
};

struct CUevent_st {
  CUcontext context = nullptr;
  bool timed = true;
  bool recorded = false;
  bool captured = false;
  long pending = 0;  // records of this event that have not run yet
  CUstream stream = nullptr;
  double milliseconds = 0;
};

struct CUmod_st {
  CUcontext context = nullptr;
  void* library = nullptr;
  std::map<std::string, CUfunction> functions;
};

struct CUfunc_st {
  void (*twin)(const unsigned*, const unsigned*, void**) = nullptr;
  const unsigned* parameters = nullptr;  // sizes in bytes, ended by 0; null: not told
};

enum class Kind { device, pinned };

struct Allocation {
  CUcontext context;
  Kind kind;
  size_t bytes;
  void* host = nullptr;  // pinned memory: the address that the CPU uses
};

struct State {
  std::mutex mutex;
  std::condition_variable drained;
  bool initialised = false;
  bool integrated = true;
  bool lazy = false;
  size_t memory = size_t(8) << 30;
  CUctx_st primary;
  CUstream_st default_stream;
  std::set<CUcontext> contexts;
  std::set<CUstream> streams;
  std::set<CUevent> events;
  std::set<CUmodule> modules;
  std::set<CUgraph> graphs;
  std::set<CUgraphExec> executables;
  std::map<uintptr_t, Allocation> allocations;  // by device address
  std::map<std::string, long> calls;
  std::map<std::string, std::deque<CUresult>> failures;  // of the next calls of that name
  long leaked = 0;  // what was alive when its context ended
};

State& state();
extern thread_local std::vector<CUcontext> context_stack;

// Count the call, let an injected failure happen. Needs the lock.
CUresult begin(const char* name);
// As begin, and the current context of this thread must be alive and without an error.
CUresult begin_in_context(const char* name);
// As begin_in_context, for calls that the driver forbids while this thread captures.
CUresult begin_outside_capture(const char* name);

// streams.cpp
CUstream stream_of(CUstream handle);  // null: no such stream
CUresult enqueue(CUstream stream, Operation operation, Lock& lock);
CUresult drain(CUstream stream, Lock& lock);
CUresult drain_all(Lock& lock, bool blocking_only);

// memory.cpp
bool inside(uintptr_t address, size_t bytes);
void free_allocation(std::map<uintptr_t, Allocation>::iterator found);
size_t live_bytes();

// ledger.cpp
void end_context(CUcontext context);

#define ENTER(CHECK, NAME)                        \
  Lock lock(state().mutex);                       \
  if (CUresult refused = CHECK(NAME); refused) {  \
    return refused;                               \
  }
