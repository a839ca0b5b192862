// Streams, events and host functions: work is done in order, at once or as late as is allowed.

#include <chrono>

#include "state.h"

CUstream stream_of(CUstream handle) {
  State& all = state();
  if (!handle || handle == CU_STREAM_LEGACY) return &all.default_stream;
  return all.streams.count(handle) ? handle : nullptr;
}

// Runs what waits on a stream, without the lock: an operation may be a Python function.
// Work that another thread is running is left to it when this thread may not wait for it.
CUresult drain(CUstream stream, Lock& lock) {
  State& all = state();
  all.drained.wait(lock, [&] { return !stream->draining; });
  stream->draining = true;
  while (!stream->waiting.empty()) {
    Operation next = std::move(stream->waiting.front());
    stream->waiting.pop_front();
    lock.unlock();
    CUresult code = next();
    lock.lock();
    if (code != CUDA_SUCCESS) stream->context->sticky = code;
  }
  stream->draining = false;
  all.drained.notify_all();
  return stream->context->sticky;
}

CUresult drain_all(Lock& lock, bool blocking_only) {
  std::vector<CUstream> some{&state().default_stream};
  for (CUstream stream : state().streams) {
    if (stream->blocking || !blocking_only) some.push_back(stream);
  }
  for (CUstream stream : some) {
    // A caller that holds Python's lock must not wait for a thread that needs it.
    if (stream_of(stream) && !stream->draining) drain(stream, lock);
  }
  return context_stack.empty() ? CUDA_SUCCESS : context_stack.back()->sticky;
}

static CUstream capturing_and_blocking() {
  for (CUstream stream : state().streams) {
    if (stream->capture && stream->blocking) return stream;
  }
  return nullptr;
}

CUresult enqueue(CUstream stream, Operation operation, Lock& lock) {
  if (stream->capture) {
    if (stream->capture_spoiled) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    stream->capture->nodes.push_back(std::move(operation));
    return CUDA_SUCCESS;
  }
  if (stream == &state().default_stream) {
    if (CUstream other = capturing_and_blocking()) {
      other->capture_spoiled = true;
      return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    if (CUresult earlier = drain_all(lock, true); earlier) return earlier;
  }
  stream->waiting.push_back(std::move(operation));
  return state().lazy ? CUDA_SUCCESS : drain(stream, lock);
}

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  ENTER(begin_in_context, "cuStreamCreate");
  *stream = new CUstream_st;
  (*stream)->context = context_stack.back();
  (*stream)->blocking = !(flags & CU_STREAM_NON_BLOCKING);
  state().streams.insert(*stream);
  return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream stream) {
  ENTER(begin_in_context, "cuStreamDestroy");
  if (!state().streams.count(stream)) return CUDA_ERROR_INVALID_HANDLE;
  drain(stream, lock);  // the driver lets the work finish, then destroys
  state().streams.erase(stream);
  delete stream;
  return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream handle) {
  ENTER(begin_in_context, "cuStreamSynchronize");
  CUstream stream = stream_of(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    stream->capture_spoiled = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return drain(stream, lock);
}

CUresult cuStreamQuery(CUstream handle) {
  ENTER(begin_in_context, "cuStreamQuery");
  CUstream stream = stream_of(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    stream->capture_spoiled = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  if (stream->waiting.empty() && !stream->draining) return CUDA_SUCCESS;
  if (!stream->draining) drain(stream, lock);  // so that asking again and again comes to an end
  return CUDA_ERROR_NOT_READY;
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void* data) {
  ENTER(begin_in_context, "cuLaunchHostFunc");
  CUstream stream = stream_of(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  return enqueue(stream, [=] {
    function(data);
    return CUDA_SUCCESS;
  }, lock);
}

static double now() {
  auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(since).count();
}

CUresult cuEventCreate(CUevent* event, unsigned flags) {
  ENTER(begin_in_context, "cuEventCreate");
  *event = new CUevent_st;
  (*event)->context = context_stack.back();
  (*event)->timed = !(flags & CU_EVENT_DISABLE_TIMING);
  state().events.insert(*event);
  return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent event) {
  ENTER(begin_in_context, "cuEventDestroy");
  if (!state().events.erase(event)) return CUDA_ERROR_INVALID_HANDLE;
  if (event->pending == 0) delete event;  // else a stream still holds it: leave it, it is small
  return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream handle) {
  ENTER(begin_in_context, "cuEventRecord");
  CUstream stream = stream_of(handle);
  if (!stream || !state().events.count(event)) return CUDA_ERROR_INVALID_HANDLE;
  event->captured = stream->capture != nullptr;
  if (event->captured) return CUDA_SUCCESS;
  event->recorded = true;
  event->stream = stream;
  ++event->pending;
  return enqueue(stream, [=] {
    Lock inner(state().mutex);
    event->milliseconds = now();
    --event->pending;
    return CUDA_SUCCESS;
  }, lock);
}

static CUresult wait_for(CUevent event, Lock& lock) {
  while (event->pending && stream_of(event->stream)) drain(event->stream, lock);
  return event->context->sticky;
}

CUresult cuEventSynchronize(CUevent event) {
  ENTER(begin_in_context, "cuEventSynchronize");
  if (!state().events.count(event)) return CUDA_ERROR_INVALID_HANDLE;
  if (event->captured) return CUDA_ERROR_CAPTURED_EVENT;
  return wait_for(event, lock);
}

CUresult cuEventQuery(CUevent event) {
  ENTER(begin_in_context, "cuEventQuery");
  if (!state().events.count(event)) return CUDA_ERROR_INVALID_HANDLE;
  if (event->captured) return CUDA_ERROR_CAPTURED_EVENT;
  if (!event->pending) return CUDA_SUCCESS;
  wait_for(event, lock);
  return CUDA_ERROR_NOT_READY;
}

#undef cuEventElapsedTime
static CUresult elapsed(float* milliseconds, CUevent first, CUevent last) {
  ENTER(begin_in_context, "cuEventElapsedTime");
  if (!state().events.count(first) || !state().events.count(last)) return CUDA_ERROR_INVALID_HANDLE;
  if (!first->recorded || !last->recorded || !first->timed || !last->timed) {
    return CUDA_ERROR_INVALID_HANDLE;
  }
  if (first->pending || last->pending) return CUDA_ERROR_NOT_READY;
  *milliseconds = static_cast<float>(last->milliseconds - first->milliseconds);
  return CUDA_SUCCESS;
}

extern "C" CUresult cuEventElapsedTime(float* ms, CUevent a, CUevent b) { return elapsed(ms, a, b); }
extern "C" CUresult cuEventElapsedTime_v2(float* ms, CUevent a, CUevent b) {
  return elapsed(ms, a, b);
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned) {
  ENTER(begin_in_context, "cuStreamWaitEvent");
  CUstream stream = stream_of(handle);
  if (!stream || !state().events.count(event)) return CUDA_ERROR_INVALID_HANDLE;
  if (event->stream == stream || !event->recorded) return CUDA_SUCCESS;
  return enqueue(stream, [=] {
    Lock inner(state().mutex);
    return state().events.count(event) ? wait_for(event, inner) : CUDA_SUCCESS;
  }, lock);
}
