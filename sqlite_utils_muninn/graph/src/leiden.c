/* The two phases of the Leiden algorithm that look at edges (Traag, Waltman and van Eck 2019,
 * "From Louvain to Leiden: guaranteeing well-connected communities"), for modularity.
 *
 * A graph is undirected: each edge is there from both its ends; self loops are left out of it and
 * count in the strength of their node alone. `pull` is resolution / (2 * total weight), so that
 * moving a node of strength k to a community of strength K that it has the weight w to gains
 * w - pull * k * K. */
#include "kernels.h"

#define LEAST_GAIN 1e-10

/* Sums the weights from a node to each community around it; gives how many there are. */
static int64_t weigh_neighbours(const Argument *a, int32_t u, const int32_t *community,
                                double *weight_to, int32_t *around)
{
    int64_t count = 0;
    for (int64_t e = a[0].as.longs[u]; e < a[0].as.longs[u + 1]; e++) {
        int32_t c = community[a[1].as.ints[e]];
        if (weight_to[c] < 0) {
            weight_to[c] = 0;
            around[count++] = c;
        }
        weight_to[c] += a[2].as.reals[e];
    }
    return count;
}

/* Moves nodes to the community that gains most, until nothing gains.
 * move_nodes(offsets, targets, weights, strength, community in and out, strength of communities,
 *            weight to communities (n times -1), pull, queue (all nodes, in the order of visits),
 *            waiting of n ones, around, members of communities, empty communities, how many of
 *            them): gives the number of moves.
 * A node that is better off alone goes to an empty community. */
KERNEL(move_nodes)
{
    const double *strength = a[3].as.reals;
    int32_t *community = a[4].as.ints, *queue = a[8].as.ints, *around = a[10].as.ints;
    int32_t *members = a[11].as.ints, *empty = a[12].as.ints;
    double *total = a[5].as.reals, *weight_to = a[6].as.reals, pull = a[7].as.real;
    uint8_t *waiting = a[9].as.bytes;
    int64_t nodes = a[0].length - 1, head = 0, left = nodes, moves = 0, empties = a[13].as.number;
    while (left > 0) {
        int32_t u = queue[head], old = community[u], best = old;
        head = head + 1 == nodes ? 0 : head + 1;
        left--;
        waiting[u] = 0;
        if (pulse(p, a[0].as.longs[u + 1] - a[0].as.longs[u] + 1)) {
            return STOPPED;
        }
        int64_t count = weigh_neighbours(a, u, community, weight_to, around);
        total[old] -= strength[u];
        double most = (weight_to[old] > 0 ? weight_to[old] : 0) - pull * strength[u] * total[old];
        for (int64_t i = 0; i < count; i++) {
            double gain = weight_to[around[i]] - pull * strength[u] * total[around[i]];
            if (gain > most + LEAST_GAIN) {
                most = gain;
                best = around[i];
            }
            weight_to[around[i]] = -1;
        }
        if (most < -LEAST_GAIN && members[old] > 1 && empties > 0) {
            best = empty[--empties];
        }
        total[best] += strength[u];
        if (best == old) {
            continue;
        }
        if (--members[old] == 0) {
            empty[empties++] = old;
            total[old] = 0;
        }
        members[best]++;
        community[u] = best;
        moves++;
        for (int64_t e = a[0].as.longs[u]; e < a[0].as.longs[u + 1]; e++) {
            int32_t v = a[1].as.ints[e];
            if (!waiting[v] && community[v] != best) {
                int64_t tail = head + left++;
                waiting[v] = 1;
                queue[tail >= nodes ? tail - nodes : tail] = v;
            }
        }
    }
    return moves;
}

/* Merges nodes within each community into well connected parts, so that a community that has
 * fallen apart is seen as what it is.
 * refine(offsets, targets, weights, strength, community, part out (0, 1, ... n - 1), strength of
 *        communities, strength of parts (a copy of strength), weight from parts to the rest of
 *        their community (out), pull, order of visits, weight to parts (n times -1), part sizes
 *        (n ones), around): gives the number of merges.
 * Of the parts that gain, the one that gains most is taken. */
KERNEL(refine)
{
    const int64_t *offsets = a[0].as.longs;
    const int32_t *targets = a[1].as.ints, *community = a[4].as.ints;
    const double *weights = a[2].as.reals, *strength = a[3].as.reals, *total = a[6].as.reals;
    int32_t *part = a[5].as.ints, *around = a[13].as.ints;
    double *part_total = a[7].as.reals, *outward = a[8].as.reals, pull = a[9].as.real;
    double *weight_to = a[11].as.reals, *size = a[12].as.reals;
    int64_t nodes = a[0].length - 1, merges = 0;
    for (int64_t u = 0; u < nodes; u++) {
        outward[u] = 0;
        for (int64_t e = offsets[u]; e < offsets[u + 1]; e++) {
            outward[u] += community[targets[e]] == community[u] ? weights[e] : 0;
        }
    }
    for (int64_t i = 0; i < nodes; i++) {
        int32_t u = a[10].as.ints[i], c = community[u], best = u;
        double inside = outward[u], k = strength[u], most = 0;
        if (pulse(p, offsets[u + 1] - offsets[u] + 1)) {
            return STOPPED;
        }
        if (part[u] != u || size[u] != 1 || inside + LEAST_GAIN < pull * k * (total[c] - k)) {
            continue;
        }
        int64_t count = 0;
        for (int64_t e = offsets[u]; e < offsets[u + 1]; e++) {
            int32_t v = targets[e], t = part[v];
            if (community[v] == c) {
                if (weight_to[t] < 0) {
                    weight_to[t] = 0;
                    around[count++] = t;
                }
                weight_to[t] += weights[e];
            }
        }
        for (int64_t j = 0; j < count; j++) {
            int32_t t = around[j];
            double gain = weight_to[t] - pull * k * part_total[t];
            int is_well_connected =
                outward[t] + LEAST_GAIN >= pull * part_total[t] * (total[c] - part_total[t]);
            if (is_well_connected && gain > most + LEAST_GAIN) {
                most = gain;
                best = t;
            }
        }
        if (best != u) {
            part[u] = best;
            part_total[best] += k;
            outward[best] += inside - 2 * weight_to[best];
            size[best] += 1;
            size[u] = 0;
            merges++;
        }
        for (int64_t j = 0; j < count; j++) {
            weight_to[around[j]] = -1;
        }
    }
    return merges;
}
