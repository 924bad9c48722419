/* The arrays of an index, and which node has which id. */
#include "hnsw.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#define LINE 64
#define LARGE ((size_t)4 << 20)

/* ---- Memory ---- */

/* Allocates a block anew and keeps the first bytes of the old one. -1: no memory. */
int block_make(Block *block, size_t size, size_t kept)
{
    size_t edge = size >= LARGE ? (size_t)2 << 20 : LINE;
    unsigned char *start = malloc(size + edge);
    if (start == NULL) {
        return NO_MEMORY;
    }
    unsigned char *bytes = start + (edge - (uintptr_t)start % edge);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (size >= LARGE) {
        madvise(bytes, size, MADV_HUGEPAGE); /* nodes are visited at random: fewer pages to find */
    }
#endif
    if (kept > 0) {
        memcpy(bytes, block->bytes, kept);
    }
    free(block->start);
    block->start = start;
    block->bytes = bytes;
    block->size = size;
    return 0;
}

void block_free(Block *block)
{
    free(block->start);
    memset(block, 0, sizeof(*block));
}

static int grow(void *array, int64_t count, size_t item)
{
    void *old;
    memcpy(&old, array, sizeof(old));
    void *new = realloc(old, (size_t)count * item);
    if (new == NULL) {
        return NO_MEMORY;
    }
    memcpy(array, &new, sizeof(new));
    return 0;
}

/* Makes room for at least `count` nodes; -1: no memory, and nothing is lost. */
int graph_make_room(Graph *graph, int64_t count)
{
    if (count <= graph->room) {
        return 0;
    }
    if (count >= MOST_NODES) {
        return TOO_MANY;
    }
    int64_t room = graph->room + graph->room / 4;
    room = room < count ? count : room;
    room = room < 64 ? 64 : room;
    size_t bits = ((size_t)room + 63) / 64 * 8;
    if (grow(&graph->coarse, room, sizeof(Coarse)) < 0 ||
        grow(&graph->ids, room, sizeof(int64_t)) < 0 || grow(&graph->states, room, 1) < 0 ||
        grow(&graph->ground, room * 2 * graph->m, sizeof(int32_t)) < 0 ||
        grow(&graph->upper_at, room, sizeof(int32_t)) < 0 ||
        block_make(&graph->visited, bits, 0) < 0 ||
        block_make(&graph->codes, (size_t)(room * graph->stride),
                   (size_t)(graph->count * graph->stride)) < 0) {
        return NO_MEMORY;
    }
    if (graph->twins != NULL) {
        if (grow(&graph->twins, room, sizeof(int32_t)) < 0) {
            return NO_MEMORY;
        }
        memset(graph->twins + graph->room, 0xff, (size_t)(room - graph->room) * sizeof(int32_t));
    }
    graph->room = (int32_t)room;
    return 0;
}

int graph_start(Graph *graph)
{
    int64_t bytes = graph->kind == CODES_BYTE ? graph->dimensions : 4 * (int64_t)graph->dimensions;
    graph->stride = (bytes + LINE - 1) / LINE * LINE;
    graph->compare = distance_of(graph->kind, graph->metric);
    graph->encode = encode_of(graph->kind);
    graph->entry = NOBODY;
    return places_make(graph, 0);
}

void graph_end(Graph *graph)
{
    free(graph->centre);
    free(graph->coarse);
    free(graph->ids);
    free(graph->states);
    free(graph->ground);
    free(graph->upper_at);
    free(graph->upper);
    free(graph->places);
    free(graph->twins);
    free(graph->elders);
    block_free(&graph->codes);
    block_free(&graph->visited);
}

int64_t graph_bytes(const Graph *graph)
{
    int64_t node = (int64_t)sizeof(Coarse) + 8 + 1 + 4 + 8 * (int64_t)graph->m + graph->stride;
    node += graph->twins == NULL ? 0 : 4;
    return graph->room * node + (int64_t)graph->visited.size +
           (graph->place_mask + 1) * 4 + (graph->elders == NULL ? 0 : (graph->elder_mask + 1) * 4) +
           (int64_t)graph->upper_room * graph->m * 4;
}

/* ---- Ids ---- */

/* Soon it is asked where this id is. */
void places_look(const Graph *graph, int64_t id)
{
#if defined(__GNUC__)
    __builtin_prefetch(&graph->places[mix((uint64_t)id) & (uint64_t)graph->place_mask]);
#else
    (void)graph;
    (void)id;
#endif
}

int32_t node_in(const Graph *graph, int64_t id, int state)
{
    int64_t at = (int64_t)(mix((uint64_t)id) & (uint64_t)graph->place_mask);
    for (;; at = (at + 1) & graph->place_mask) {
        int32_t node = graph->places[at];
        if (node == NOBODY || (graph->ids[node] == id && graph->states[node] == state)) {
            return node;
        }
    }
}

int32_t node_of(const Graph *graph, int64_t id)
{
    return node_in(graph, id, ALIVE);
}

/* Passes a row over, as if it were not there, or takes that back. Returns whether it is there. */
int node_pass(Graph *graph, int64_t id, int passed)
{
    int32_t node = node_in(graph, id, passed ? ALIVE : PASSED);
    if (node != NOBODY) {
        graph->states[node] = passed ? PASSED : ALIVE;
    }
    return node != NOBODY;
}

/* Notes the largest error, shift and length of any node: no estimate is farther off. */
void note_largest(Graph *graph, int32_t node)
{
    const Coarse *coarse = &graph->coarse[node];
    Coarse *largest = &graph->largest;
    float length = length_of(graph, node), shift = fabsf(coarse->shift);
    largest->error = coarse->error > largest->error ? coarse->error : largest->error;
    largest->shift = shift > largest->shift ? shift : largest->shift;
    graph->largest_length = length > graph->largest_length ? length : graph->largest_length;
}

void places_put(Graph *graph, int32_t node)
{
    int64_t at = (int64_t)(mix((uint64_t)graph->ids[node]) & (uint64_t)graph->place_mask);
    while (graph->places[at] != NOBODY) {
        at = (at + 1) & graph->place_mask;
    }
    graph->places[at] = node;
}

/* Makes the table of places anew for `count` nodes, unless it has room for them. */
int places_make(Graph *graph, int64_t count)
{
    int64_t size = 128;
    while (size * 3 < count * 4) {
        size *= 2;
    }
    if (graph->places != NULL && size <= graph->place_mask + 1) {
        return 0;
    }
    int32_t *places = malloc((size_t)size * sizeof(int32_t));
    if (places == NULL) {
        return NO_MEMORY;
    }
    memset(places, 0xff, (size_t)size * sizeof(int32_t));
    free(graph->places);
    graph->places = places;
    graph->place_mask = size - 1;
    for (int32_t node = 0; node < graph->count; node++) {
        if (graph->states[node] == ALIVE) {
            places_put(graph, node);
        }
    }
    return 0;
}

/* The highest level of a node: L or more for one of m**L, by its number alone. */
int node_level(const Graph *graph, int32_t node)
{
    uint64_t chance = mix((uint64_t)node + 0x9e3779b97f4a7c15u);
    uint64_t bound = UINT64_MAX / (uint64_t)graph->m;
    int level = 0;
    while (chance < bound && level < MOST_LEVELS - 1) {
        level++;
        bound /= (uint64_t)graph->m;
    }
    return level;
}
