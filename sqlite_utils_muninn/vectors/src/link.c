/* Putting nodes into the graph: algorithms 1 and 4 of Malkov and Yashunin. */
#include "hnsw.h"

/* Of candidates in order, keeps those that are nearer to the node than to each other one kept. */
static int select_neighbours(const Graph *graph, const Near *candidates, int count, int most,
                             int32_t *kept)
{
    int size = 0;
    for (int i = 0; i < count && size < most; i++) {
        int32_t node = (int32_t)(candidates[i].node & ~SEEN);
        Probe probe = probe_of(graph, node);
        int is_good = 1;
        for (int j = 0; j < size && is_good; j++) {
            is_good = distance(graph, &probe, kept[j]) >= candidates[i].far;
        }
        if (is_good) {
            kept[size++] = node;
        }
    }
    return size;
}

static void write_list(int32_t *list, int most, const int32_t *nodes, int count)
{
    for (int i = 0; i < most; i++) {
        list[i] = i < count ? nodes[i] : NOBODY;
    }
}

/* Adds a neighbour to a full list: all are weighed again. */
static void crowd_in(const Graph *graph, int32_t node, int32_t *list, int most, int32_t added)
{
    Near items[513];
    int32_t kept[512];
    Pool pool = {items, 0, most + 1, 0};
    Probe probe = probe_of(graph, node);
    pool_put(&pool, distance(graph, &probe, added), added);
    for (int i = 0; i < most; i++) {
        pool_put(&pool, distance(graph, &probe, list[i]), list[i]);
    }
    int count = select_neighbours(graph, items, pool.size, most, kept);
    write_list(list, most, kept, count);
}

static void link_back(const Graph *graph, int32_t node, int level, int32_t added)
{
    int most, count = 0;
    int32_t *list = neighbours(graph, node, level, &most);
    while (count < most && list[count] != NOBODY) {
        count++;
    }
    if (count < most) {
        list[count] = added;
    } else {
        crowd_in(graph, node, list, most, added);
    }
}

static int make_lists(Graph *graph, int32_t node, int level)
{
    int64_t needed = (int64_t)graph->upper_count + level;
    if (needed > graph->upper_room) {
        int64_t room = needed + graph->upper_room / 4 + 16;
        int32_t *upper = realloc(graph->upper, (size_t)(room * graph->m) * sizeof(int32_t));
        if (room > INT32_MAX || upper == NULL) {
            return NO_MEMORY;
        }
        graph->upper = upper;
        graph->upper_room = (int32_t)room;
    }
    graph->upper_at[node] = level > 0 ? graph->upper_count : NOBODY;
    graph->upper_count += level;
    for (int i = 0; i <= level; i++) {
        int most;
        int32_t *list = neighbours(graph, node, i, &most);
        write_list(list, most, NULL, 0);
    }
    return 0;
}

static void link_node(Graph *graph, int32_t node, int level, Pool *pool)
{
    int32_t kept[256];
    Probe probe = probe_of(graph, node);
    int32_t start = descend(graph, &probe, level);
    pool->size = pool->next = 0;
    pool_put(pool, distance(graph, &probe, start), start);
    for (int at = level < graph->entry_level ? level : graph->entry_level; at >= 0; at--) {
        int most;
        search_level(graph, &probe, at, pool);
        int count = select_neighbours(graph, pool->items, pool->size, graph->m, kept);
        int32_t *list = neighbours(graph, node, at, &most);
        write_list(list, most, kept, count);
        for (int i = 0; i < count; i++) {
            link_back(graph, kept[i], at, node);
        }
        pool_again(pool);
    }
}

/* Puts the next `count` nodes into the graph. -1: no memory, and those before are in. */
int graph_link(Graph *graph, int64_t count)
{
    Pool pool;
    if (elders_make(graph) < 0 || pool_start(&pool, graph->ef_construction) < 0) {
        return NO_MEMORY;
    }
    int result = 0;
    for (; count > 0 && graph->linked < graph->count; count--) {
        int32_t node = graph->linked;
        int level = node_level(graph, node);
        int32_t elder = elders_find(graph, node);
        result = elder == NOBODY ? 0 : twins_start(graph);
        result = result < 0 ? result : make_lists(graph, node, level);
        if (result < 0) {
            break;
        }
        if (elder != NOBODY) {
            twins_join(graph, elder, node);
            continue;
        }
        elders_put(graph, node);
        if (graph->entry != NOBODY) {
            link_node(graph, node, level, &pool);
        }
        if (graph->entry == NOBODY || level > graph->entry_level) {
            graph->entry = node;
            graph->entry_level = level;
        }
        graph->linked++;
    }
    free(pool.items);
    return result;
}
