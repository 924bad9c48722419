/* Candidates: all nodes that may belong to the nearest, by what their coarse copies allow. */
#include "hnsw.h"

#include <float.h>

/* How far off an estimate may be.
 *
 * Squared L2: with D = |x - y| of the copies and e the length of both errors together, the true
 * distance is within D*D +- (2 D e + e e). An error points anywhere, so that nearly always its part
 * along x - y is shorter by far: `trust` times e. Product: |<x, y> - <copies>| is at most
 * |error of x| |y| + |x| |error of y|. Floats: what adding up in float32 loses. */
static float width_of(const Collector *collector, float far, const Coarse *node, float length)
{
    const Graph *graph = collector->graph;
    const Coarse *query = &collector->probe->coarse;
    float both = node->error + query->error;
    if (graph->kind == CODES_FLOAT) {
        float size = (float)(graph->dimensions + 8) * FLT_EPSILON;
        float least = (float)graph->dimensions * FLT_MIN;
        return graph->metric == METRIC_PRODUCT
                   ? size * query->shift * length + least
                   : size * far + 2 * sqrtf(far) * both + both * both + least;
    }
    float rounding = 1e-6f * (fabsf(query->shift) + fabsf(node->shift)) + FLT_MIN;
    if (graph->metric == METRIC_PRODUCT) {
        return collector->trust * (node->error * collector->length + length * query->error) +
               2e-6f * collector->length * length + rounding;
    }
    return 2 * collector->trust * sqrtf(far > 0 ? far : 0) * both + both * both + rounding;
}

/* The length of a coarse copy. */
float length_of(const Graph *graph, int32_t node)
{
    const Coarse *coarse = &graph->coarse[node];
    if (graph->kind == CODES_FLOAT) {
        return coarse->shift;
    }
    if (graph->metric != METRIC_PRODUCT) {
        return 0; /* not needed */
    }
    const void *codes = codes_of(graph, node);
    return coarse->scale * sqrtf(graph->compare(codes, codes, graph->stride));
}

void set_limit(Collector *collector)
{
    const Graph *graph = collector->graph;
    float most = collector->within;
    if (collector->ceiling_count == collector->wanted && collector->ceilings[0] < most) {
        most = collector->ceilings[0];
    }
    collector->most = most;
    /* No node is farther off than the largest of all: one comparison rules out most. */
    if (graph->metric == METRIC_PRODUCT || graph->kind == CODES_FLOAT) {
        float width = width_of(collector, most > 0 ? most : 0, &graph->largest,
                               graph->largest_length);
        collector->limit = graph->metric == METRIC_PRODUCT ? most + width : most + 8 * width;
        return;
    }
    float both = graph->largest.error + collector->probe->coarse.error;
    float rounding = 1e-6f * (fabsf(collector->probe->coarse.shift) + graph->largest.shift);
    float along = collector->trust * both;
    float root = along + sqrtf((most > 0 ? most : 0) + both * both + along * along + rounding);
    collector->limit = root * root * 1.00001f + FLT_MIN;
}

/* A bound that may have been rounded in float32: certainly below it, and certainly above it. */
static float bound(double value, int side)
{
    return isinf(value) ? (float)value : (float)(value + side * (2e-6 * fabs(value) + 1e-30));
}

void collector_start(Collector *collector, const Graph *graph, const Probe *probe, int64_t wanted,
                     const double *bounds)
{
    int64_t there = graph->count;
    memset(collector, 0, sizeof(*collector));
    collector->graph = graph;
    collector->probe = probe;
    collector->wanted = wanted < there ? wanted : there;
    collector->trust = 1;
    collector->within = bound(bounds[0], 1);
    collector->beyond = bound(bounds[1], -1);
    collector->certainly_beyond = bound(bounds[1], 1);
    collector->limit = collector->most = INFINITY;
    collector->room = 256;
    collector->items = malloc((size_t)collector->room * sizeof(Near));
    collector->ceilings = malloc((size_t)(collector->wanted + 1) * sizeof(float));
    collector->failed = collector->items == NULL || collector->ceilings == NULL;
    if (graph->kind == CODES_BYTE && graph->metric == METRIC_PRODUCT) {
        collector->length =
            probe->coarse.scale * sqrtf(graph->compare(probe->codes, probe->codes, graph->stride)) +
            probe->coarse.error;
    }
}

void collector_free(Collector *collector)
{
    free(collector->items);
    free(collector->ceilings);
}

/* ---- The smallest upper bounds: a heap, the largest of them first ---- */

static void sift_down(float *heap, int64_t count, float value)
{
    int64_t at = 0;
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= count) {
            break;
        }
        child += child + 1 < count && heap[child + 1] > heap[child];
        if (heap[child] <= value) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = value;
}

static void add_ceiling(Collector *collector, float value)
{
    float *heap = collector->ceilings;
    if (collector->wanted == 0) {
        return;
    }
    if (collector->ceiling_count < collector->wanted) {
        int64_t at = collector->ceiling_count++;
        while (at > 0 && heap[(at - 1) / 2] < value) {
            heap[at] = heap[(at - 1) / 2];
            at = (at - 1) / 2;
        }
        heap[at] = value;
        if (collector->ceiling_count < collector->wanted) {
            return;
        }
    } else if (value < heap[0]) {
        sift_down(heap, collector->ceiling_count, value);
    } else {
        return;
    }
    set_limit(collector);
}

/* ---- Candidates ---- */

static float floor_of(const Collector *collector, const Near *item)
{
    int32_t node = (int32_t)item->node;
    return item->far - width_of(collector, item->far, &collector->graph->coarse[node],
                                length_of(collector->graph, node));
}

static void drop_hopeless(Collector *collector)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < collector->count; i++) {
        if (floor_of(collector, &collector->items[i]) <= collector->most) {
            collector->items[kept++] = collector->items[i];
        }
    }
    collector->count = kept;
}

static int make_room(Collector *collector)
{
    if (collector->count < collector->room) {
        return 1;
    }
    drop_hopeless(collector);
    if (collector->count <= collector->room / 2) {
        return 1;
    }
    Near *items = realloc(collector->items, (size_t)collector->room * 2 * sizeof(Near));
    if (items == NULL) {
        collector->failed = 1;
        return 0;
    }
    collector->items = items;
    collector->room *= 2;
    return 1;
}

void collector_look(Collector *collector, float far, int32_t node)
{
    const Graph *graph = collector->graph;
    float width = width_of(collector, far, &graph->coarse[node], length_of(graph, node));
    if (far - width > collector->most || far + width < collector->beyond ||
        collector->failed || !make_room(collector)) {
        return;
    }
    Near item = {far, (uint32_t)node};
    collector->items[collector->count++] = item;
    if (far - width >= collector->certainly_beyond) {
        add_ceiling(collector, far + width);
    }
}

static int by_distance(const void *a, const void *b)
{
    const Near *x = a, *y = b;
    if (x->far != y->far) {
        return x->far < y->far ? -1 : 1;
    }
    return (x->node > y->node) - (x->node < y->node);
}

/* Leaves the candidates, nearest first. -1: no memory. */
int collector_finish(Collector *collector)
{
    if (collector->failed) {
        return NO_MEMORY;
    }
    drop_hopeless(collector);
    qsort(collector->items, (size_t)collector->count, sizeof(Near), by_distance);
    if (collector->count > collector->wanted) {
        thin_out(collector);
    }
    return 0;
}

/* ---- Scans ---- */

/* Looks at every node from `first` on. */
void collect_from_scan(const Graph *graph, const Probe *probe, int32_t first, Collector *collector)
{
    for (int32_t node = first; node < graph->count; node++) {
        if (graph->states[node] == ALIVE) {
            collector_add(collector, distance(graph, probe, node), node);
        }
    }
}

/* Looks at the nodes of some ids. */
void collect_among(const Graph *graph, const Probe *probe, const int64_t *ids, int64_t count,
                   Collector *collector)
{
    enum { AHEAD = 8 };
    int32_t ahead[AHEAD];
    for (int64_t i = 0; i < count + AHEAD; i++) {
        if (i >= AHEAD && ahead[i % AHEAD] != NOBODY) {
            int32_t node = ahead[i % AHEAD];
            collector_add(collector, distance(graph, probe, node), node);
        }
        if (i + AHEAD < count) {
            places_look(graph, ids[i + AHEAD]);
        }
        if (i < count) {
            int32_t node = ahead[i % AHEAD] = node_of(graph, ids[i]);
            if (node != NOBODY) {
                look_ahead(graph, node);
            }
        }
    }
}
