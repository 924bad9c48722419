/* Distances of the vectors themselves, in double precision, and the order that follows. */
#include "hnsw.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_X86
#endif

#define LANES 8

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

INLINE double total(const double *sum)
{
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* Sums in an order that depends on nothing but the dimensions: equal vectors have equal distances,
 * wherever they are read from and on every machine. `squares` is known where this is used. */
INLINE void step(const float *x, const float *y, int squares, int lanes, double *a, double *b)
{
    for (int j = 0; j < lanes; j++) {
        if (squares) {
            double apart = (double)x[j] - y[j];
            a[j] += apart * apart;
        } else {
            a[j] += (double)x[j] * y[j];
            b[j] += (double)x[j] * x[j];
        }
    }
}

INLINE void sums(const float *x, const float *y, int64_t count, int squares, double *dot,
                 double *square)
{
    double a[LANES] = {0}, b[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        step(x + i, y + i, squares, LANES, a, b);
    }
    step(x + i, y + i, squares, (int)(count - i), a, b);
    *dot = total(a);
    *square = total(b);
}

INLINE void distances(int metric, const float *rows, int64_t count, const float *query, int64_t d,
                      double *far)
{
    double dot, square, length;
    sums(query, query, d, 0, &length, &square);
    for (int64_t i = 0; i < count; i++) {
        if (metric == METRIC_L2) {
            sums(rows + i * d, query, d, 1, &far[i], &square);
            continue;
        }
        sums(rows + i * d, query, d, 0, &dot, &square);
        if (metric == METRIC_PRODUCT) {
            far[i] = -dot;
            continue;
        }
        double cosine = square * length > 0 ? dot / sqrt(square * length) : 0;
        cosine = cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
        far[i] = isnan(dot) ? dot : 1 - cosine;
    }
}

typedef void (*Run)(int metric, const float *rows, int64_t count, const float *query, int64_t d,
                    double *far);

static void distances_plain(int metric, const float *rows, int64_t count, const float *query,
                            int64_t d, double *far)
{
    distances(metric, rows, count, query, d, far);
}

#ifdef HAS_X86
__attribute__((target("avx2"))) static void distances_avx2(int metric, const float *rows,
                                                           int64_t count, const float *query,
                                                           int64_t d, double *far)
{
    distances(metric, rows, count, query, d, far);
}
#endif

void exact_distances(int metric, const float *rows, int64_t count, const float *query, int64_t d,
                     double *far)
{
    Run run = distances_plain;
#ifdef HAS_X86
    if (__builtin_cpu_supports("avx2")) {
        run = distances_avx2;
    }
#endif
    run(metric, rows, count, query, d, far);
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
