/* Nodes with the very same vector. Only the first of them that is linked, the elder, is in the
 * lists of the graph: thousands of equal ones would fill each other's, and a search that came upon
 * them would find no way out. The others hang on it as twins, in a tree by their ids, and are found
 * with it: the lowest ids first, as everywhere where distances are equal, and no more of them than
 * are wanted.
 *
 * An elder that dies keeps its twins, as a dead node keeps its lists. A twin that dies leaves its
 * tree; dead or alive, it is told by the first number of its list on the ground, where no
 * neighbour stands: its elder. The next three are its place in the tree, a treap (Seidel and
 * Aragon 1996): its shape follows from the ids that are in it, whatever was before, and nothing is
 * allocated. */
#include "hnsw.h"

enum { ELDER, LEFT, RIGHT, ABOVE }; /* a list has room for 2m, that is for four */

static int32_t *at(const Graph *graph, int32_t twin, int what)
{
    return &graph->ground[(int64_t)twin * 2 * graph->m + what];
}

/* ---- Trees ---- */

static int32_t *root_of(const Graph *graph, int32_t twin)
{
    return &graph->twins[elder_of(graph, twin)];
}

/* Where the tree says that a twin is below `above`. */
static int32_t *place_below(const Graph *graph, int32_t twin, int32_t above)
{
    if (above == NOBODY) {
        return root_of(graph, twin);
    }
    return at(graph, above, *at(graph, above, LEFT) == twin ? LEFT : RIGHT);
}

/* Of two twins, the one with the higher rank is above the other. */
static int is_above(const Graph *graph, int32_t twin, int32_t other)
{
    return mix((uint64_t)graph->ids[twin]) > mix((uint64_t)graph->ids[other]);
}

/* Changes places with the twin above. */
static void rise(const Graph *graph, int32_t twin)
{
    int32_t above = *at(graph, twin, ABOVE), over = *at(graph, above, ABOVE);
    int32_t *place = place_below(graph, above, over);
    int side = *at(graph, above, LEFT) == twin ? LEFT : RIGHT;
    int32_t between = *at(graph, twin, LEFT + RIGHT - side);
    *at(graph, above, side) = between;
    if (between != NOBODY) {
        *at(graph, between, ABOVE) = above;
    }
    *at(graph, twin, LEFT + RIGHT - side) = above;
    *at(graph, above, ABOVE) = twin;
    *at(graph, twin, ABOVE) = over;
    *place = twin;
}

static void tree_put(const Graph *graph, int32_t twin)
{
    int32_t *place = root_of(graph, twin), above = NOBODY;
    while (*place != NOBODY) {
        above = *place;
        place = at(graph, above, graph->ids[twin] < graph->ids[above] ? LEFT : RIGHT);
    }
    *place = twin;
    *at(graph, twin, ABOVE) = above;
    while (*at(graph, twin, ABOVE) != NOBODY && is_above(graph, twin, *at(graph, twin, ABOVE))) {
        rise(graph, twin);
    }
}

static void tree_cut(const Graph *graph, int32_t twin)
{
    int32_t *left = at(graph, twin, LEFT), *right = at(graph, twin, RIGHT);
    while (*left != NOBODY || *right != NOBODY) {
        int is_left = *right == NOBODY || (*left != NOBODY && is_above(graph, *left, *right));
        rise(graph, is_left ? *left : *right);
    }
    *place_below(graph, twin, *at(graph, twin, ABOVE)) = NOBODY;
    *at(graph, twin, ABOVE) = NOBODY;
}

static int32_t lowest_from(const Graph *graph, int32_t twin)
{
    while (twin != NOBODY && *at(graph, twin, LEFT) != NOBODY) {
        twin = *at(graph, twin, LEFT);
    }
    return twin;
}

/* The living twin of an elder that has the lowest id, or NOBODY. */
int32_t twins_first(const Graph *graph, int32_t elder)
{
    return graph->twins == NULL ? NOBODY : lowest_from(graph, graph->twins[elder]);
}

/* The one with the next id. */
int32_t twins_next(const Graph *graph, int32_t twin)
{
    if (*at(graph, twin, RIGHT) != NOBODY) {
        return lowest_from(graph, *at(graph, twin, RIGHT));
    }
    int32_t above = *at(graph, twin, ABOVE);
    while (above != NOBODY && *at(graph, above, RIGHT) == twin) {
        twin = above;
        above = *at(graph, twin, ABOVE);
    }
    return above;
}

/* ---- Coming and going ---- */

/* Makes room for twins, where the first one comes. */
int twins_start(Graph *graph)
{
    if (graph->twins == NULL) {
        graph->twins = malloc((size_t)graph->room * sizeof(int32_t));
        if (graph->twins == NULL) {
            return NO_MEMORY;
        }
        memset(graph->twins, 0xff, (size_t)graph->room * sizeof(int32_t));
    }
    return 0;
}

/* Whether a search that comes upon a node of the graph finds nothing there. */
int is_idle(const Graph *graph, int32_t node)
{
    return graph->states[node] == DEAD && !is_twin(graph, node) &&
           (node >= graph->linked || twins_first(graph, node) == NOBODY);
}

/* Hangs a node on its elder, instead of linking it. Its list has been made, and is empty. */
void twins_join(Graph *graph, int32_t elder, int32_t node)
{
    graph->idle_count -= is_idle(graph, node);
    graph->twin_count++;
    *at(graph, node, ELDER) = -2 - elder;
    graph->linked = node >= graph->linked ? node + 1 : graph->linked;
    if (graph->states[node] == ALIVE) {
        graph->idle_count -= is_idle(graph, elder);
        tree_put(graph, node);
    }
}

void node_drop(Graph *graph, int32_t node)
{
    if (is_twin(graph, node)) {
        tree_cut(graph, node);
        graph->idle_count += is_idle(graph, elder_of(graph, node));
    }
    graph->states[node] = DEAD;
    graph->dead_count++;
    graph->idle_count += is_idle(graph, node);
}

/* ---- Who is whose twin ---- */

/* Keeps a vector in a node; 0: it cannot be kept. */
int node_keep(Graph *graph, int32_t node, const float *vector, float *work)
{
    Coarse *coarse = &graph->coarse[node];
    if (!encode(graph, vector, graph->codes.bytes + node * graph->stride, coarse, work)) {
        return 0;
    }
    coarse->print = (uint32_t)checksum(0, (const unsigned char *)vector,
                                       (int64_t)graph->dimensions * (int64_t)sizeof(float));
    return 1;
}

/* Whether two nodes have the same vector: the same copy, and of what the copy leaves out the same
 * length and fingerprint. */
int are_same(const Graph *graph, int32_t a, int32_t b)
{
    return memcmp(&graph->coarse[a], &graph->coarse[b], sizeof(Coarse)) == 0 &&
           memcmp(codes_of(graph, a), codes_of(graph, b), (size_t)graph->stride) == 0;
}

static int64_t place_of(const Graph *graph, int32_t node)
{
    return (int64_t)(mix(graph->coarse[node].print) & (uint64_t)graph->elder_mask);
}

/* The node that is in the graph with the same vector, or NOBODY. */
int32_t elders_find(const Graph *graph, int32_t node)
{
    for (int64_t place = place_of(graph, node);; place = (place + 1) & graph->elder_mask) {
        int32_t elder = graph->elders[place];
        if (elder == NOBODY || are_same(graph, elder, node)) {
            return elder;
        }
    }
}

void elders_put(const Graph *graph, int32_t node)
{
    int64_t place = place_of(graph, node);
    while (graph->elders[place] != NOBODY) {
        place = (place + 1) & graph->elder_mask;
    }
    graph->elders[place] = node;
}

/* Makes room for all nodes among those that are in the graph. Who never links needs none. */
int elders_make(Graph *graph)
{
    int64_t size = 128;
    while (size * 3 < (int64_t)graph->count * 4) {
        size *= 2;
    }
    if (graph->elders != NULL && size <= graph->elder_mask + 1) {
        return 0;
    }
    int32_t *elders = malloc((size_t)size * sizeof(int32_t));
    if (elders == NULL) {
        return NO_MEMORY;
    }
    memset(elders, 0xff, (size_t)size * sizeof(int32_t));
    free(graph->elders);
    graph->elders = elders;
    graph->elder_mask = size - 1;
    for (int32_t node = 0; node < graph->linked; node++) {
        if (!is_twin(graph, node)) {
            elders_put(graph, node);
        }
    }
    return 0;
}
