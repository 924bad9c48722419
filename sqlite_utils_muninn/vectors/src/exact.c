/* Distances of the vectors themselves, in double precision, and the order that follows. */
#include "hnsw.h"

#define LANES 8

/* Eight sums side by side, in vectors: of loops over arrays GCC makes one addition at a time. */
#if defined(__GNUC__)
#define PARTS 2
typedef double Part __attribute__((vector_size(LANES / PARTS * sizeof(double))));
typedef float Floats __attribute__((vector_size(LANES / PARTS * sizeof(float))));

INLINE void widen(const float *x, Part *wide)
{
    Floats narrow;
    memcpy(&narrow, x, sizeof(narrow));
    *wide = __builtin_convertvector(narrow, Part);
}
#else
#define PARTS LANES
typedef double Part;

INLINE void widen(const float *x, Part *wide)
{
    *wide = *x;
}
#endif

INLINE void step(const float *x, const double *y, int squares, Part *a, Part *b)
{
    for (int i = 0; i < PARTS; i++) {
        Part wide, other;
        widen(x + i * (LANES / PARTS), &wide);
        memcpy(&other, y + i * (LANES / PARTS), sizeof(other));
        if (squares) {
            wide -= other;
            a[i] += wide * wide;
        } else {
            a[i] += wide * other;
            b[i] += wide * wide;
        }
    }
}

INLINE double total(const Part *parts)
{
    double sum[LANES];
    memcpy(sum, parts, sizeof(sum));
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* In an order that depends on nothing but the dimensions: equal vectors have equal distances,
 * wherever they are read from and on every machine. `squares` is known where this is used. The last
 * coordinates are filled up with zeros, which leave a sum as it is. */
INLINE void sums(const float *x, const double *y, int64_t count, int squares, double *dot,
                 double *square)
{
    Part a[PARTS] = {0}, b[PARTS] = {0};
    float rest[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        step(x + i, y + i, squares, a, b);
    }
    if (i < count) {
        memcpy(rest, x + i, (size_t)(count - i) * sizeof(float));
        step(rest, y + i, squares, a, b);
    }
    *dot = total(a);
    *square = total(b);
}

INLINE void distances(int metric, const float *rows, int64_t count, const float *query,
                      const double *wide, int64_t d, double *far)
{
    double dot, square, length;
    sums(query, wide, d, 0, &length, &square);
    for (int64_t i = 0; i < count; i++) {
        if (metric == METRIC_L2) {
            sums(rows + i * d, wide, d, 1, &far[i], &square);
            continue;
        }
        sums(rows + i * d, wide, d, 0, &dot, &square);
        if (metric == METRIC_PRODUCT) {
            far[i] = -dot;
            continue;
        }
        double cosine = square * length > 0 ? dot / sqrt(square * length) : 0;
        cosine = cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
        far[i] = isnan(dot) ? dot : 1 - cosine;
    }
}

typedef void (*Run)(int metric, const float *rows, int64_t count, const float *query,
                    const double *wide, int64_t d, double *far);

static void distances_plain(int metric, const float *rows, int64_t count, const float *query,
                            const double *wide, int64_t d, double *far)
{
    distances(metric, rows, count, query, wide, d, far);
}

#ifdef HAS_X86
__attribute__((target("avx2"))) static void distances_avx2(int metric, const float *rows,
                                                           int64_t count, const float *query,
                                                           const double *wide, int64_t d,
                                                           double *far)
{
    distances(metric, rows, count, query, wide, d, far);
}
#endif

/* `far` gets the distances; what is behind them is work space: see exact_room(). */
void exact_distances(int metric, const float *rows, int64_t count, const float *query, int64_t d,
                     double *far)
{
    Run run = distances_plain;
    double *wide = far + count;
    for (int64_t i = 0; i < d + LANES; i++) {
        wide[i] = i < d ? query[i] : 0;
    }
#ifdef HAS_X86
    if (__builtin_cpu_supports("avx2")) {
        run = distances_avx2;
    }
#endif
    run(metric, rows, count, query, wide, d, far);
}

/* How many doubles `far` must have room for. */
int64_t exact_room(int64_t count, int64_t d)
{
    return count + d + LANES;
}

static int by_distance(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    if (x->far != y->far) {
        return x->far < y->far ? -1 : 1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

/* Puts rows in order, by distance and then id; those that are not within the bounds (NaN neither)
 * drop out. Returns how many are left. */
int64_t exact_rank(Ranked *rows, int64_t count, double within, double beyond)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        if (rows[i].far <= within && rows[i].far >= beyond) {
            rows[kept++] = rows[i];
        }
    }
    qsort(rows, (size_t)kept, sizeof(Ranked), by_distance);
    return kept;
}
