/* Walking the graph. */
#include "hnsw.h"

int32_t *neighbours(const Graph *graph, int32_t node, int level, int *most)
{
    if (level == 0) {
        *most = 2 * graph->m;
        return graph->ground + (int64_t)node * 2 * graph->m;
    }
    *most = graph->m;
    return graph->upper + ((int64_t)graph->upper_at[node] + level - 1) * graph->m;
}

/* ---- The nearest so far ---- */

int pool_start(Pool *pool, int64_t room)
{
    pool->items = malloc((size_t)room * sizeof(Near));
    pool->room = (int32_t)room;
    pool->size = pool->next = 0;
    return pool->items == NULL ? NO_MEMORY : 0;
}

void pool_put(Pool *pool, float far, int32_t node)
{
    Near *items = pool->items;
    if (pool->size == pool->room && far >= items[pool->size - 1].far) {
        return;
    }
    int32_t low = 0, high = pool->size;
    while (low < high) {
        int32_t middle = (low + high) / 2;
        if (items[middle].far > far) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    if (pool->size < pool->room) {
        pool->size++;
    }
    memmove(items + low + 1, items + low, (size_t)(pool->size - 1 - low) * sizeof(Near));
    items[low].far = far;
    items[low].node = (uint32_t)node;
    if (low < pool->next) {
        pool->next = low;
    }
}

void pool_again(Pool *pool)
{
    for (int32_t i = 0; i < pool->size; i++) {
        pool->items[i].node &= ~SEEN;
    }
    pool->next = 0;
}

/* ---- Levels ---- */

static inline int visit(uint64_t *visited, int32_t node)
{
    uint64_t bit = (uint64_t)1 << (node & 63), *word = &visited[node >> 6];
    int is_new = !(*word & bit);
    *word |= bit;
    return is_new;
}

static inline void look_at_list(const Graph *graph, int32_t node, int level)
{
#if defined(__GNUC__)
    int most;
    const int32_t *list = neighbours(graph, node, level, &most);
    for (int i = 0; i < most && i < 64; i += 16) {
        __builtin_prefetch(list + i);
    }
#else
    (void)graph;
    (void)node;
    (void)level;
#endif
}

/* Finds the nodes nearest to a probe, beginning with those that are in the pool. */
void search_level(const Graph *graph, const Probe *probe, int level, Pool *pool)
{
    uint64_t *visited = (uint64_t *)graph->visited.bytes;
    int32_t fresh[512]; /* 2m for the largest m */
    memset(visited, 0, ((size_t)graph->linked + 63) / 64 * 8);
    for (int32_t i = 0; i < pool->size; i++) {
        visit(visited, (int32_t)pool->items[i].node);
    }
    while (pool->next < pool->size) {
        Near *nearest = &pool->items[pool->next++];
        int32_t node = (int32_t)nearest->node;
        int most, count = 0;
        if (nearest->node & SEEN) {
            continue;
        }
        nearest->node |= SEEN;
        const int32_t *list = neighbours(graph, node, level, &most);
        for (int i = 0; i < most && list[i] != NOBODY; i++) {
            if (visit(visited, list[i])) {
                fresh[count++] = list[i];
                look_ahead(graph, list[i]);
            }
        }
        if (pool->next < pool->size) { /* most likely the next one */
            look_at_list(graph, (int32_t)(pool->items[pool->next].node & ~SEEN), level);
        }
        for (int i = 0; i < count; i++) {
            float far = distance(graph, probe, fresh[i]);
            if (pool->size < pool->room || far < pool->items[pool->size - 1].far) {
                pool_put(pool, far, fresh[i]);
            }
        }
    }
}

/* The node nearest to a probe on the levels above `level`, found step by step. */
int32_t descend(const Graph *graph, const Probe *probe, int level)
{
    int32_t node = graph->entry;
    float far = distance(graph, probe, node);
    for (int above = graph->entry_level; above > level; above--) {
        int32_t before = NOBODY;
        while (node != before) {
            int most;
            const int32_t *list = neighbours(graph, node, above, &most);
            before = node;
            for (int i = 0; i < most && list[i] != NOBODY; i++) {
                look_ahead(graph, list[i]);
            }
            for (int i = 0; i < most && list[i] != NOBODY; i++) {
                float now = distance(graph, probe, list[i]);
                if (now < far) {
                    far = now;
                    node = list[i];
                }
            }
        }
    }
    return node;
}

/* Equal vectors are equally far: those with the lowest ids are enough. */
static void collect_twins(const Graph *graph, float far, int32_t elder, Collector *collector)
{
    int32_t twin = twins_first(graph, elder);
    for (int64_t left = collector->wanted; left > 0 && twin != NOBODY;) {
        if (graph->states[twin] == ALIVE) {
            collector_add(collector, far, twin);
            left--;
        }
        twin = far > collector->limit ? NOBODY : twins_next(graph, twin);
    }
}

int collect_from_graph(const Graph *graph, const Probe *probe, int64_t ef, Collector *collector)
{
    Pool pool;
    int64_t most = graph->linked - graph->twin_count;
    if (most == 0) {
        return 0;
    }
    ef = ef < 1 ? 1 : ef > most ? most : ef;
    if (pool_start(&pool, ef) < 0) {
        return NO_MEMORY;
    }
    int32_t start = descend(graph, probe, 0);
    pool_put(&pool, distance(graph, probe, start), start);
    search_level(graph, probe, 0, &pool);
    for (int32_t i = 0; i < pool.size; i++) {
        int32_t node = (int32_t)(pool.items[i].node & ~SEEN);
        if (graph->states[node] == ALIVE) {
            collector_add(collector, pool.items[i].far, node);
        }
        if (graph->twin_count > 0) {
            collect_twins(graph, pool.items[i].far, node, collector);
        }
    }
    free(pool.items);
    return 0;
}
