/* A BERT encoder (Devlin et al. 2019) with 8-bit weights: what the code for every CPU shares.
 *
 * Rows of activations are quantized to 8 bits as they come, each with a scale and a middle of its
 * own, so that a text's vector does not depend on the texts beside it. */
#ifndef MUNINN_ENCODER_H
#define MUNINN_ENCODER_H

#include <stdint.h>

enum { PANEL = 16 }; /* outputs that are packed together */
enum { MULTIPLE = 32 }; /* of which widths and heads are, for the widest registers */

/* y = x W' + b. Weights are 8-bit with a scale for each output, kept with 128 added, because CPUs
 * multiply unsigned with signed bytes; panels of 16 outputs, 4 inputs of each side by side. */
typedef struct {
    int outputs, inputs;
    uint8_t *packed; /* [outputs / 16][inputs / 4][16][4] */
    float *scale;    /* [outputs] */
    float *sum;      /* [outputs]: of each output's weights */
    float *bias;     /* [outputs] */
} Dense;

typedef struct {
    float *gain, *bias; /* [width] */
} Norm;

typedef struct {
    Dense qkv, output, up, down;
    Norm attention, final;
} Layer;

typedef struct {
    int layers, width, heads, inner;
    float epsilon;
    Norm first;
    Layer *layer;
} Encoder;

/* Run texts through the encoder. hidden: the sums of their tokens' embeddings, [tokens][width],
 * which the last layer's output replaces; lengths: tokens of each text, none of them 0. Returns 0;
 * 1 where *stop was not 0, -1 without memory: hidden is then worth nothing. */
typedef int Forward(const Encoder *, float *hidden, const int32_t *lengths, int texts,
                    const volatile char *stop);

/* Which instruction sets the compiler knows; whether the CPU has them is asked when it runs. */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 9)
#define HAS_AVX512 1
Forward forward_avx512;
#endif
#if defined(HAS_AVX512) && (defined(__clang__) || __GNUC__ >= 11)
#define HAS_AVXVNNI 1
Forward forward_avxvnni;
#endif

#endif
