/* An index as bytes, and back. What is read back may come from a crafted file: nothing in it is
 * used before snapshot_check() has looked at every number. */
#include "hnsw.h"

enum { SPANS = 6 };

typedef struct {
    unsigned char *bytes;
    int64_t size;
} Span;

static void spans_of(const Graph *graph, Span *spans)
{
    int64_t n = graph->count, list = (int64_t)graph->m * (int64_t)sizeof(int32_t);
    Span all[SPANS] = {
        {(unsigned char *)graph->coarse, n * (int64_t)sizeof(Coarse)},
        {(unsigned char *)graph->ids, n * (int64_t)sizeof(int64_t)},
        {(unsigned char *)graph->dead, n},
        {graph->codes.bytes, n * graph->stride},
        {(unsigned char *)graph->ground, graph->linked * 2 * list},
        {(unsigned char *)graph->upper, graph->upper_count * list},
    };
    memcpy(spans, all, sizeof(all));
}

int64_t snapshot_size(const Graph *graph)
{
    Span spans[SPANS];
    int64_t size = 0;
    spans_of(graph, spans);
    for (int i = 0; i < SPANS; i++) {
        size += spans[i].size;
    }
    return size;
}

/* Copies a part of the snapshot, to `out` or from `in`. */
static void copy(const Graph *graph, int64_t start, int64_t size, unsigned char *out,
                 const unsigned char *in)
{
    Span spans[SPANS];
    spans_of(graph, spans);
    for (int i = 0; i < SPANS && size > 0; i++) {
        if (start >= spans[i].size) {
            start -= spans[i].size;
            continue;
        }
        int64_t part = spans[i].size - start;
        part = part < size ? part : size;
        if (out != NULL) {
            memcpy(out, spans[i].bytes + start, (size_t)part);
            out += part;
        } else {
            memcpy(spans[i].bytes + start, in, (size_t)part);
            in += part;
        }
        size -= part;
        start = 0;
    }
}

void snapshot_read(const Graph *graph, int64_t start, int64_t size, unsigned char *out)
{
    copy(graph, start, size, out, NULL);
}

void snapshot_write(Graph *graph, int64_t start, int64_t size, const unsigned char *in)
{
    copy(graph, start, size, NULL, in);
}

/* Makes room for a snapshot of so many nodes; until it is checked, the graph is not to be used. */
int snapshot_make_room(Graph *graph, int64_t count, int64_t linked)
{
    int result = graph_make_room(graph, count);
    int64_t lists = 0;
    if (result < 0) {
        return result;
    }
    for (int32_t node = 0; node < linked; node++) {
        int level = node_level(graph, node);
        graph->upper_at[node] = level > 0 ? (int32_t)lists : NOBODY;
        lists += level;
        if (node == 0 || level > graph->entry_level) {
            graph->entry = node;
            graph->entry_level = level;
        }
    }
    graph->upper = malloc((size_t)(lists * graph->m + 1) * sizeof(int32_t));
    if (graph->upper == NULL) {
        return NO_MEMORY;
    }
    graph->upper_count = graph->upper_room = (int32_t)lists;
    graph->count = (int32_t)count;
    graph->linked = (int32_t)linked;
    return 0;
}

/* ---- What may stand in it ---- */

static int is_list(const Graph *graph, const int32_t *list, int most, int level)
{
    int i = 0;
    for (; i < most && list[i] != NOBODY; i++) {
        if (list[i] < 0 || list[i] >= graph->linked) {
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

static int are_lists(const Graph *graph)
{
    for (int32_t node = 0; node < graph->linked; node++) {
        int top = graph->upper_at[node] == NOBODY ? 0 : node_level(graph, node);
        for (int level = 0; level <= top; level++) {
            int most;
            const int32_t *list = neighbours(graph, node, level, &most);
            if (!is_list(graph, list, most, level)) {
                return 0;
            }
        }
    }
    return 1;
}

static int are_numbers(const Graph *graph)
{
    for (int32_t node = 0; node < graph->count; node++) {
        const Coarse *coarse = &graph->coarse[node];
        if (!(fabsf(coarse->shift) < 1e31f) || !(coarse->scale >= 0 && coarse->scale < 1e31f) ||
            !(coarse->error >= 0 && coarse->error < 1e31f) || graph->dead[node] > 1) {
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
    }
    return 1;
}

static int are_distinct(Graph *graph)
{
    for (int32_t node = 0; node < graph->count; node++) {
        if (!graph->dead[node]) {
            if (node_of(graph, graph->ids[node]) != NOBODY) {
                return 0;
            }
            places_put(graph, node);
        }
    }
    return 1;
}

/* What is wrong with what was written, or NULL. Afterwards the graph can be used. */
const char *snapshot_check(Graph *graph)
{
    int32_t count = graph->count;
    if (!are_numbers(graph)) {
        return "a number is out of bounds";
    }
    if (!are_lists(graph)) {
        return "a neighbour is not in the graph";
    }
    graph->count = 0; /* no place is taken yet */
    int made = places_make(graph, count);
    graph->count = count;
    if (made < 0) {
        return "no memory";
    }
    if (!are_distinct(graph)) {
        return "a rowid is there twice";
    }
    for (int32_t node = 0; node < count; node++) {
        graph->dead_count += graph->dead[node];
        note_largest(graph, node);
    }
    return NULL;
}

/* ---- Checksum ---- */

static inline uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

static inline uint64_t stir(uint64_t state, uint64_t word)
{
    state = (state ^ word) * 0x9e3779b97f4a7c15u;
    return state ^ (state >> 32);
}

/* Tells damage from chance, not from intent: what a crafted file holds is checked above. */
uint64_t checksum(uint64_t seed, const unsigned char *bytes, int64_t size)
{
    uint64_t lanes[4] = {seed, seed + 1, seed + 2, seed + 3};
    int64_t at = 0;
    for (; at + 32 <= size; at += 32) {
        for (int i = 0; i < 4; i++) {
            lanes[i] = stir(lanes[i], word_at(bytes + at + 8 * i));
        }
    }
    for (; at < size; at++) {
        lanes[0] = stir(lanes[0], bytes[at]);
    }
    uint64_t total = stir((uint64_t)size, seed);
    for (int i = 0; i < 4; i++) {
        total = stir(total, lanes[i]);
    }
    return total;
}
