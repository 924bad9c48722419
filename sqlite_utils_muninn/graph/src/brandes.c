/* Betweenness of nodes and edges (Brandes 2001, "A faster algorithm for betweenness centrality").
 *
 * No lists of predecessors are kept: on the way back, the edges that lead away from a node are
 * looked at again. */
#include "kernels.h"

typedef struct {
    const int64_t *offsets;
    const int32_t *targets;
    const double *weights;
    double *distance, *sigma, *delta;
    int32_t *order, *place; /* the heap's, or the level of a node */
    int32_t *heap, *steps;
    int64_t count;
} Search;

/* Level by level. What a node passes on is known when its whole level is, and kept in `delta` for
 * the level that is looked at alone: so the way back asks no distances, it only adds. */
static int hops_forward(Search *s, int32_t source, int64_t *levels, Pulse *p)
{
    int32_t *level = s->place, *starts = s->heap, next = 0;
    int64_t begin = 0, end = 1;
    s->order[0] = source;
    s->count = 1;
    level[source] = 0;
    starts[0] = 0;
    while (begin < end) {
        starts[++next] = (int32_t)end;
        for (int64_t i = begin; i < end; i++) {
            int32_t u = s->order[i];
            const double add[2] = {0, s->sigma[u]}; /* no branch that is guessed wrongly */
            if (pulse(p, s->offsets[u + 1] - s->offsets[u] + 1)) {
                return STOPPED;
            }
            for (int64_t e = s->offsets[u]; e < s->offsets[u + 1]; e++) {
                int32_t v = s->targets[e];
                if (level[v] < 0) {
                    level[v] = next;
                    s->order[s->count++] = v;
                }
                s->sigma[v] += add[level[v] == next];
            }
        }
        begin = end;
        end = s->count;
    }
    *levels = next;
    return 0;
}

static int hops_back(Search *s, int64_t levels, double *nodes, double *edges, Pulse *p)
{
    const int32_t *starts = s->heap;
    for (int64_t l = levels - 1; l >= 0; l--) {
        for (int64_t i = starts[l]; i < starts[l + 1]; i++) {
            int32_t u = s->order[i];
            double sum = 0;
            if (pulse(p, s->offsets[u + 1] - s->offsets[u] + 1)) {
                return STOPPED;
            }
            for (int64_t e = s->offsets[u]; e < s->offsets[u + 1]; e++) {
                sum += s->delta[s->targets[e]];
            }
            for (int64_t e = s->offsets[u]; edges && e < s->offsets[u + 1]; e++) {
                edges[e] += s->sigma[u] * s->delta[s->targets[e]];
            }
            s->distance[i] = sum * s->sigma[u]; /* by turn, until the level is done */
            if (nodes != NULL && l > 0) {
                nodes[u] += sum * s->sigma[u];
            }
        }
        for (int64_t i = starts[l + 1]; l + 1 < levels && i < starts[l + 2]; i++) {
            s->delta[s->order[i]] = 0;
        }
        for (int64_t i = starts[l]; i < starts[l + 1]; i++) {
            int32_t u = s->order[i];
            s->delta[u] = (1 + s->distance[i]) / s->sigma[u];
            s->distance[i] = INFINITY;
        }
    }
    return 0;
}

static int by_hops(Search *s, int32_t source, double *nodes, double *edges, Pulse *p)
{
    int64_t levels = 0;
    s->sigma[source] = 1;
    if (hops_forward(s, source, &levels, p) < 0) {
        return STOPPED;
    }
    return hops_back(s, levels, nodes, edges, p);
}

/* Steps that lead no farther: edges of weight 0, or of a weight that is lost in the sum. Of paths
 * of one length those with the fewest such steps are the shortest, or there would be no end of
 * them: as if each had a weight, but one smaller than any number. So every edge of a shortest path
 * leads to a node that is settled later. */
static inline int32_t steps_through(const Search *s, int32_t u, double through)
{
    return s->steps[u] + (through == s->distance[u]);
}

static int weights_forward(Search *s, int32_t source, Pulse *p)
{
    Heap heap = {s->heap, s->place, s->distance, s->steps, 0};
    s->distance[source] = 0;
    s->steps[source] = 0;
    s->sigma[source] = 1;
    heap_push(&heap, source);
    while (heap.size > 0) {
        int32_t u = heap_pop(&heap);
        s->order[s->count++] = u;
        if (pulse(p, s->offsets[u + 1] - s->offsets[u] + 8)) {
            return STOPPED;
        }
        for (int64_t e = s->offsets[u]; e < s->offsets[u + 1]; e++) {
            int32_t v = s->targets[e];
            double through = s->distance[u] + s->weights[e];
            int32_t steps = steps_through(s, u, through);
            if (through > s->distance[v] ||
                (through == s->distance[v] && steps > s->steps[v])) {
                continue;
            }
            if (through < s->distance[v] || steps < s->steps[v]) {
                s->distance[v] = through;
                s->steps[v] = steps;
                s->sigma[v] = 0;
                heap_push(&heap, v);
            }
            s->sigma[v] += s->sigma[u];
        }
    }
    return 0;
}

/* Adds up what each node and edge has of the shortest paths from the source. */
static int weights_back(Search *s, double *nodes, double *edges, Pulse *p)
{
    for (int64_t i = s->count - 1; i >= 0; i--) {
        int32_t u = s->order[i];
        double sum = 0;
        if (pulse(p, s->offsets[u + 1] - s->offsets[u] + 1)) {
            return STOPPED;
        }
        for (int64_t e = s->offsets[u]; e < s->offsets[u + 1]; e++) {
            int32_t v = s->targets[e];
            double through = s->distance[u] + s->weights[e];
            if (s->distance[v] != through || s->steps[v] != steps_through(s, u, through)) {
                continue;
            }
            double share = s->sigma[u] / s->sigma[v] * (1 + s->delta[v]);
            sum += share;
            if (edges != NULL) {
                edges[e] += share;
            }
        }
        s->delta[u] = sum;
        if (nodes != NULL && i > 0) {
            nodes[u] += sum;
        }
    }
    return 0;
}

/* Only what was touched is made ready again: a node may reach little of a large graph. */
static void clear(Search *s)
{
    for (int64_t i = 0; i < s->count; i++) {
        int32_t u = s->order[i];
        s->distance[u] = INFINITY;
        s->sigma[u] = s->delta[u] = 0;
        s->place[u] = -1;
    }
    s->count = 0;
}

static int by_weight(Search *s, int32_t source, double *nodes, double *edges, Pulse *p)
{
    return weights_forward(s, source, p) < 0 ? STOPPED : weights_back(s, nodes, edges, p);
}

/* brandes(offsets, targets, weights?, sources, nodes to add to?, edges to add to?,
 *         distance of n infinities, sigma of n zeros, order, place of n times -1, delta of n zeros,
 *         heap of n + 1, steps of n) */
KERNEL(brandes)
{
    Search s = {a[0].as.longs, a[1].as.ints, a[2].as.reals, a[6].as.reals, a[7].as.reals,
                a[10].as.reals, a[8].as.ints, a[9].as.ints, a[11].as.ints, a[12].as.ints, 0};
    for (int64_t i = 0; i < a[3].length; i++) {
        int32_t source = a[3].as.ints[i];
        int outcome = s.weights ? by_weight(&s, source, a[4].as.reals, a[5].as.reals, p)
                                : by_hops(&s, source, a[4].as.reals, a[5].as.reals, p);
        if (outcome < 0) {
            return STOPPED;
        }
        clear(&s);
    }
    return 0;
}
