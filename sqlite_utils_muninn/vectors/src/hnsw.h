/* The index of a vector table in memory: coarse copies of its vectors, an HNSW graph over them
 * (Malkov and Yashunin, arXiv 1603.09320), and scans that look at each.
 *
 * It proposes candidates; whoever asks reads their vectors from the file and computes the exact
 * distances. So a vector is kept as one byte a coordinate, with a scale of its own and the length
 * of what was lost by rounding: from that follows how far off an estimate may be, and which rows
 * may belong to the nearest.
 *
 * A node is a row's coarse vector. Nodes are numbered as they come; the first `linked` ones are in
 * the graph, the others are scanned. Of equal vectors one is in the lists of the graph, and the
 * others hang on it: see twins.c. A removed row leaves a dead node behind. What is done depends on
 * nothing but the order of the rows: the same rows make the same graph on every machine.
 *
 * Not safe for threads by itself: the Python object lets one thread in at a time.
 */
#ifndef MUNINN_HNSW_H
#define MUNINN_HNSW_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_X86
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

enum { METRIC_L2, METRIC_PRODUCT, METRIC_COSINE };
enum { CODES_BYTE, CODES_FLOAT };
enum { NO_MEMORY = -1, TOO_MANY = -2, WRONG_SIZE = -3 };
/* Of a node. PASSED: passed over in the search that runs; the last three: see restore.c */
enum { ALIVE, DEAD, PASSED, WAITING, LOST, FOUND };

#define MOST_LEVELS 16 /* above the ground, for the smallest m and 2**31 nodes */
#define MOST_NODES ((int64_t)1 << 31) / 2
#define NOBODY (-1)

/* A coarse vector: x = centre + scale * codes, with an error of that length. */
typedef struct {
    float scale;
    float shift; /* what it adds to each distance: see distance() */
    float error;
    uint32_t print; /* of the vector, bit by bit, where a node has it: see are_same() */
} Coarse;

typedef struct {
    void *start; /* as allocated */
    unsigned char *bytes; /* aligned to a cache line */
    size_t size;
} Block;

typedef struct Graph Graph;
typedef float (*Distance)(const void *a, const void *b, int64_t stride);
typedef int (*Encode)(const Graph *graph, const float *vector, void *codes, Coarse *coarse,
                      float *work);

struct Graph {
    /* What it was made for. */
    int dimensions, metric, kind;
    int m, ef_construction;
    float unit;    /* coordinates are multiplied by it */
    float *centre; /* already multiplied; NULL: zero */

    /* Nodes. */
    int64_t stride; /* bytes of the codes of a node, a multiple of 64 */
    int32_t count, room, linked, dead_count;
    Block codes;
    Coarse *coarse;
    int64_t *ids;
    uint8_t *states;
    Coarse largest; /* the largest error and shift of any node */
    float largest_length;

    /* Which node has an id: open addressing, NOBODY where a place is empty. Dead nodes stay in
     * it until it is made anew. */
    int32_t *places;
    int64_t place_mask;

    /* The graph. On the ground a node has up to 2m neighbours, above up to m; a list that is not
     * full ends with NOBODY. */
    int32_t *ground;
    int32_t *upper_at; /* where a node's upper lists begin, counted in lists; NOBODY: it has none */
    int32_t *upper;
    int32_t upper_count, upper_room;
    int32_t entry;
    int entry_level;

    /* Nodes that are linked, but stand in no list: see twins.c. */
    int32_t *twins; /* the top of a node's tree of twins, or NOBODY; NULL: no node has any */
    int32_t twin_count; /* living and dead */
    int32_t idle_count; /* dead nodes that have no living twins; twins are not counted */
    int32_t *elders; /* who has a vector: open addressing, by fingerprint; NULL: not made yet */
    int64_t elder_mask;

    /* Work space. */
    Block visited; /* a bit for each node */
    Distance compare;
    Encode encode;
};

/* A query, or a node that looks for neighbours. */
typedef struct {
    const void *codes;
    Coarse coarse;
} Probe;

typedef struct {
    float far;
    uint32_t node; /* the highest bit: its neighbours have been looked at */
} Near;
#define SEEN 0x80000000u

/* The nearest so far, in order. */
typedef struct {
    Near *items;
    int32_t size, room, next; /* next: the first whose neighbours have not been looked at */
} Pool;

/* Nodes that may belong to the nearest `wanted`. */
typedef struct {
    const Graph *graph;
    const Probe *probe;
    int64_t wanted;
    float trust;      /* 1: bounds that always hold; less: that nearly always do */
    float within;     /* candidates that are certainly farther are not wanted */
    float beyond;     /* ... or nearer than this */
    float certainly_beyond;
    float *ceilings;  /* a heap of the `wanted` smallest upper bounds, the largest first */
    int64_t ceiling_count;
    float most;       /* lower bounds above it are hopeless */
    float length;     /* of the query's copy and error, where the metric asks for it */
    float limit;      /* estimates above it are of no interest */
    Near *items;
    int64_t count, room;
    int failed;
} Collector;

/* distance.c */
int distance_choose(const char *name);
const char *distance_name(void);
Distance distance_of(int kind, int metric);
Encode encode_of(int kind);

static inline const void *codes_of(const Graph *graph, int32_t node)
{
    return graph->codes.bytes + (int64_t)node * graph->stride;
}

/* Squared L2 distance, or the negated inner product plus a constant. */
static inline float distance(const Graph *graph, const Probe *probe, int32_t node)
{
    float dot = graph->compare(probe->codes, codes_of(graph, node), graph->stride);
    if (graph->kind == CODES_FLOAT) {
        return dot;
    }
    const Coarse *other = &graph->coarse[node];
    float factor = graph->metric == METRIC_PRODUCT ? 1.0f : 2.0f;
    return probe->coarse.shift + other->shift - factor * probe->coarse.scale * other->scale * dot;
}

static inline uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u; /* splitmix64, Steele et al. 2014 */
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline Probe probe_of(const Graph *graph, int32_t node)
{
    Probe probe = {codes_of(graph, node), graph->coarse[node]};
    return probe;
}

static inline void look_ahead(const Graph *graph, int32_t node)
{
#if defined(__GNUC__)
    const unsigned char *codes = codes_of(graph, node);
    __builtin_prefetch(&graph->coarse[node]);
    for (int64_t i = 0; i < graph->stride && i < 512; i += 64) {
        __builtin_prefetch(codes + i);
    }
#else
    (void)graph;
    (void)node;
#endif
}

/* nodes.c */
int graph_start(Graph *graph);
void graph_end(Graph *graph);
int graph_make_room(Graph *graph, int64_t count);
int64_t graph_bytes(const Graph *graph);
int32_t node_of(const Graph *graph, int64_t id); /* NOBODY: it is not there */
int32_t node_in(const Graph *graph, int64_t id, int state);
void places_look(const Graph *graph, int64_t id);
int node_pass(Graph *graph, int64_t id, int passed);
void note_largest(Graph *graph, int32_t node);
int places_make(Graph *graph, int64_t count);
void places_put(Graph *graph, int32_t node);
int node_level(const Graph *graph, int32_t node);
int block_make(Block *block, size_t size, size_t kept);
void block_free(Block *block);

/* twins.c */
static inline int is_twin(const Graph *graph, int32_t node)
{
    return node < graph->linked && graph->ground[(int64_t)node * 2 * graph->m] < NOBODY;
}

static inline int32_t elder_of(const Graph *graph, int32_t twin)
{
    return -2 - graph->ground[(int64_t)twin * 2 * graph->m];
}

int32_t twins_first(const Graph *graph, int32_t elder);
int32_t twins_next(const Graph *graph, int32_t twin);
int twins_start(Graph *graph);
void twins_join(Graph *graph, int32_t elder, int32_t node);
int is_idle(const Graph *graph, int32_t node);
void node_drop(Graph *graph, int32_t node);
int node_keep(Graph *graph, int32_t node, const float *vector, float *work);
int are_same(const Graph *graph, int32_t a, int32_t b);
int elders_make(Graph *graph);
int32_t elders_find(const Graph *graph, int32_t node);
void elders_put(const Graph *graph, int32_t node);

/* encode.c */
Encode encoder_of(int kind, int is_avx2);
float *encode_room(const Graph *graph);
int encode(const Graph *graph, const float *vector, void *codes, Coarse *coarse, float *work);

/* search.c */
int32_t *neighbours(const Graph *graph, int32_t node, int level, int *most);
int pool_start(Pool *pool, int64_t room);
void pool_put(Pool *pool, float far, int32_t node);
void pool_again(Pool *pool);
void search_level(const Graph *graph, const Probe *probe, int level, Pool *pool);
int32_t descend(const Graph *graph, const Probe *probe, int level);
int collect_from_graph(const Graph *graph, const Probe *probe, int64_t ef, Collector *collector);

/* collect.c */
float length_of(const Graph *graph, int32_t node);
void collect_from_scan(const Graph *graph, const Probe *probe, int32_t first, Collector *collector);
void collect_among(const Graph *graph, const Probe *probe, const int64_t *ids, int64_t count,
                   Collector *collector);
void collector_start(Collector *collector, const Graph *graph, const Probe *probe, int64_t wanted,
                     const double *bounds /* within, beyond */);
void set_limit(Collector *collector);
void collector_look(Collector *collector, float far, int32_t node);

/* Most nodes are ruled out by one comparison. */
static inline void collector_add(Collector *collector, float far, int32_t node)
{
    if (!(far > collector->limit)) {
        collector_look(collector, far, node);
    }
}

int collector_finish(Collector *collector);
void collector_free(Collector *collector);

/* equals.c */
void thin_out(Collector *collector);

/* link.c */
int graph_link(Graph *graph, int64_t count);

/* exact.c */
typedef struct {
    double far;
    int64_t id;
    int64_t row; /* where it was before */
} Ranked;
void exact_distances(int metric, const float *rows, int64_t count, const float *query, int64_t d,
                     double *far);
int64_t exact_room(int64_t count, int64_t d);
int64_t exact_rank(Ranked *rows, int64_t count, double within, double beyond);

/* snapshot.c */
typedef struct {
    int64_t count, linked, dead; /* nodes */
    int64_t more;                /* that will be added to them */
    int64_t size;                /* bytes */
} Outline;

int64_t snapshot_size(const Graph *graph);
void snapshot_read(const Graph *graph, int64_t start, int64_t size, unsigned char *out);
void snapshot_write(Graph *graph, int64_t start, int64_t size, const unsigned char *in);
int snapshot_start(Graph *graph, const Outline *claim);
const char *snapshot_check(Graph *graph); /* what is wrong, or NULL */

/* restore.c */
void restore_lose(Graph *graph, int64_t id);
int restore_copy(Graph *graph, int64_t id, const float *vector, float *work, int32_t *next);
int32_t restore_missing(const Graph *graph);
const char *restore_finish(Graph *graph); /* what is wrong, or NULL */

/* checksum.c */
uint64_t checksum(uint64_t state, const unsigned char *bytes, int64_t size);

#endif
