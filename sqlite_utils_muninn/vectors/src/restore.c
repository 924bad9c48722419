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
    if (node == NOBODY || !node_keep(graph, node, vector, work)) {
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
        int is_out = node >= graph->linked || is_twin(graph, node);
        int32_t from = is_out ? NOBODY : neighbour_of(graph, node, pass == 0);
        if (from != NOBODY) {
            take_copy(graph, node, from);
            graph->coarse[node].print = (uint32_t)mix(graph->coarse[from].print); /* no elder */
        } else if (pass == PASSES || is_out) {
            take_nothing(graph, node);
        } else {
            left++;
            continue;
        }
        graph->states[node] = FOUND;
    }
    return left;
}

/* How many vectors are missing. */
int32_t restore_missing(const Graph *graph)
{
    int32_t missing = 0;
    for (int32_t node = 0; node < graph->count; node++) {
        missing += graph->states[node] == WAITING;
    }
    return missing;
}

/* Hangs the living twins on their elders. One that is lost has its copy from a twin, and no other
 * node stands in for it. */
static const char *join_twins(Graph *graph)
{
    graph->twin_count = 0;
    for (int32_t node = 0; node < graph->linked; node++) {
        if (!is_twin(graph, node)) {
            continue;
        }
        int32_t elder = elder_of(graph, node);
        if (graph->states[node] == ALIVE && graph->states[elder] == LOST) {
            take_copy(graph, elder, node);
            graph->states[elder] = DEAD;
            graph->dead_count++;
        }
        if (graph->states[node] == ALIVE && !are_same(graph, elder, node)) {
            return "rows that should be equal are not";
        }
        if (twins_start(graph) < 0) {
            return "no memory";
        }
        twins_join(graph, elder, node);
    }
    return NULL;
}

/* Nothing is missing: makes the graph ready. */
const char *restore_finish(Graph *graph)
{
    int32_t left = 0;
    const char *wrong = join_twins(graph);
    if (wrong != NULL) {
        return wrong;
    }
    for (int32_t node = 0; node < graph->count; node++) {
        left += graph->states[node] == LOST;
    }
    /* A crafted graph may be a chain of lost nodes, one more of which is filled in each pass. */
    for (int pass = 0; pass <= PASSES && left > 0; pass++) {
        left = fill_lost(graph, pass);
    }
    graph->idle_count = 0;
    for (int32_t node = 0; node < graph->count; node++) {
        if (graph->states[node] == FOUND) {
            graph->states[node] = DEAD;
            graph->dead_count++;
        }
        graph->idle_count += is_idle(graph, node);
    }
    return NULL;
}
