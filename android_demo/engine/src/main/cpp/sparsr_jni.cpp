// The native methods of dev.sparsr.SparsrModel and Cores: from Java to the C interface. What is wrong becomes a SparsrException.
#include <jni.h>
#include <pthread.h>
#include <sched.h>

#include <cstdint>
#include <string>
#include <vector>

#include "c_api.h"

namespace {

constexpr size_t error_size = 1000;

JavaVM* machine = nullptr;
pthread_key_t attached_key;  // set on threads of the engine that we have made known to Java
jclass exception_class = nullptr;
jmethodID exception_constructor = nullptr, on_row = nullptr;

void detach(void*) { machine->DetachCurrentThread(); }

void fail(JNIEnv* env, const std::string& message) {
    if (env->ExceptionCheck()) return;
    const jstring text = env->NewStringUTF(message.c_str());
    const jobject exception = text ? env->NewObject(exception_class, exception_constructor, text) : nullptr;
    if (exception) env->Throw(static_cast<jthrowable>(exception));
}

void fail_on_size(JNIEnv* env, const char* error) {
    fail(env, std::string("The network cannot take a picture of this size: ") + error + ".");
}

// The present thread's. The engine's threads stay known to Java until they end.
JNIEnv* environment() {
    JNIEnv* env = nullptr;
    if (machine->GetEnv(reinterpret_cast<void**>(&env), JNI_VERSION_1_6) == JNI_OK) return env;
#ifdef __ANDROID__
    if (machine->AttachCurrentThreadAsDaemon(&env, nullptr) != JNI_OK) return nullptr;
#else
    if (machine->AttachCurrentThreadAsDaemon(reinterpret_cast<void**>(&env), nullptr) != JNI_OK) return nullptr;
#endif
    pthread_setspecific(attached_key, env);
    return env;
}

sparsr_model* model_of(jlong handle) { return reinterpret_cast<sparsr_model*>(static_cast<intptr_t>(handle)); }

// A text of Java, for as long as this lives.
class Text {
public:
    Text(JNIEnv* env, jstring text) : env_(env), text_(text), data_(text ? env->GetStringUTFChars(text, nullptr) : nullptr) {}
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;
    ~Text() {
        if (data_) env_->ReleaseStringUTFChars(text_, data_);
    }
    const char* data() const { return data_; }

private:
    JNIEnv* env_;
    jstring text_;
    const char* data_;
};

// Hands the rows of a run to a RowListener, in one array, and keeps what it threw.
struct Rows {
    jobject listener;   // global references: the engine's threads use them
    jbyteArray values;
    jsize bytes;
    jthrowable thrown = nullptr;

    static int ready(void* user, int32_t y, const void* row) {
        Rows& self = *static_cast<Rows*>(user);
        JNIEnv* env = environment();
        if (!env) return 0;
        env->SetByteArrayRegion(self.values, 0, self.bytes, static_cast<const jbyte*>(row));
        const jboolean more = env->CallBooleanMethod(self.listener, on_row, jint(y), self.values);
        if (jthrowable thrown = env->ExceptionOccurred()) {
            env->ExceptionClear();
            self.thrown = static_cast<jthrowable>(env->NewGlobalRef(thrown));
            env->DeleteLocalRef(thrown);
            return 0;
        }
        return more;
    }
};

// Whether an image with these strides lies within so many bytes.
bool lies_within(int64_t size, int64_t height, int64_t width, int64_t row, int64_t pixel, int64_t channels) {
    return (height - 1) * row + (width - 1) * pixel + channels <= size;
}

}  // namespace

extern "C" {

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void*) {
    machine = vm;
    JNIEnv* env = nullptr;
    if (vm->GetEnv(reinterpret_cast<void**>(&env), JNI_VERSION_1_6) != JNI_OK) return JNI_ERR;
    if (pthread_key_create(&attached_key, detach)) return JNI_ERR;
    const jclass exception = env->FindClass("dev/sparsr/SparsrException");
    const jclass listener = exception ? env->FindClass("dev/sparsr/RowListener") : nullptr;
    if (!listener) return JNI_ERR;
    exception_class = static_cast<jclass>(env->NewGlobalRef(exception));
    exception_constructor = env->GetMethodID(exception, "<init>", "(Ljava/lang/String;)V");
    on_row = env->GetMethodID(listener, "onRow", "(I[B)Z");
    return exception_constructor && on_row ? JNI_VERSION_1_6 : JNI_ERR;
}

JNIEXPORT jlong JNICALL Java_dev_sparsr_SparsrModel_nativeLoad(JNIEnv* env, jclass, jobject model, jint at, jint size,
                                                               jstring instruction_set, jlong max_bytes) {
    char error[error_size] = "";
    const Text isa(env, instruction_set);
    const char* data = static_cast<const char*>(env->GetDirectBufferAddress(model));
    sparsr_model* loaded = sparsr_load(data ? data + at : nullptr, size_t(size), isa.data(), uint64_t(max_bytes), error, error_size);
    if (!loaded) fail(env, std::string("The native engine refuses the model: ") + error + ".");
    return jlong(reinterpret_cast<intptr_t>(loaded));
}

JNIEXPORT void JNICALL Java_dev_sparsr_SparsrModel_nativeSetThreads(JNIEnv* env, jclass, jlong model, jint threads) {
    char error[error_size] = "";
    if (!sparsr_set_threads(model_of(model), threads, error, error_size)) fail(env, std::string("The engine cannot use so many threads: ") + error + ".");
}

JNIEXPORT void JNICALL Java_dev_sparsr_SparsrModel_nativeSetPlan(JNIEnv* env, jclass, jlong model, jstring plan) {
    char error[error_size] = "";
    const Text text(env, plan);
    if (!sparsr_set_plan(model_of(model), text.data(), error, error_size)) fail(env, std::string("The engine cannot choose its kernels so: ") + error + ".");
}

JNIEXPORT jintArray JNICALL Java_dev_sparsr_SparsrModel_nativeOutputSize(JNIEnv* env, jclass, jlong model, jint height,
                                                                        jint width) {
    char error[error_size] = "";
    jint size[2] = {};
    if (!sparsr_output_size(model_of(model), height, width, &size[0], &size[1], error, error_size)) {
        fail_on_size(env, error);
        return nullptr;
    }
    const jintArray result = env->NewIntArray(2);
    if (result) env->SetIntArrayRegion(result, 0, 2, size);
    return result;
}

JNIEXPORT void JNICALL Java_dev_sparsr_SparsrModel_nativeInfo(JNIEnv* env, jclass, jlong model, jobject result) {
    sparsr_info info;
    sparsr_get_info(model_of(model), &info);
    const jclass type = env->GetObjectClass(result);
    const auto set = [&](const char* name, int32_t value) {
        env->SetIntField(result, env->GetFieldID(type, name, "I"), value);
    };
    set("inputChannels", info.input_channels);
    set("outputChannels", info.output_channels);
    set("scale", info.scale);
    set("minimumSize", info.minimum_size);
    set("threads", info.threads);
    env->SetFloatField(result, env->GetFieldID(type, "valueRange", "F"), info.value_range);
    env->SetLongField(result, env->GetFieldID(type, "bufferBytes", "J"), jlong(info.buffer_bytes));
    const jstring name = env->NewStringUTF(info.instruction_set);
    env->SetObjectField(result, env->GetFieldID(type, "instructionSet", "Ljava/lang/String;"), name);
}

JNIEXPORT jstring JNICALL Java_dev_sparsr_SparsrModel_nativeDescribe(JNIEnv* env, jclass, jlong model) {
    std::vector<char> text(sparsr_describe(model_of(model), nullptr, 0) + 1);
    sparsr_describe(model_of(model), text.data(), text.size());
    return env->NewStringUTF(text.data());
}

JNIEXPORT jboolean JNICALL Java_dev_sparsr_SparsrModel_nativeRun(JNIEnv* env, jclass, jlong handle, jobject image, jint at,
                                                                 jint size, jint height, jint width, jint row, jint pixel,
                                                                 jobject listener) {
    char error[error_size] = "";
    sparsr_model* model = model_of(handle);
    sparsr_info info;
    sparsr_get_info(model, &info);
    auto* data = static_cast<unsigned char*>(env->GetDirectBufferAddress(image));
    if (!data || !lies_within(size, height, width, row, pixel, info.input_channels)) {
        fail(env, "The image's buffer is smaller than the image.");
        return JNI_FALSE;
    }
    int32_t out_height = 0, out_width = 0;
    if (!sparsr_output_size(model, height, width, &out_height, &out_width, error, error_size)) {
        fail_on_size(env, error);
        return JNI_FALSE;
    }
    const jsize bytes = out_width * info.output_channels;
    const jbyteArray values = env->NewByteArray(bytes);
    if (!values) return JNI_FALSE;  // Java says that there is not enough memory
    Rows rows{env->NewGlobalRef(listener), static_cast<jbyteArray>(env->NewGlobalRef(values)), bytes};
    const sparsr_image from{SPARSR_UINT8, data + at, row, pixel, 1};
    const sparsr_image to{SPARSR_UINT8, nullptr, bytes, info.output_channels, 1};
    const int done = sparsr_run(model, &from, height, width, &to, Rows::ready, &rows, error, error_size);
    env->DeleteGlobalRef(rows.listener);
    env->DeleteGlobalRef(rows.values);
    if (rows.thrown) {
        env->Throw(rows.thrown);
        env->DeleteGlobalRef(rows.thrown);
    } else if (done == 0) {
        fail(env, std::string("The native engine failed: ") + error + ".");
    }
    return done == 1;
}

JNIEXPORT void JNICALL Java_dev_sparsr_SparsrModel_nativeRunFloats(JNIEnv* env, jclass, jlong handle, jobject image,
                                                                   jint size, jint height, jint width, jobject result,
                                                                   jint result_size) {
    char error[error_size] = "";
    sparsr_model* model = model_of(handle);
    sparsr_info info;
    sparsr_get_info(model, &info);
    int32_t out_height = 0, out_width = 0;
    if (!sparsr_output_size(model, height, width, &out_height, &out_width, error, error_size)) return fail_on_size(env, error);
    void* from = env->GetDirectBufferAddress(image);
    void* to = env->GetDirectBufferAddress(result);
    const int64_t row = int64_t(width) * info.input_channels, out_row = int64_t(out_width) * info.output_channels;
    if (!from || !to || row * height * 4 > size || out_row * out_height * 4 > result_size)
        return fail(env, "The image's or the result's buffer is too small.");
    const sparsr_image input{SPARSR_FLOAT32, from, ptrdiff_t(row), info.input_channels, 1};
    const sparsr_image output{SPARSR_FLOAT32, to, ptrdiff_t(out_row), info.output_channels, 1};
    if (sparsr_run(model, &input, height, width, &output, nullptr, nullptr, error, error_size) != 1)
        fail(env, std::string("The native engine failed: ") + error + ".");
}

JNIEXPORT void JNICALL Java_dev_sparsr_SparsrModel_nativeFree(JNIEnv*, jclass, jlong model) { sparsr_free(model_of(model)); }

JNIEXPORT jboolean JNICALL Java_dev_sparsr_Cores_nativeUse(JNIEnv*, jclass, jlong mask) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    for (unsigned core = 0; core < 64; ++core)
        if (mask >> core & 1) CPU_SET(core, &cores);
    return sched_setaffinity(0, sizeof cores, &cores) == 0;
}

}  // extern "C"
