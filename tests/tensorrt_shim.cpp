// The real `tensorrt` 11 bindings on the library of TensorRT-RTX, which builds engines without a
// GPU: both come from one source, and their objects have the same form. Each factory hands over to
// RTX's, with RTX's own version number. One source for libnvinfer, libnvinfer_plugin and
// libnvonnxparser.
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

namespace {

char const* const kBuilder = "libtensorrt_rtx.so.1";
char const* const kParser = "libtensorrt_onnxparser_rtx.so.1";

template <class Function>
Function find(char const* library, char const* name) {
    void* opened = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
    void* found = opened == nullptr ? nullptr : dlsym(opened, name);
    if (found == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        std::abort();
    }
    return reinterpret_cast<Function>(found);
}

using One = void* (*)(void*, int);
using Two = void* (*)(void*, void*, int);

int builder_version() { return find<int (*)()>(kBuilder, "getInferLibVersion")(); }
int parser_version() { return find<int (*)()>(kParser, "getNvOnnxParserVersion")(); }

}  // namespace

extern "C" {
void* createInferBuilder_INTERNAL(void* logger, int) {
    return find<One>(kBuilder, "createInferBuilder_INTERNAL")(logger, builder_version());
}
void* createInferRefitter_INTERNAL(void* engine, void* logger, int) {
    return find<Two>(kBuilder, "createInferRefitter_INTERNAL")(engine, logger, builder_version());
}
void* createInferRuntime_INTERNAL(void* logger, int) {
    return find<One>(kBuilder, "createInferRuntime_INTERNAL")(logger, builder_version());
}
void* getBuilderPluginRegistry(int capability) {
    return find<void* (*)(int)>(kBuilder, "getBuilderPluginRegistry")(capability);
}
void* getPluginRegistry() { return find<void* (*)()>(kBuilder, "getPluginRegistry")(); }
int getInferLibVersion() { return builder_version(); }
bool initLibNvInferPlugins(void*, char const*) { return true; }
void* createNvOnnxParser_INTERNAL(void* network, void* logger, int) {
    return find<Two>(kParser, "createNvOnnxParser_INTERNAL")(network, logger, parser_version());
}
void* createNvOnnxParserRefitter_INTERNAL(void* refitter, void* logger, int) {
    return find<Two>(kParser, "createNvOnnxParserRefitter_INTERNAL")(
        refitter, logger, parser_version());
}
int getNvOnnxParserVersion() { return parser_version(); }
}
