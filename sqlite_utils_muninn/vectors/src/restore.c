/* The copies of a saved index, made from the vectors in the file.
 *
 * A living node waits for its vector. One whose vector has changed since the index was saved is
 * lost: it is dead from now on, but searches pass through the dead, so it must stand about where
 * it stood. It gets the copy of its nearest neighbour. (The mean of its neighbours lies nearer to
 * most queries than any of them: of 10,000 texts with 2,500 replaced, searches then found .990, by
 * the copy of a neighbour .997, and .998 where nothing was lost.) */
#include "hnsw.h"

#define PASSES 5

/* The vector of an id is another one now, or gone. */
void restore_lose(Graph *graph, int64_t id)
{
    int32_t node = node_in(graph, id, WAITING);
    if (node != NOBODY) {
        graph->states[node] = LOST;
    }
}

/* Makes the copy of an id. Most often its node is the one after the one before: `next` says so.
 * Returns 0 where none waits for it, or the vector cannot be kept. */
int restore_copy(Graph *graph, int64_t id, const float *vector, float *work, int32_t *next)
{
    int32_t node = *next;
    if (node >= graph->count || graph->ids[node] != id || graph->states[node] != WAITING) {
        node = node_in(graph, id, WAITING);
    }
    if (node == NOBODY || !encode(graph, vector, graph->codes.bytes + node * graph->stride,
                                  &graph->coarse[node], work)) {
        return 0;
    }
    graph->states[node] = ALIVE;
    note_largest(graph, node);
    *next = node + 1;
    return 1;
}

/* ---- What is lost ---- */

static void take_copy(Graph *graph, int32_t node, int32_t from)
{
    unsigned char *codes = graph->codes.bytes;
    memcpy(codes + node * graph->stride, codes + from * graph->stride, (size_t)graph->stride);
    graph->coarse[node] = graph->coarse[from];
}

static void take_nothing(Graph *graph, int32_t node)
{
    memset(graph->codes.bytes + node * graph->stride, 0, (size_t)graph->stride);
    memset(&graph->coarse[node], 0, sizeof(Coarse));
}

/* The first neighbour with a copy, which as a rule is the nearest; `own`: with one of its own. */
static int32_t neighbour_of(const Graph *graph, int32_t node, int own)
{
    int most;
    const int32_t *list = neighbours(graph, node, 0, &most);
    for (int i = 0; i < most && list[i] != NOBODY; i++) {
        int state = graph->states[list[i]];
        if (state == ALIVE || state == DEAD || (!own && state == FOUND)) {
            return list[i];
        }
    }
    return NOBODY;
}

/* Returns how many are left. */
static int32_t fill_lost(Graph *graph, int pass)
{
    int32_t left = 0;
    for (int32_t node = 0; node < graph->count; node++) {
        if (graph->states[node] != LOST) {
            continue;
        }
        int32_t from = node < graph->linked ? neighbour_of(graph, node, pass == 0) : NOBODY;
        if (from != NOBODY) {
            take_copy(graph, node, from);
        } else if (pass == PASSES || node >= graph->linked) {
            take_nothing(graph, node);
        } else {
            left++;
            continue;
        }
        graph->states[node] = FOUND;
    }
    return left;
}

/* Says how many vectors are missing; if none is, the graph can be used. */
int32_t restore_finish(Graph *graph)
{
    int32_t missing = 0, left = 0;
    for (int32_t node = 0; node < graph->count; node++) {
        missing += graph->states[node] == WAITING;
        left += graph->states[node] == LOST;
    }
    if (missing > 0) {
        return missing;
    }
    /* A crafted graph may be a chain of lost nodes, one more of which is filled in each pass. */
    for (int pass = 0; pass <= PASSES && left > 0; pass++) {
        left = fill_lost(graph, pass);
    }
    for (int32_t node = 0; node < graph->count; node++) {
        if (graph->states[node] == FOUND) {
            graph->states[node] = DEAD;
            graph->dead_count++;
        }
    }
    return 0;
}
