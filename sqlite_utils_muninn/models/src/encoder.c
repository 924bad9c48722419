/* Making encoders and running them, called through ctypes. The caller checks sizes. */

#include "encoder.h"

#include <stdlib.h>
#include <string.h>
#ifdef HAS_AVXVNNI
#include <cpuid.h>
#endif

#if defined(__GNUC__)
#define EXPORTED __attribute__((visibility("default")))
#else
#define EXPORTED __declspec(dllexport)
#endif

typedef struct {
    const char *name;
    Forward *forward;
} Code;

#ifdef HAS_AVX512
static int has_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

#ifdef HAS_AVXVNNI
/* Not every compiler that has AVX-VNNI can ask for it by name: leaf 7.1, bit 4 of EAX. */
static int has_avxvnni(void) {
    unsigned a = 0, b, c, d;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
#endif

/* Return the code that this CPU can run, the best as number 0; without a name behind the last. */
static Code code(int number) {
#ifdef HAS_AVX512
    if (has_avx512() && number-- == 0) return (Code){"AVX-512 VNNI", forward_avx512};
#endif
#ifdef HAS_AVXVNNI
    if (has_avxvnni() && number-- == 0) return (Code){"AVX-VNNI", forward_avxvnni};
#endif
    (void)number;
    return (Code){NULL, NULL};
}

EXPORTED const char *muninn_encoder_instructions(int number) {
    return code(number).name;
}

EXPORTED void muninn_encoder_free(Encoder *encoder) {
    for (int i = 0; encoder && encoder->layer && i < encoder->layers; i++) {
        Layer *layer = encoder->layer + i;
        Dense *dense[] = {&layer->qkv, &layer->output, &layer->up, &layer->down};
        for (int k = 0; k < 4; k++) {
            free(dense[k]->packed);
            free(dense[k]->scale);
        }
        free(layer->attention.gain);
        free(layer->final.gain);
    }
    if (encoder) {
        free(encoder->first.gain);
        free(encoder->layer);
    }
    free(encoder);
}

EXPORTED Encoder *muninn_encoder_new(int layers, int width, int heads, int inner, float epsilon) {
    Encoder *encoder = calloc(1, sizeof(*encoder));
    if (encoder) {
        *encoder = (Encoder){layers, width, heads, inner, epsilon, {NULL, NULL},
                             calloc(layers, sizeof(Layer))};
        if (encoder->layer) return encoder;
    }
    free(encoder);
    return NULL;
}

/* Return the largest magnitude among finite floats; their bits, less the sign, have its order. */
static float peak_of(const float *values, int count) {
    uint32_t most = 0;
    for (int i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, 4);
        bits &= 0x7FFFFFFF;
        most = bits > most ? bits : most;
    }
    float peak;
    memcpy(&peak, &most, 4);
    return peak;
}

/* Quantize one output's weights and put them where they belong in the panels. */
static void pack_row(Dense *dense, int output, const float *weights, uint8_t *bytes) {
    const float rounding = 12582912.0f; /* 1.5 * 2^23: its last bits are then the whole number */
    const float peak = peak_of(weights, dense->inputs);
    const float inverse = peak > 0 ? 127.0f / peak : 0.0f;
    int32_t total = 0;
    for (int k = 0; k < dense->inputs; k++) {
        const float shifted = weights[k] * inverse + rounding;
        int32_t whole;
        memcpy(&whole, &shifted, 4);
        whole -= 0x4B400000;
        total += whole;
        bytes[k] = (uint8_t)(whole + 128);
    }
    uint8_t *panel = dense->packed + (size_t)(output / PANEL) * PANEL * dense->inputs;
    for (int k = 0; k < dense->inputs; k += 4)
        memcpy(panel + k * PANEL + output % PANEL * 4, bytes + k, 4);
    dense->scale[output] = peak / 127.0f;
    dense->sum[output] = peak / 127.0f * (float)total;
}

/* which: 0 queries, keys and values, 1 output of attention, 2 up, 3 down. weights: finite floats,
 * [outputs][inputs]. Returns 0, or -1 without memory. */
EXPORTED int muninn_encoder_set_dense(Encoder *encoder, int layer, int which, int outputs,
                                      int inputs, const float *weights, const float *bias) {
    Layer *of = encoder->layer + layer;
    Dense *dense = (Dense *[]){&of->qkv, &of->output, &of->up, &of->down}[which];
    dense->outputs = outputs;
    dense->inputs = inputs;
    dense->packed = malloc((size_t)outputs * inputs);
    dense->scale = malloc(3 * (size_t)outputs * sizeof(float));
    uint8_t *bytes = malloc((size_t)inputs);
    if (!dense->packed || !dense->scale || !bytes) {
        free(bytes);
        return -1;
    }
    dense->sum = dense->scale + outputs;
    dense->bias = dense->sum + outputs;
    memcpy(dense->bias, bias, (size_t)outputs * sizeof(float));
    for (int i = 0; i < outputs; i++) pack_row(dense, i, weights + (size_t)i * inputs, bytes);
    free(bytes);
    return 0;
}

/* which: 0 behind attention, 1 behind the layer; of layer -1: that of the embeddings. */
EXPORTED int muninn_encoder_set_norm(Encoder *encoder, int layer, int which, const float *gain,
                                     const float *bias) {
    const size_t width = encoder->width;
    Norm *norm = &encoder->first;
    if (layer >= 0) norm = which ? &encoder->layer[layer].final : &encoder->layer[layer].attention;
    norm->gain = malloc(2 * width * sizeof(float));
    if (!norm->gain) return -1;
    norm->bias = norm->gain + width;
    memcpy(norm->gain, gain, width * sizeof(float));
    memcpy(norm->bias, bias, width * sizeof(float));
    return 0;
}

EXPORTED int muninn_encoder_run(const Encoder *encoder, int number, float *hidden,
                                const int32_t *lengths, int texts, const volatile char *stop) {
    Forward *forward = code(number).forward;
    return forward ? forward(encoder, hidden, lengths, texts, stop) : -1;
}
