// What tests ask the stand-in: what lives, what was called; and what they make it do.

#include <dlfcn.h>

#include <cstring>

#include "state.h"

template <typename Handle>
static void end_all(std::set<Handle>& handles, CUcontext context) {
  for (auto it = handles.begin(); it != handles.end();) {
    bool ends = (*it)->context == context;
    state().leaked += ends;
    it = ends ? handles.erase(it) : std::next(it);
  }
}

// A context takes all that was made in it along; what was still alive is counted as leaked.
void end_context(CUcontext context) {
  State& all = state();
  all.contexts.erase(context);
  context->sticky = CUDA_SUCCESS;
  end_all(all.streams, context);
  end_all(all.events, context);
  end_all(all.modules, context);
  for (auto it = all.allocations.begin(); it != all.allocations.end();) {
    auto current = it++;
    if (current->second.context != context) continue;
    ++all.leaked;
    free_allocation(current);
  }
  if (!context->primary) delete context;
}

static bool is_pinned(const Allocation& allocation) { return allocation.kind == Kind::pinned; }

extern "C" {

long stand_in_live(const char* kind) {
  State& all = state();
  Lock lock(all.mutex);
  long pinned = 0;
  for (auto& [address, allocation] : all.allocations) pinned += is_pinned(allocation);
  if (!strcmp(kind, "pinned")) return pinned;
  if (!strcmp(kind, "device")) return static_cast<long>(all.allocations.size()) - pinned;
  if (!strcmp(kind, "stream")) return static_cast<long>(all.streams.size());
  if (!strcmp(kind, "event")) return static_cast<long>(all.events.size());
  if (!strcmp(kind, "module")) return static_cast<long>(all.modules.size());
  if (!strcmp(kind, "graph")) return static_cast<long>(all.graphs.size() + all.executables.size());
  if (!strcmp(kind, "primary")) return all.primary.references;
  if (!strcmp(kind, "leaked")) return all.leaked;
  return -1;
}

long stand_in_live_allocations() { return stand_in_live("device") + stand_in_live("pinned"); }

long stand_in_bytes() {
  Lock lock(state().mutex);
  return static_cast<long>(live_bytes());
}

// Calls of `name` so far; an empty name: of all.
long stand_in_calls(const char* name) {
  Lock lock(state().mutex);
  long sum = 0;
  for (auto& [called, count] : state().calls) {
    if (!*name || called == name) sum += count;
  }
  return sum;
}

// The next call of `name` that has nothing to fail with yet returns `code` and does nothing.
void stand_in_fail_next(const char* name, int code) {
  Lock lock(state().mutex);
  state().failures[name].push_back(static_cast<CUresult>(code));
}

void stand_in_set_lazy(int lazy) {
  Lock lock(state().mutex);
  state().lazy = lazy;
}

void stand_in_set_integrated(int integrated) {
  Lock lock(state().mutex);
  state().integrated = integrated;
}

void stand_in_set_memory(long bytes) {
  Lock lock(state().mutex);
  state().memory = static_cast<size_t>(bytes);
}

// How many contexts are on this thread's stack.
long stand_in_context_depth() { return static_cast<long>(context_stack.size()); }

// Operations that were asked for and have not run: only in the lazy mode can there be any.
long stand_in_waiting() {
  Lock lock(state().mutex);
  size_t sum = 0;
  for (CUstream stream : state().streams) sum += stream->waiting.size();
  return static_cast<long>(sum);
}

// Forget counts, injected failures and errors; what lives goes on living.
void stand_in_reset() {
  State& all = state();
  Lock lock(all.mutex);
  all.calls.clear();
  all.failures.clear();
  all.leaked = 0;
  all.primary.sticky = CUDA_SUCCESS;
}

}  // extern "C"
