// The symbols that TensorRT's Python bindings look for when they are imported, and nothing behind
// them: each factory gives a null pointer. One source for libnvinfer, libnvinfer_plugin,
// libnvonnxparser and (8.6) libnvparsers. TRT_MAJOR is the version's first number.
//
// The `tell_*` functions call an object of ours as TensorRT's library would: through the C++ virtual
// functions that the bindings route to Python, from a thread that Python does not know. The order of
// the virtual functions is that of NVIDIA's public headers (NvInferRuntime.h, NvInferRuntimeBase.h,
// NvInfer.h) of each version.
#include <cstddef>
#include <cstdint>
#include <thread>

namespace {

struct Unversioned {};
struct Versioned {
    virtual int32_t language() const noexcept = 0;
    virtual void info() const noexcept = 0;
    virtual ~Versioned() noexcept = default;
};

#if TRT_MAJOR >= 11
using ListenerBase = Versioned;
#else
using ListenerBase = Unversioned;
#endif
#if TRT_MAJOR >= 10
using CalibratorBase = Versioned;
#else
using CalibratorBase = Unversioned;
#endif

struct Logger : ListenerBase {
    virtual void log(int32_t severity, char const* text) noexcept = 0;
};
struct Profiler : ListenerBase {
    virtual void layer(char const* name, float ms) noexcept = 0;
};
struct Monitor : Versioned {
    virtual void start(char const* name, char const* parent, int32_t steps) noexcept = 0;
    virtual bool step(char const* name, int32_t step) noexcept = 0;
    virtual void finish(char const* name) noexcept = 0;
};
struct Calibrator : CalibratorBase {
    virtual int32_t batch_size() const noexcept = 0;
    virtual bool batch(void* pointers[], char const* names[], int32_t count) noexcept = 0;
    virtual void const* read_cache(std::size_t& length) noexcept = 0;
    virtual void write_cache(void const* data, std::size_t length) noexcept = 0;
    virtual int32_t algorithm() noexcept = 0;
};

template <class Work>
void elsewhere(Work work) {
    std::thread(work).join();
}

}  // namespace

extern "C" {
void tell_logger(Logger* logger, int32_t severity, char const* text) {
    elsewhere([=] { logger->log(severity, text); });
}
void tell_profiler(Profiler* profiler, char const* name, float ms) {
    elsewhere([=] { profiler->layer(name, ms); });
}
void tell_start(Monitor* monitor, char const* name, char const* parent, int32_t steps) {
    elsewhere([=] { monitor->start(name, parent, steps); });
}
int32_t tell_step(Monitor* monitor, char const* name, int32_t step) {
    bool goes_on = false;
    elsewhere([&] { goes_on = monitor->step(name, step); });
    return goes_on;
}
void tell_finish(Monitor* monitor, char const* name) {
    elsewhere([=] { monitor->finish(name); });
}
int32_t ask_batch_size(Calibrator* calibrator) { return calibrator->batch_size(); }
int32_t ask_algorithm(Calibrator* calibrator) { return calibrator->algorithm(); }
int32_t ask_batch(Calibrator* calibrator, char const* name) {
    void* pointer = nullptr;
    return calibrator->batch(&pointer, &name, 1);
}
void const* ask_cache(Calibrator* calibrator, std::size_t* length) {
    return calibrator->read_cache(*length);
}
void tell_cache(Calibrator* calibrator, void const* data, std::size_t length) {
    calibrator->write_cache(data, length);
}

void* createInferBuilder_INTERNAL(Logger* logger, int) {
    if (logger != nullptr) logger->log(1, "this library builds nothing");
    return nullptr;
}
void* createInferRefitter_INTERNAL(void*, void*, int) { return nullptr; }
void* createInferRuntime_INTERNAL(void*, int) { return nullptr; }
void* getBuilderPluginRegistry(int) { return nullptr; }
void* getPluginRegistry() { return nullptr; }
int getInferLibVersion() { return 0; }
bool initLibNvInferPlugins(void*, char const*) { return true; }
void* createNvOnnxParser_INTERNAL(void*, void*, int) { return nullptr; }
void* createNvOnnxParserRefitter_INTERNAL(void*, void*, int) { return nullptr; }
int getNvOnnxParserVersion() { return 0; }
}

// 8.6 still knows Caffe and UFF.
namespace nvcaffeparser1 {
void* createCaffeParser() { return nullptr; }
void shutdownProtobufLibrary() {}
}  // namespace nvcaffeparser1
namespace nvuffparser {
enum class FieldType : int {};
struct FieldMap {
    FieldMap(char const*, void const*, FieldType, int);
};
FieldMap::FieldMap(char const*, void const*, FieldType, int) {}
void* createUffParser() { return nullptr; }
}  // namespace nvuffparser
