/* PageRank by power iteration (Page, Brin, Motwani and Winograd 1999). */
#include "kernels.h"

/* pagerank(offsets, targets and weights? of the reversed graph, weight out of each node,
 *          personalization (sums to 1), damping, most iterations, tolerance, rank in and out, next,
 *          share): gives the iterations that it took.
 * What nodes without a way out hold is spread like the personalization. */
KERNEL(pagerank)
{
    const int64_t *offsets = a[0].as.longs;
    const int32_t *targets = a[1].as.ints;
    const double *weights = a[2].as.reals, *out = a[3].as.reals, *personal = a[4].as.reals;
    double damping = a[5].as.real, *rank = a[8].as.reals, *next = a[9].as.reals;
    double *share = a[10].as.reals;
    int64_t nodes = a[0].length - 1;
    for (int64_t round = 1; round <= a[6].as.number; round++) {
        double dangling = 0, moved = 0;
        for (int64_t u = 0; u < nodes; u++) {
            share[u] = out[u] > 0 ? rank[u] / out[u] : 0;
            dangling += out[u] > 0 ? 0 : rank[u];
        }
        double base = damping * dangling + 1 - damping;
        for (int64_t v = 0; v < nodes; v++) {
            double sum = 0;
            if (pulse(p, offsets[v + 1] - offsets[v] + 1)) {
                return STOPPED;
            }
            for (int64_t e = offsets[v]; e < offsets[v + 1]; e++) {
                sum += weights ? share[targets[e]] * weights[e] : share[targets[e]];
            }
            next[v] = damping * sum + base * personal[v];
            moved += fabs(next[v] - rank[v]);
        }
        memcpy(rank, next, (size_t)nodes * sizeof(double));
        if (moved < a[7].as.real) {
            return round;
        }
    }
    return a[6].as.number;
}
