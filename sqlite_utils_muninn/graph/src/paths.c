/* Shortest paths: Dijkstra, and sums of distances from every node. */
#include "kernels.h"

/* ---- The heap ---- */

static int before(const Heap *heap, int32_t a, int32_t b)
{
    if (heap->distance[a] != heap->distance[b]) {
        return heap->distance[a] < heap->distance[b];
    }
    if (heap->steps != NULL && heap->steps[a] != heap->steps[b]) {
        return heap->steps[a] < heap->steps[b];
    }
    return a < b; /* the same table gives the same path */
}

static void put(Heap *heap, int32_t at, int32_t node)
{
    heap->nodes[at] = node;
    heap->place[node] = at;
}

void heap_push(Heap *heap, int32_t node)
{
    int32_t at = heap->place[node] >= 0 ? heap->place[node] : heap->size++;
    while (at > 0 && before(heap, node, heap->nodes[(at - 1) / 2])) {
        put(heap, at, heap->nodes[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(heap, at, node);
}

int32_t heap_pop(Heap *heap)
{
    int32_t least = heap->nodes[0], last = heap->nodes[--heap->size], at = 0;
    heap->place[least] = -2;
    if (heap->size == 0) {
        return least;
    }
    for (int64_t child = 1; child < heap->size; child = 2 * (int64_t)at + 1) {
        if (child + 1 < heap->size && before(heap, heap->nodes[child + 1], heap->nodes[child])) {
            child++;
        }
        if (!before(heap, heap->nodes[child], last)) {
            break;
        }
        put(heap, at, heap->nodes[child]);
        at = (int32_t)child;
    }
    put(heap, at, last);
    return least;
}

/* ---- Dijkstra ---- */

/* dijkstra(offsets, targets, weights, start, end or -1, out distance of n infinities, out parent,
 *          heap, place of n times -1) gives 1 when the end was reached. */
KERNEL(dijkstra)
{
    const int64_t *offsets = a[0].as.longs;
    double *distance = a[5].as.reals;
    Heap heap = {a[7].as.ints, a[8].as.ints, distance, NULL, 0};
    int32_t start = (int32_t)a[3].as.number;
    distance[start] = 0;
    a[6].as.ints[start] = -1;
    heap_push(&heap, start);
    while (heap.size > 0) {
        int32_t u = heap_pop(&heap);
        if (u == a[4].as.number) {
            return 1;
        }
        if (pulse(p, offsets[u + 1] - offsets[u] + 8)) {
            return STOPPED;
        }
        for (int64_t e = offsets[u]; e < offsets[u + 1]; e++) {
            int32_t v = a[1].as.ints[e];
            double through = distance[u] + a[2].as.reals[e];
            if (through < distance[v]) {
                distance[v] = through;
                a[6].as.ints[v] = u;
                heap_push(&heap, v);
            }
        }
    }
    return 0;
}

/* ---- Sums of distances ---- */

#if defined(__GNUC__)
#define LOWEST_BIT(mask) __builtin_ctzll(mask)
#else
static int LOWEST_BIT(uint64_t mask)
{
    int bit = 0;
    while (!(mask & 1)) {
        mask >>= 1;
        bit++;
    }
    return bit;
}
#endif

typedef struct {
    const int64_t *offsets;
    const int32_t *targets;
    int64_t nodes;
    uint64_t *seen, *frontier, *next;
    int32_t *here, *there; /* nodes that the frontier, and the next one, touch */
    int64_t here_count, there_count;
} Sweep;

/* One level of 64 searches at once: what each node's frontier bits reach. */
static int sweep_level(Sweep *s, int64_t *sums, int32_t *reached, int64_t level, Pulse *p)
{
    s->there_count = 0;
    for (int64_t i = 0; i < s->here_count; i++) {
        int32_t u = s->here[i];
        uint64_t mask = s->frontier[u];
        s->frontier[u] = 0;
        if (pulse(p, s->offsets[u + 1] - s->offsets[u] + 1)) {
            return STOPPED;
        }
        for (int64_t e = s->offsets[u]; e < s->offsets[u + 1]; e++) {
            int32_t v = s->targets[e];
            uint64_t fresh = mask & ~s->seen[v];
            if (fresh) {
                if (s->next[v] == 0) {
                    s->there[s->there_count++] = v;
                }
                s->next[v] |= fresh;
            }
        }
    }
    for (int64_t i = 0; i < s->there_count; i++) {
        int32_t v = s->there[i];
        s->seen[v] |= s->next[v];
        for (uint64_t mask = s->next[v]; mask; mask &= mask - 1) {
            int bit = LOWEST_BIT(mask);
            sums[bit] += level;
            reached[bit]++;
        }
        if (pulse(p, 8)) {
            return STOPPED;
        }
    }
    return 0;
}

/* Breadth-first search from 64 nodes at once, a bit of a word for each (Then et al. 2014, "The
 * more the merrier").
 * closeness(offsets, targets, first source, last, seen, frontier of zeros, next of zeros,
 *           out sum of distances, out nodes reached, room for 2 n nodes) */
KERNEL(closeness)
{
    int64_t nodes = a[0].length - 1;
    Sweep s = {a[0].as.longs, a[1].as.ints, nodes, a[4].as.masks, a[5].as.masks, a[6].as.masks,
               a[9].as.ints,  a[9].as.ints + nodes, 0, 0};
    for (int64_t first = a[2].as.number; first < a[3].as.number; first += 64) {
        int64_t sums[64] = {0}, level = 1;
        int32_t reached[64] = {0};
        int count = (int)(a[3].as.number - first < 64 ? a[3].as.number - first : 64);
        memset(s.seen, 0, (size_t)nodes * sizeof(uint64_t));
        s.here_count = count;
        for (int i = 0; i < count; i++) {
            s.here[i] = (int32_t)(first + i);
            s.seen[first + i] = s.frontier[first + i] = (uint64_t)1 << i;
        }
        for (; s.here_count > 0; level++) {
            if (sweep_level(&s, sums, reached, level, p) < 0) {
                return STOPPED;
            }
            uint64_t *masks = s.frontier;
            int32_t *list = s.here;
            s.frontier = s.next;
            s.next = masks;
            s.here = s.there;
            s.there = list;
            s.here_count = s.there_count;
        }
        memcpy(a[7].as.longs + first, sums, (size_t)count * sizeof(int64_t));
        memcpy(a[8].as.ints + first, reached, (size_t)count * sizeof(int32_t));
    }
    return 0;
}

/* closeness_weighted(offsets, targets, weights, first source, last, out sum of distances, distance,
 *                    out nodes reached, heap, place) */
KERNEL(closeness_weighted)
{
    const int64_t *offsets = a[0].as.longs;
    int64_t nodes = a[0].length - 1;
    double *distance = a[6].as.reals;
    for (int64_t source = a[3].as.number; source < a[4].as.number; source++) {
        Heap heap = {a[8].as.ints, a[9].as.ints, distance, NULL, 0};
        double sum = 0;
        int32_t reached = -1;
        for (int64_t v = 0; v < nodes; v++) {
            distance[v] = INFINITY;
            heap.place[v] = -1;
        }
        distance[source] = 0;
        heap_push(&heap, (int32_t)source);
        while (heap.size > 0) {
            int32_t u = heap_pop(&heap);
            sum += distance[u];
            reached++;
            if (pulse(p, offsets[u + 1] - offsets[u] + 8)) {
                return STOPPED;
            }
            for (int64_t e = offsets[u]; e < offsets[u + 1]; e++) {
                int32_t v = a[1].as.ints[e];
                double through = distance[u] + a[2].as.reals[e];
                if (through < distance[v]) {
                    distance[v] = through;
                    heap_push(&heap, v);
                }
            }
        }
        a[5].as.reals[source] = sum;
        a[7].as.ints[source] = reached;
    }
    return 0;
}
