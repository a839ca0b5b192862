// Stream capture and graphs: what a capture noted is done again at each launch.

#include "state.h"

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
  ENTER(begin_in_context, "cuStreamBeginCapture");
  if (stream_of(stream) == &state().default_stream) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (!stream_of(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  stream->capture = new CUgraph_st;
  stream->capture_spoiled = false;
  stream->mode = mode;
  stream->capturing_thread = std::this_thread::get_id();
  return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  ENTER(begin_in_context, "cuStreamEndCapture");
  *graph = nullptr;
  if (!stream_of(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (!stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  bool elsewhere = stream->capturing_thread != std::this_thread::get_id();
  if (elsewhere && stream->mode != CU_STREAM_CAPTURE_MODE_RELAXED) {
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  }
  CUgraph made = stream->capture;
  stream->capture = nullptr;
  if (stream->capture_spoiled) {
    delete made;
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  }
  state().graphs.insert(made);
  *graph = made;
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  ENTER(begin_in_context, "cuStreamIsCapturing");
  if (!stream_of(stream)) return CUDA_ERROR_INVALID_HANDLE;
  bool active = stream_of(stream)->capture != nullptr;
  bool spoiled = stream_of(stream)->capture_spoiled;
  *status = !active ? CU_STREAM_CAPTURE_STATUS_NONE
            : spoiled ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                      : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* made, CUgraph graph, unsigned long long) {
  ENTER(begin_in_context, "cuGraphInstantiateWithFlags");
  if (!state().graphs.count(graph)) return CUDA_ERROR_INVALID_HANDLE;
  *made = new CUgraphExec_st{graph->nodes};
  state().executables.insert(*made);
  return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream handle) {
  ENTER(begin_in_context, "cuGraphLaunch");
  CUstream stream = stream_of(handle);
  if (!stream || !state().executables.count(executable)) return CUDA_ERROR_INVALID_HANDLE;
  return enqueue(stream, [nodes = executable->nodes] {
    for (const Operation& node : nodes) {
      if (CUresult code = node(); code != CUDA_SUCCESS) return code;
    }
    return CUDA_SUCCESS;
  }, lock);
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode*, size_t* count) {
  ENTER(begin, "cuGraphGetNodes");
  if (!state().graphs.count(graph)) return CUDA_ERROR_INVALID_HANDLE;
  *count = graph->nodes.size();
  return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph) {
  ENTER(begin, "cuGraphDestroy");
  if (!state().graphs.erase(graph)) return CUDA_ERROR_INVALID_HANDLE;
  delete graph;
  return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec executable) {
  ENTER(begin, "cuGraphExecDestroy");
  if (!state().executables.erase(executable)) return CUDA_ERROR_INVALID_HANDLE;
  delete executable;
  return CUDA_SUCCESS;
}
