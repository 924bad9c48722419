/* An index as bytes, and back: ids, lists of neighbours, and the copies of the dead. Those of the
 * living are made anew from their vectors, see restore.c. What is read back may come from a crafted
 * file: nothing in it is used before snapshot_check() has looked at every number. */
#include "hnsw.h"

enum { SPANS = 4 };

typedef struct {
    unsigned char *bytes;
    int64_t size;
} Span;

/* A part of the snapshot that is copied, to `out` or from `in`. */
typedef struct {
    int64_t start, size; /* what is left of it, from here */
    unsigned char *out;
    const unsigned char *in;
} Part;

static void spans_of(const Graph *graph, Span *spans)
{
    int64_t n = graph->count, list = (int64_t)graph->m * (int64_t)sizeof(int32_t);
    Span all[SPANS] = {
        {(unsigned char *)graph->ids, n * (int64_t)sizeof(int64_t)},
        {(unsigned char *)graph->states, n},
        {(unsigned char *)graph->ground, graph->linked * 2 * list},
        {(unsigned char *)graph->upper, graph->upper_count * list},
    };
    memcpy(spans, all, sizeof(all));
}

static int64_t copy_size(const Graph *graph)
{
    return (int64_t)sizeof(Coarse) + graph->stride;
}

int64_t snapshot_size(const Graph *graph)
{
    Span spans[SPANS];
    int64_t size = graph->dead_count * copy_size(graph);
    spans_of(graph, spans);
    for (int i = 0; i < SPANS; i++) {
        size += spans[i].size;
    }
    return size;
}

static void copy_span(Part *part, unsigned char *bytes, int64_t size)
{
    if (part->start >= size) {
        part->start -= size;
        return;
    }
    int64_t count = size - part->start;
    count = count < part->size ? count : part->size;
    if (part->out != NULL) {
        memcpy(part->out, bytes + part->start, (size_t)count);
        part->out += count;
    } else {
        memcpy(bytes + part->start, part->in, (size_t)count);
        part->in += count;
    }
    part->size -= count;
    part->start = 0;
}

static void copy(const Graph *graph, Part part)
{
    Span spans[SPANS];
    spans_of(graph, spans);
    for (int i = 0; i < SPANS && part.size > 0; i++) {
        copy_span(&part, spans[i].bytes, spans[i].size);
    }
    for (int32_t node = 0; node < graph->count && part.size > 0; node++) {
        if (graph->states[node] == DEAD) {
            copy_span(&part, (unsigned char *)&graph->coarse[node], (int64_t)sizeof(Coarse));
            copy_span(&part, graph->codes.bytes + node * graph->stride, graph->stride);
        }
    }
}

void snapshot_read(const Graph *graph, int64_t start, int64_t size, unsigned char *out)
{
    Part part = {start, size, out, NULL};
    copy(graph, part);
}

void snapshot_write(Graph *graph, int64_t start, int64_t size, const unsigned char *in)
{
    Part part = {start, size, NULL, in};
    copy(graph, part);
}

/* ---- Room ---- */

/* How many lists the levels above the ground have; -1: the nodes would not fit in that size. */
static int64_t lists_of(const Graph *graph, const Outline *claim)
{
    int64_t ground = 2 * (int64_t)graph->m * (int64_t)sizeof(int32_t), lists = 0;
    if (claim->linked < 0 || claim->linked > claim->count || claim->dead < 0 ||
        claim->dead > claim->count || claim->count >= MOST_NODES || claim->more < 0 ||
        claim->more >= MOST_NODES || claim->count > claim->size / 9 ||
        claim->linked > claim->size / ground || claim->dead > claim->size / copy_size(graph)) {
        return -1;
    }
    for (int32_t node = 0; node < claim->linked; node++) {
        lists += node_level(graph, node);
    }
    int64_t size = claim->count * 9 + claim->linked * ground + lists * ground / 2 +
                   claim->dead * copy_size(graph);
    return size == claim->size && lists <= INT32_MAX ? lists : -1;
}

/* Makes room for a snapshot; until it is checked, the graph is not to be used. No memory is taken
 * for a claim that its own size contradicts. */
int snapshot_start(Graph *graph, const Outline *claim)
{
    int64_t lists = lists_of(graph, claim), at = 0;
    if (lists < 0) {
        return WRONG_SIZE;
    }
    int result = graph_make_room(graph, claim->count + claim->more);
    if (result < 0) {
        return result;
    }
    graph->upper = malloc((size_t)(lists * graph->m + 1) * sizeof(int32_t));
    if (graph->upper == NULL) {
        return NO_MEMORY;
    }
    for (int32_t node = 0; node < claim->linked; node++) {
        int level = node_level(graph, node);
        graph->upper_at[node] = level > 0 ? (int32_t)at : NOBODY;
        at += level;
    }
    graph->upper_count = graph->upper_room = (int32_t)lists;
    graph->count = (int32_t)claim->count;
    graph->linked = (int32_t)claim->linked;
    graph->dead_count = (int32_t)claim->dead;
    if (graph->count > 0) {
        memset(graph->states, ALIVE, (size_t)graph->count);
    }
    return 0;
}

/* ---- What may stand in it ---- */

static int is_list(const Graph *graph, const int32_t *list, int most, int level)
{
    int i = 0;
    for (; i < most && list[i] != NOBODY; i++) {
        if (list[i] < 0 || list[i] >= graph->linked || is_twin(graph, list[i])) {
            return 0;
        }
        if (level > 0 && (graph->upper_at[list[i]] == NOBODY ||
                          (level > 1 && node_level(graph, list[i]) < level))) {
            return 0;
        }
    }
    for (; i < most; i++) {
        if (list[i] != NOBODY) {
            return 0;
        }
    }
    return 1;
}

/* A twin that hangs on a node with lists. Its place in the tree is made anew, whatever it was. */
static int is_whole_twin(Graph *graph, int32_t node)
{
    int most;
    int32_t elder = elder_of(graph, node), *list = neighbours(graph, node, 0, &most);
    if (elder < 0 || elder >= graph->linked || is_twin(graph, elder)) {
        return 0;
    }
    for (int i = 1; i < most; i++) {
        list[i] = NOBODY;
    }
    return 1;
}

static int are_lists(Graph *graph)
{
    for (int32_t node = 0; node < graph->linked; node++) {
        int top = graph->upper_at[node] == NOBODY ? 0 : node_level(graph, node);
        int lowest = is_twin(graph, node) ? 1 : 0;
        if (lowest > 0 && !is_whole_twin(graph, node)) {
            return 0;
        }
        for (int level = lowest; level <= top; level++) {
            int most;
            const int32_t *list = neighbours(graph, node, level, &most);
            if (!is_list(graph, list, most, level)) {
                return 0;
            }
        }
    }
    return 1;
}

static int is_copy(const Graph *graph, int32_t node)
{
    const Coarse *coarse = &graph->coarse[node];
    if (!(fabsf(coarse->shift) < 1e31f) || !(coarse->scale >= 0 && coarse->scale < 1e31f) ||
        !(coarse->error >= 0 && coarse->error < 1e31f)) {
        return 0;
    }
    if (graph->kind == CODES_FLOAT) {
        const float *codes = codes_of(graph, node);
        for (int64_t i = 0; i < graph->stride / 4; i++) {
            if (!(fabsf(codes[i]) < 1e16f)) {
                return 0;
            }
        }
    }
    return 1;
}

/* The first one of those that are on the highest level. */
static void find_entry(Graph *graph)
{
    for (int32_t node = 0; node < graph->linked; node++) {
        int level = graph->upper_at[node] == NOBODY ? 0 : node_level(graph, node);
        if (!is_twin(graph, node) && (graph->entry == NOBODY || level > graph->entry_level)) {
            graph->entry = node;
            graph->entry_level = level;
        }
    }
}

/* As many are dead as were said to be, and their copies are numbers. */
static int are_numbers(const Graph *graph)
{
    int32_t dead = 0;
    for (int32_t node = 0; node < graph->count; node++) {
        if (graph->states[node] > DEAD) {
            return 0;
        }
        dead += graph->states[node];
    }
    for (int32_t node = 0; node < graph->count && dead == graph->dead_count; node++) {
        if (graph->states[node] == DEAD && !is_copy(graph, node)) {
            return 0;
        }
    }
    return dead == graph->dead_count;
}

/* From now on the living wait for their vectors. */
static int are_distinct(Graph *graph)
{
    for (int32_t node = 0; node < graph->count; node++) {
        if (graph->states[node] == ALIVE) {
            if (node_in(graph, graph->ids[node], WAITING) != NOBODY) {
                return 0;
            }
            graph->states[node] = WAITING;
            places_put(graph, node);
        }
    }
    return 1;
}

/* What is wrong with what was written, or NULL. Afterwards the copies can be made. */
const char *snapshot_check(Graph *graph)
{
    int32_t count = graph->count;
    if (!are_numbers(graph)) {
        return "a number is out of bounds";
    }
    if (!are_lists(graph)) {
        return "a neighbour is not in the graph";
    }
    find_entry(graph);
    graph->count = 0; /* no place is taken yet */
    int made = places_make(graph, count);
    graph->count = count;
    if (made < 0) {
        return "no memory";
    }
    return are_distinct(graph) ? NULL : "a rowid is there twice";
}
