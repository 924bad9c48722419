/* From a vector to its coarse copy. */
#include "hnsw.h"

/* Lengths beyond this, in units, cannot be told from infinity when squared and added up. */
#define LONGEST 1e15

static int fit(double square)
{
    return square <= LONGEST * LONGEST; /* not for NaN either */
}

/* What coordinates are multiplied by: a cosine is that of vectors of length 1. */
static double factor_of(const Graph *graph, const float *vector, double *square)
{
    *square = 0;
    for (int i = 0; i < graph->dimensions; i++) {
        *square += (double)vector[i] * vector[i];
    }
    if (graph->metric != METRIC_COSINE || *square == 0) {
        return graph->unit;
    }
    return graph->unit / sqrt(*square);
}

/* The vector in units, from the centre, into `out`. Gives its largest coordinate. */
static float shift_to_centre(const Graph *graph, const float *vector, double factor, float *out)
{
    float largest = 0;
    for (int i = 0; i < graph->dimensions; i++) {
        float x = (float)(vector[i] * factor) - (graph->centre ? graph->centre[i] : 0);
        largest = fabsf(x) > largest ? fabsf(x) : largest;
        out[i] = x;
    }
    return largest;
}

static double dot_double(const float *a, const float *b, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) {
        sum += (double)a[i] * b[i];
    }
    return sum;
}

static void round_to_bytes(const Graph *graph, const float *x, float largest, int8_t *codes,
                           Coarse *coarse)
{
    float scale = largest / 127, inverse = largest > 0 ? 127 / largest : 0;
    if (!isfinite(inverse)) {
        scale = inverse = 0; /* too small to be told from zero */
    }
    double lost = 0, kept = 0;
    for (int i = 0; i < graph->dimensions; i++) {
        float code = rintf(x[i] * inverse);
        code = code > 127 ? 127 : code < -127 ? -127 : code;
        codes[i] = (int8_t)code;
        double copy = (double)code * scale, step = x[i] - copy;
        lost += step * step;
        kept += copy * copy;
    }
    memset(codes + graph->dimensions, 0, (size_t)(graph->stride - graph->dimensions));
    coarse->scale = scale;
    coarse->error = (float)sqrt(lost);
    coarse->shift = (float)kept;
}

static int encode_bytes(const Graph *graph, const float *vector, int8_t *codes, Coarse *coarse,
                        float *work)
{
    double raw, factor = factor_of(graph, vector, &raw);
    float largest = shift_to_centre(graph, vector, factor, work);
    double square = dot_double(work, work, graph->dimensions);
    if (!fit(square) || !isfinite(factor)) {
        return 0;
    }
    round_to_bytes(graph, work, largest, codes, coarse);
    /* Rounding to float32, here and in distance(), besides. */
    coarse->error = (float)(coarse->error * 1.000001 + sqrt(square) * 2e-7);
    if (graph->metric == METRIC_PRODUCT) {
        coarse->shift = graph->centre
                            ? (float)-dot_double(work, graph->centre, graph->dimensions)
                            : 0;
    } else if (graph->metric == METRIC_COSINE && raw == 0) {
        coarse->shift += 1; /* the cosine with a zero vector counts as 0: 2 apart instead of 1 */
    }
    return 1;
}

static int encode_floats(const Graph *graph, const float *vector, float *codes, Coarse *coarse)
{
    double raw, factor = factor_of(graph, vector, &raw);
    for (int i = 0; i < graph->dimensions; i++) {
        codes[i] = (float)(vector[i] * factor);
    }
    double square = dot_double(codes, codes, graph->dimensions);
    if (!fit(square) || !isfinite(factor) || (graph->metric == METRIC_COSINE && raw == 0)) {
        return 0;
    }
    memset(codes + graph->dimensions, 0, (size_t)(graph->stride - 4 * (int64_t)graph->dimensions));
    coarse->scale = 1;
    coarse->error = graph->metric == METRIC_COSINE ? 2e-7f : 0; /* of scaling to length 1 */
    coarse->shift = (float)sqrt(square);
    return 1;
}

/* Returns 0 where a vector is too long, or holds NaN: it cannot be in the index. `work` has room
 * for a vector. */
int encode(const Graph *graph, const float *vector, void *codes, Coarse *coarse, float *work)
{
    return graph->kind == CODES_BYTE ? encode_bytes(graph, vector, codes, coarse, work)
                                     : encode_floats(graph, vector, codes, coarse);
}
