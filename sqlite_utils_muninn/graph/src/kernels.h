/* Graph algorithms over arrays: what the files of the kernels share.
 *
 * A kernel gets arrays that numpy has allocated, runs without the GIL and allocates nothing, so
 * that what a call costs in memory is known before it begins. It looks at a flag every few
 * thousand edges and stops when that is set.
 *
 * A graph is a CSR: the edges that leave node u are offsets[u] to offsets[u + 1], in the order of
 * their rows; targets[edge] is where an edge leads, weights[edge] its weight.
 */
#ifndef MUNINN_KERNELS_H
#define MUNINN_KERNELS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    union {
        int32_t *ints;
        int64_t *longs;
        double *reals;
        float *floats;
        uint8_t *bytes;
        uint64_t *masks;
        int64_t number;
        double real;
    } as;
    int64_t length; /* of an array */
} Argument;

/* Why a kernel ended early. */
enum { STOPPED = -1 };

typedef struct {
    volatile int32_t *stop;
    int64_t budget;
} Pulse;

#define PULSE 16384

/* Whether to stop, asked once for `work` steps of work. */
static inline int pulse(Pulse *pulse, int64_t work)
{
    pulse->budget -= work;
    if (pulse->budget > 0) {
        return 0;
    }
    pulse->budget = PULSE;
    return *pulse->stop != 0;
}

typedef int64_t (*Run)(const Argument *arguments, Pulse *pulse);

/* A kernel and its arguments: arrays of i int32, q int64, d float64, f float32, b uint8, m uint64
 * (in capitals: may be None), n a whole number, x a real one. */
typedef struct {
    const char *name;
    const char *signature;
    Run run;
} Kernel;

/* Says that memory will be read soon. */
#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)0)
#endif

#define KERNEL(name) int64_t name(const Argument *a, Pulse *p)
KERNEL(csr);
KERNEL(simplify);
KERNEL(induce);
KERNEL(bfs);
KERNEL(dfs);
KERNEL(components);
KERNEL(connected_groups);
KERNEL(dijkstra);
KERNEL(closeness);
KERNEL(closeness_weighted);
KERNEL(brandes);
KERNEL(pagerank);
KERNEL(move_nodes);
KERNEL(refine);
KERNEL(aggregate);
KERNEL(walks);
KERNEL(skip_gram);
KERNEL(ball);
KERNEL(spread);
KERNEL(trace);

/* ---- A binary heap of nodes by distance, whose place array allows decrease-key ---- */

typedef struct {
    int32_t *nodes;
    int32_t *place; /* of each node in the heap; -1: not seen, -2: taken out */
    const double *distance;
    const int32_t *steps; /* decide between equal distances; may be NULL */
    int32_t size;
} Heap;

void heap_push(Heap *heap, int32_t node); /* also when the distance of a node in it has sunk */
int32_t heap_pop(Heap *heap);

/* ---- Random numbers: the same on every machine ---- */

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u); /* splitmix64, Steele et al. 2014 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline double random_unit(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * (1.0 / 9007199254740992.0);
}

static inline int64_t random_below(uint64_t *state, int64_t bound)
{
    return (int64_t)(random_unit(state) * (double)bound);
}

#endif
