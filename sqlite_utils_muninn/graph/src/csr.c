/* Building graphs out of lists of edges. */
#include "kernels.h"

static void put(const Argument *a, int64_t at, int32_t target, const double *weight, int64_t edge)
{
    a[4].as.ints[at] = target;
    if (weight != NULL) {
        a[5].as.reals[at] = *weight;
    }
    if (a[6].as.ints != NULL) {
        a[6].as.ints[at] = (int32_t)edge;
    }
}

/* Counting sort of edges by their source; it is stable, so neighbours stay in the order of rows.
 * csr(sources, targets, weights?, offsets of n + 1 zeros, out targets, out weights?, out edges?,
 *     both): gives the number of edges that were put down.
 * The edges are numbered as they are given. With `both` each is there from both its ends (a self
 * loop once), against its arrow as number + count. */
KERNEL(csr)
{
    const int32_t *sources = a[0].as.ints, *targets = a[1].as.ints;
    const double *weights = a[2].as.reals;
    int64_t *offsets = a[3].as.longs;
    int64_t count = a[0].length, nodes = a[3].length - 1, both = a[7].as.number;
    for (int64_t e = 0; e < count; e++) {
        offsets[sources[e] + 1]++;
        offsets[targets[e] + 1] += both && sources[e] != targets[e];
    }
    for (int64_t u = 0; u < nodes; u++) {
        offsets[u + 1] += offsets[u];
    }
    for (int64_t e = 0; e < count; e++) {
        if (pulse(p, 1)) {
            return STOPPED;
        }
        put(a, offsets[sources[e]]++, targets[e], weights ? weights + e : NULL, e);
        if (both && sources[e] != targets[e]) {
            put(a, offsets[targets[e]]++, sources[e], weights ? weights + e : NULL, e + count);
        }
    }
    memmove(offsets + 1, offsets, (size_t)nodes * sizeof(int64_t));
    offsets[0] = 0;
    return offsets[nodes];
}

/* Makes parallel edges one, of the least weight.
 * simplify(offsets, targets, weights?, mark of n times -1, out offsets of n + 1, out targets,
 *          out weights?, out edges?) gives the number of edges that are left; `edges` are the
 * places of the first of each in the graph that was given. */
KERNEL(simplify)
{
    const int64_t *offsets = a[0].as.longs;
    const int32_t *targets = a[1].as.ints;
    const double *weights = a[2].as.reals;
    int32_t *mark = a[3].as.ints; /* place among the edges that are left */
    int64_t nodes = a[0].length - 1, left = 0;
    a[4].as.longs[0] = 0;
    for (int64_t u = 0; u < nodes; u++) {
        int64_t first = left;
        if (pulse(p, offsets[u + 1] - offsets[u] + 1)) {
            return STOPPED;
        }
        for (int64_t e = offsets[u]; e < offsets[u + 1]; e++) {
            int32_t v = targets[e], place = mark[v];
            int is_new = place < first || a[5].as.ints[place] != v;
            if (is_new) {
                mark[v] = (int32_t)left;
                a[5].as.ints[left] = v;
                if (a[7].as.ints != NULL) {
                    a[7].as.ints[left] = (int32_t)e;
                }
            }
            if (weights != NULL) {
                double *weight = &a[6].as.reals[is_new ? left : place];
                if (is_new || weights[e] < *weight) {
                    *weight = weights[e];
                }
            }
            left += is_new;
        }
        a[4].as.longs[u + 1] = left;
    }
    return left;
}

/* Takes some nodes and the edges between them.
 * induce(offsets, targets, weights?, nodes, place of each node among those or -1, out offsets,
 *        out targets, out weights?, out edges): gives the number of edges; `edges` are their places
 * in the graph that was given. */
KERNEL(induce)
{
    const int64_t *offsets = a[0].as.longs;
    const int32_t *targets = a[1].as.ints, *nodes = a[3].as.ints, *place = a[4].as.ints;
    int64_t left = 0;
    a[5].as.longs[0] = 0;
    for (int64_t i = 0; i < a[3].length; i++) {
        int32_t u = nodes[i];
        if (pulse(p, offsets[u + 1] - offsets[u] + 1)) {
            return STOPPED;
        }
        for (int64_t e = offsets[u]; e < offsets[u + 1]; e++) {
            if (place[targets[e]] < 0) {
                continue;
            }
            a[6].as.ints[left] = place[targets[e]];
            if (a[2].as.reals != NULL) {
                a[7].as.reals[left] = a[2].as.reals[e];
            }
            a[8].as.ints[left++] = (int32_t)e;
        }
        a[5].as.longs[i + 1] = left;
    }
    return left;
}
