// The symbols that TensorRT's Python bindings look for when they are imported, and nothing behind
// them: each factory gives a null pointer. One source for libnvinfer, libnvinfer_plugin,
// libnvonnxparser and (8.6) libnvparsers.
extern "C" {
void* createInferBuilder_INTERNAL(void*, int) { return nullptr; }
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
