/* node2vec: biased walks (Grover and Leskovec 2016) and skip-gram with negative sampling (Mikolov
 * et al. 2013). */
#include "kernels.h"

static int has_edge(const int64_t *offsets, const int32_t *targets, int32_t u, int32_t v)
{
    int64_t low = offsets[u], high = offsets[u + 1];
    while (low < high) { /* targets are sorted */
        int64_t middle = low + (high - low) / 2;
        if (targets[middle] < v) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < offsets[u + 1] && targets[low] == v;
}

static int64_t pick(const int64_t *offsets, const double *sums, int32_t u, uint64_t *random)
{
    int64_t low = offsets[u], high = offsets[u + 1] - 1;
    if (sums == NULL) {
        return low + random_below(random, high + 1 - low);
    }
    double before = low > 0 ? sums[low - 1] : 0;
    double at = before + random_unit(random) * (sums[high] - before);
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (sums[middle] <= at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* walks(offsets, targets sorted by row, running sums of weights?, p, q, walk length, starts, out walks (starts x length, -1 after a dead end), seed)
 * A step back weighs 1 / p, one to a neighbour of the last node 1, any other 1 / q; taken by
 * rejection, so that no table of pairs of edges is kept. */
KERNEL(walks)
{
    const int64_t *offsets = a[0].as.longs;
    const int32_t *targets = a[1].as.ints;
    double back = 1 / a[3].as.real, away = 1 / a[4].as.real;
    double most = back > away ? back : away;
    int64_t length = a[5].as.number;
    uint64_t random = (uint64_t)a[8].as.number;
    most = most > 1 ? most : 1;
    for (int64_t w = 0; w < a[6].length; w++) {
        int32_t *walk = a[7].as.ints + w * length;
        walk[0] = a[6].as.ints[w];
        for (int64_t i = 1; i < length; i++) {
            int32_t here = walk[i - 1];
            walk[i] = -1;
            if (pulse(p, 8)) {
                return STOPPED;
            }
            if (here < 0 || offsets[here] == offsets[here + 1]) {
                continue;
            }
            for (;;) {
                int32_t next = targets[pick(offsets, a[2].as.reals, here, &random)];
                double bias = i == 1 ? most
                              : next == walk[i - 2]
                                  ? back
                                  : has_edge(offsets, targets, walk[i - 2], next) ? 1 : away;
                if (random_unit(&random) * most < bias || pulse(p, 8)) {
                    walk[i] = next;
                    break;
                }
            }
        }
    }
    return 0;
}

static float sigmoid(float x)
{
    return x > 8 ? 1 : x < -8 ? 0 : 1 / (1 + expf(-x));
}

/* One pair: pulls the vector of the node and that of its context together (label 1) or apart. */
static void learn(float *vector, float *context, float *change, int64_t dimensions, float label,
                  float rate)
{
    float product = 0;
    for (int64_t d = 0; d < dimensions; d++) {
        product += vector[d] * context[d];
    }
    float step = rate * (label - sigmoid(product));
    for (int64_t d = 0; d < dimensions; d++) {
        change[d] += step * context[d];
        context[d] += step * vector[d];
    }
}

/* skip_gram(walks, noise (nodes to draw from), order of walks, vectors in and out (n + 1 rows, the
 *           last for scratch), contexts, walk length, dimensions, learning rate, window,
 *           progress (done, of all: pairs of walks), negatives and seed: negatives * 2^32 + seed) */
KERNEL(skip_gram)
{
    int64_t length = a[5].as.number, dimensions = a[6].as.number, window = a[8].as.number;
    int64_t negatives = a[10].as.number >> 32;
    uint64_t random = (uint64_t)a[10].as.number;
    float *vectors = a[3].as.floats, *contexts = a[4].as.floats;
    float *change = vectors + a[3].length - dimensions;
    for (int64_t w = 0; w < a[2].length; w++) {
        const int32_t *walk = a[0].as.ints + a[2].as.ints[w] * length;
        float done = (float)a[9].as.longs[0]++ / (float)a[9].as.longs[1];
        float rate = (float)a[7].as.real * (1 - done > 1e-4f ? 1 - done : 1e-4f);
        for (int64_t i = 0; i < length && walk[i] >= 0; i++) {
            int64_t reach = 1 + random_below(&random, window);
            float *vector = vectors + walk[i] * dimensions;
            for (int64_t j = i - reach; j <= i + reach; j++) {
                if (j < 0 || j == i || j >= length || walk[j] < 0) {
                    continue;
                }
                if (pulse(p, dimensions * (negatives + 1) / 4 + 1)) {
                    return STOPPED;
                }
                memset(change, 0, (size_t)dimensions * sizeof(float));
                learn(vector, contexts + walk[j] * dimensions, change, dimensions, 1, rate);
                for (int64_t k = 0; k < negatives; k++) {
                    int32_t other = a[1].as.ints[random_below(&random, a[1].length)];
                    if (other != walk[j]) {
                        learn(vector, contexts + other * dimensions, change, dimensions, 0, rate);
                    }
                }
                for (int64_t d = 0; d < dimensions; d++) {
                    vector[d] += change[d];
                }
            }
        }
    }
    return 0;
}
