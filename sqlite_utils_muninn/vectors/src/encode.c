/* From a vector to its coarse copy. */
#include "hnsw.h"

/* Lengths beyond this, in units, cannot be told from infinity when squared and added up. */
#define LONGEST 1e15

/* Sums are added up in so many parts, in an order that the source says: every CPU gets the same,
 * and four or eight at a time. */
#define LANES 8

static int fit(double square)
{
    return square <= LONGEST * LONGEST; /* not for NaN either */
}

INLINE double lanes_sum(const double *sum)
{
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

#if defined(__GNUC__)
/* GCC does not find by itself that these can be done side by side. */
typedef float Floats __attribute__((vector_size(16)));
typedef double Doubles __attribute__((vector_size(32)));

INLINE void add_four(Doubles *sum, const float *a, const float *b)
{
    Floats x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    *sum += __builtin_convertvector(x, Doubles) * __builtin_convertvector(y, Doubles);
}

INLINE void add_products(double *sum, const float *a, const float *b, int count)
{
    Doubles low = {0}, high = {0};
    for (int i = 0; i < count; i += LANES) {
        add_four(&low, a + i, b + i);
        add_four(&high, a + i + 4, b + i + 4);
    }
    memcpy(sum, &low, sizeof(low));
    memcpy(sum + 4, &high, sizeof(high));
}
#else
INLINE void add_products(double *sum, const float *a, const float *b, int count)
{
    for (int i = 0; i < count; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            sum[j] += (double)a[i + j] * b[i + j];
        }
    }
}
#endif

INLINE double dot_double(const float *a, const float *b, int count)
{
    double sum[LANES] = {0};
    int whole = count - count % LANES;
    add_products(sum, a, b, whole);
    for (int j = 0; whole + j < count; j++) {
        sum[j] += (double)a[whole + j] * b[whole + j];
    }
    return lanes_sum(sum);
}

/* What coordinates are multiplied by: a cosine is that of vectors of length 1. */
INLINE double factor_of(const Graph *graph, const float *vector, double *square)
{
    *square = graph->metric == METRIC_COSINE ? dot_double(vector, vector, graph->dimensions) : 1;
    return graph->metric != METRIC_COSINE || *square == 0 ? graph->unit
                                                          : graph->unit / sqrt(*square);
}

/* The vector in units, from the centre, into `out`. */
INLINE void shift_to_centre(const Graph *graph, const float *vector, double factor, float *out)
{
    const float *centre = graph->centre;
    if (centre == NULL) {
        for (int i = 0; i < graph->dimensions; i++) {
            out[i] = (float)(vector[i] * factor);
        }
        return;
    }
    for (int i = 0; i < graph->dimensions; i++) {
        out[i] = (float)(vector[i] * factor) - centre[i];
    }
}

/* Of numbers without a sign, the larger one has the larger bits. */
INLINE float largest_of(const float *x, int64_t count)
{
    int32_t most = 0;
    float largest;
    for (int64_t i = 0; i < count; i++) {
        int32_t bits;
        memcpy(&bits, x + i, sizeof(bits));
        bits &= INT32_MAX;
        most = bits > most ? bits : most;
    }
    memcpy(&largest, &most, sizeof(largest));
    return largest;
}

INLINE void round_all(const float *restrict x, float inverse, int64_t count, int8_t *restrict codes)
{
    const float to_whole = 12582912.0f; /* 3 * 2**22: added and taken off again, it rounds */
    for (int64_t i = 0; i < count; i++) {
        int32_t code = (int32_t)((x[i] * inverse + to_whole) - to_whole);
        code = code > 127 ? 127 : code;
        codes[i] = (int8_t)(code < -127 ? -127 : code);
    }
}

/* `x` has zeros up to the stride, and so have the codes. What was lost is left in it. */
INLINE void round_to_bytes(const Graph *graph, float *restrict x, int8_t *restrict codes,
                           Coarse *coarse)
{
    float largest = largest_of(x, graph->stride);
    float scale = largest / 127, inverse = largest > 0 ? 127 / largest : 0;
    int32_t kept = 0; /* 127 * 127 for each of 2**17 */
    if (!isfinite(inverse)) {
        scale = inverse = 0; /* too small to be told from zero */
    }
    round_all(x, inverse, graph->stride, codes);
    for (int64_t i = 0; i < graph->stride; i++) {
        kept += (int32_t)codes[i] * codes[i];
    }
    for (int64_t i = 0; i < graph->stride; i++) {
        x[i] = (float)(x[i] - (double)codes[i] * scale);
    }
    coarse->scale = scale;
    coarse->error = (float)sqrt(dot_double(x, x, (int)graph->stride));
    coarse->shift = (float)((double)scale * scale * kept);
}

/* `work` holds coordinates from the centre. */
INLINE int finish_bytes(const Graph *graph, float *work, int is_zero, int8_t *codes,
                        Coarse *coarse)
{
    double square = dot_double(work, work, graph->dimensions);
    double along = graph->metric == METRIC_PRODUCT && graph->centre
                       ? dot_double(work, graph->centre, graph->dimensions)
                       : 0;
    if (!fit(square)) {
        return 0;
    }
    round_to_bytes(graph, work, codes, coarse);
    /* Rounding to float32, here and in distance(), besides. */
    coarse->error = (float)(coarse->error * 1.000001 + sqrt(square) * 2e-7);
    if (graph->metric == METRIC_PRODUCT) {
        coarse->shift = (float)-along;
    } else if (graph->metric == METRIC_COSINE && is_zero) {
        coarse->shift += 1; /* the cosine with a zero vector counts as 0: 2 apart instead of 1 */
    }
    return 1;
}

INLINE int bytes_of(const Graph *graph, const float *vector, void *codes, Coarse *coarse,
                    float *work)
{
    double raw, factor = factor_of(graph, vector, &raw);
    if (!isfinite(factor)) {
        return 0;
    }
    shift_to_centre(graph, vector, factor, work);
    return finish_bytes(graph, work, raw == 0, codes, coarse);
}

INLINE int floats_of(const Graph *graph, const float *vector, void *given, Coarse *coarse,
                     float *work)
{
    float *codes = given;
    double raw, factor = factor_of(graph, vector, &raw);
    (void)work;
    for (int i = 0; i < graph->dimensions; i++) {
        codes[i] = (float)(vector[i] * factor);
    }
    double square = dot_double(codes, codes, graph->dimensions);
    if (!fit(square) || !isfinite(factor) || raw == 0) {
        return 0;
    }
    memset(codes + graph->dimensions, 0, (size_t)(graph->stride - 4 * (int64_t)graph->dimensions));
    coarse->scale = 1;
    coarse->error = graph->metric == METRIC_COSINE ? 2e-7f : 0; /* of scaling to length 1 */
    coarse->shift = (float)sqrt(square);
    return 1;
}

#define ENCODERS(name, attribute)                                                                 \
    attribute static int bytes_##name(const Graph *graph, const float *vector, void *codes,       \
                                      Coarse *coarse, float *work)                                \
    {                                                                                             \
        return bytes_of(graph, vector, codes, coarse, work);                                      \
    }                                                                                             \
    attribute static int floats_##name(const Graph *graph, const float *vector, void *codes,      \
                                       Coarse *coarse, float *work)                               \
    {                                                                                             \
        return floats_of(graph, vector, codes, coarse, work);                                     \
    }
ENCODERS(plain, )
#ifdef HAS_X86
ENCODERS(avx2, __attribute__((target("avx2"))))
#endif

Encode encoder_of(int kind, int is_avx2)
{
#ifdef HAS_X86
    if (is_avx2) {
        return kind == CODES_BYTE ? bytes_avx2 : floats_avx2;
    }
#endif
    (void)is_avx2;
    return kind == CODES_BYTE ? bytes_plain : floats_plain;
}

/* Room for a vector, and zeros behind it. */
float *encode_room(const Graph *graph)
{
    return calloc((size_t)graph->stride, sizeof(float));
}

/* Returns 0 where a vector is too long, or holds NaN: it cannot be in the index. `work` is from
 * encode_room(). */
int encode(const Graph *graph, const float *vector, void *codes, Coarse *coarse, float *work)
{
    return graph->encode(graph, vector, codes, coarse, work);
}
