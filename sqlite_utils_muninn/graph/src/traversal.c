/* Breadth first, depth first, and weakly connected components. */
#include "kernels.h"

/* bfs(offsets, targets, starts, end or -1, max depth, out order, out depth of n times -1,
 *     out parent) gives the number of nodes reached, in `order`. */
KERNEL(bfs)
{
    const int64_t *offsets = a[0].as.longs;
    const int32_t *targets = a[1].as.ints;
    int64_t end = a[3].as.number, max_depth = a[4].as.number, count = 0;
    int32_t *order = a[5].as.ints, *depth = a[6].as.ints, *parent = a[7].as.ints;
    for (int64_t i = 0; i < a[2].length; i++) {
        int32_t start = a[2].as.ints[i];
        if (depth[start] < 0) {
            depth[start] = 0;
            parent[start] = -1;
            order[count++] = start;
        }
    }
    for (int64_t head = 0; head < count; head++) {
        int32_t u = order[head];
        if (depth[u] >= max_depth || (end >= 0 && depth[end] >= 0)) {
            break;
        }
        if (pulse(p, offsets[u + 1] - offsets[u] + 1)) {
            return STOPPED;
        }
        for (int64_t e = offsets[u]; e < offsets[u + 1]; e++) {
            int32_t v = targets[e];
            if (depth[v] < 0) {
                depth[v] = depth[u] + 1;
                parent[v] = u;
                order[count++] = v;
            }
        }
    }
    return count;
}

/* dfs(offsets, targets, start, max depth, out order, out depth of n times -1, out parent, stack,
 *     cursor): nodes in the order in which they are entered. */
KERNEL(dfs)
{
    const int64_t *offsets = a[0].as.longs;
    const int32_t *targets = a[1].as.ints;
    int32_t start = (int32_t)a[2].as.number;
    int64_t max_depth = a[3].as.number, count = 0, top = 0;
    int32_t *order = a[4].as.ints, *depth = a[5].as.ints, *parent = a[6].as.ints;
    int32_t *stack = a[7].as.ints;
    int64_t *cursor = a[8].as.longs;
    depth[start] = 0;
    parent[start] = -1;
    order[count++] = stack[top++] = start;
    cursor[start] = offsets[start];
    while (top > 0) {
        int32_t u = stack[top - 1];
        if (pulse(p, 1)) {
            return STOPPED;
        }
        if (cursor[u] >= offsets[u + 1] || depth[u] >= max_depth) {
            top--;
            continue;
        }
        int32_t v = targets[cursor[u]++];
        if (depth[v] < 0) {
            depth[v] = depth[u] + 1;
            parent[v] = u;
            cursor[v] = offsets[v];
            order[count++] = stack[top++] = v;
        }
    }
    return count;
}

static int32_t root_of(int32_t *parent, int32_t u)
{
    while (parent[u] != u) {
        parent[u] = parent[parent[u]];
        u = parent[u];
    }
    return u;
}

/* The lower of two roots wins, so that the root of a component is its first node. */
static void join(int32_t *parent, int32_t u, int32_t v)
{
    u = root_of(parent, u);
    v = root_of(parent, v);
    if (u < v) {
        parent[v] = u;
    } else {
        parent[u] = v;
    }
}

static void begin_apart(int32_t *parent, int64_t nodes)
{
    for (int64_t u = 0; u < nodes; u++) {
        parent[u] = (int32_t)u;
    }
}

/* Labels 0, 1, ... in the order in which components first appear; gives their number. */
static int32_t number_roots(int32_t *parent, int64_t nodes, int32_t *label, int32_t *size)
{
    int32_t count = 0;
    for (int64_t u = 0; u < nodes; u++) {
        int32_t root = root_of(parent, (int32_t)u);
        if (root == u) {
            size[count] = 0;
            label[u] = count++;
        } else {
            label[u] = label[root];
        }
        size[label[u]]++;
    }
    return count;
}

/* components(sources, targets, parent, out label, out size) */
KERNEL(components)
{
    int32_t *parent = a[2].as.ints;
    begin_apart(parent, a[2].length);
    for (int64_t e = 0; e < a[0].length; e++) {
        if (pulse(p, 1)) {
            return STOPPED;
        }
        join(parent, a[0].as.ints[e], a[1].as.ints[e]);
    }
    return number_roots(parent, a[2].length, a[3].as.ints, a[4].as.ints);
}

/* connected_groups(offsets, targets, group of each node, parent, out label, out size): components
 * of the graph without the edges between groups. */
KERNEL(connected_groups)
{
    const int64_t *offsets = a[0].as.longs;
    const int32_t *targets = a[1].as.ints, *group = a[2].as.ints;
    int32_t *parent = a[3].as.ints;
    begin_apart(parent, a[3].length);
    for (int32_t u = 0; u < a[3].length; u++) {
        if (pulse(p, offsets[u + 1] - offsets[u] + 1)) {
            return STOPPED;
        }
        for (int64_t e = offsets[u]; e < offsets[u + 1]; e++) {
            if (group[targets[e]] == group[u] && parent[targets[e]] != parent[u]) {
                join(parent, u, targets[e]);
            }
        }
    }
    return number_roots(parent, a[3].length, a[4].as.ints, a[5].as.ints);
}
