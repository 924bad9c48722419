/* A walk that keeps starting at its seeds, in the ball around them: who is in it, how often it is
 * where, and which way it came.
 *
 * The graph is undirected: the neighbours of a node are those that it can be reached from. Nodes
 * with more than `hub cap` edges are reached, but not passed. An edge of weight 0 is not there. The
 * nodes of the ball have places, 0 ... count - 1; `place` is -1 for all others. */
#include "kernels.h"

/* ball(offsets, targets, weights?, starts, most hops, hub cap, out order, place of n times -1,
 *      out ends of levels 0 ... most hops): gives the number of nodes, nearest first. */
KERNEL(ball)
{
    const int64_t *offsets = a[0].as.longs;
    const int32_t *targets = a[1].as.ints;
    const double *weights = a[2].as.reals;
    int64_t hops = a[4].as.number, cap = a[5].as.number, count = 0, head = 0;
    int32_t *order = a[6].as.ints, *place = a[7].as.ints;
    int64_t *ends = a[8].as.longs;
    for (int64_t i = 0; i < a[3].length; i++) {
        int32_t start = a[3].as.ints[i];
        if (place[start] < 0) {
            place[start] = (int32_t)count;
            order[count++] = start;
        }
    }
    ends[0] = count;
    for (int64_t hop = 1; hop <= hops; hop++) {
        for (int64_t last = count; head < last; head++) {
            int32_t u = order[head];
            int64_t degree = offsets[u + 1] - offsets[u];
            if (pulse(p, degree + 1)) {
                return STOPPED;
            }
            for (int64_t e = offsets[u]; degree <= cap && e < offsets[u + 1]; e++) {
                int32_t v = targets[e];
                if (place[v] < 0 && (weights == NULL || weights[e] > 0)) {
                    place[v] = (int32_t)count;
                    order[count++] = v;
                }
            }
        }
        ends[hop] = count;
    }
    return count;
}

typedef struct {
    const int64_t *offsets;
    const int32_t *targets;
    const double *weights;
    const int32_t *order, *place;
} Field;

static double weight_of(const Field *field, int64_t e)
{
    return field->weights ? field->weights[e] : 1.0;
}

/* The weight of all edges from a node that stay in the ball (all edges of an inner node do); -1 where
 * there are none. */
static double strength_of(const Field *field, int32_t u, int is_inner)
{
    int64_t first = field->offsets[u], last = field->offsets[u + 1];
    double sum = 0;
    if (is_inner && field->weights == NULL) {
        sum = (double)(last - first);
    } else {
        for (int64_t e = first; e < last; e++) {
            sum += is_inner || field->place[field->targets[e]] >= 0 ? weight_of(field, e) : 0;
        }
    }
    return sum > 0 ? sum : -1;
}

typedef struct {
    int32_t *nodes;
    uint8_t *has;
    int64_t room, head, waiting;
} Queue;

static void queue_push(Queue *queue, int32_t place)
{
    int64_t at = queue->head + queue->waiting++;
    queue->nodes[at < queue->room ? at : at - queue->room] = place;
    queue->has[place] = 1;
}

static int32_t queue_pop(Queue *queue)
{
    int32_t place = queue->nodes[queue->head];
    queue->head = queue->head + 1 < queue->room ? queue->head + 1 : 0;
    queue->waiting--;
    queue->has[place] = 0;
    return place;
}

typedef struct {
    Field field;
    double *mass;        /* what has arrived at each node of the graph, NaN outside the ball */
    double *edges;       /* of each place; infinite for a hub, from which nothing goes on */
    Queue queue;
    double *rank, *strength;
    double damping, epsilon;
    int64_t count, inner, steps;
} Spread;

/* Puts the places into the queue whose mass is more than epsilon for each edge. Gives all the mass
 * that could still go on. */
static double wake(Spread *s)
{
    double left = 0;
    for (int64_t i = 0; i < s->count; i++) {
        double mass = s->mass[s->field.order[i]];
        left += isinf(s->edges[i]) ? 0 : mass;
        if (mass > s->epsilon * s->edges[i] && !s->queue.has[i]) {
            queue_push(&s->queue, (int32_t)i);
        }
    }
    return left;
}

/* Sends on what has arrived at a place; where the walk can go nowhere, it stays. An edge costs one
 * look at memory, anywhere: mass outside the ball is NaN, stays NaN, and is more than nothing. */
static void send_on(Spread *s, int32_t i)
{
    const Field *field = &s->field;
    int32_t u = field->order[i];
    int64_t last = field->offsets[u + 1];
    double *mass = s->mass, arrived = mass[u], epsilon = s->epsilon;
    if (s->strength[i] == 0) {
        s->strength[i] = strength_of(field, u, i < s->inner);
    }
    mass[u] = 0;
    s->rank[i] += s->strength[i] > 0 ? arrived : arrived / (1 - s->damping);
    double part = s->damping * arrived / s->strength[i];
    for (int64_t e = field->offsets[u]; s->strength[i] > 0 && e < last; e++) {
        int32_t v = field->targets[e];
        double there = mass[v] += part * weight_of(field, e);
        if (there > epsilon) {
            int32_t j = field->place[v];
            if (there > epsilon * s->edges[j] && !s->queue.has[j]) {
                queue_push(&s->queue, j);
            }
        }
    }
}

/* spread(offsets, targets, weights?, order, place, hub cap, how many places are inner ones,
 *        damping, tolerance, most steps, mass of all nodes (what starts there, NaN outside the ball),
 *        out rank of zeros, out strength of zeros, queue, whether queued of zeros, edges): gives the
 *        number of steps.
 * Forward push (Andersen, Chung and Lang 2006): what has arrived at a node goes on when it is more
 * than epsilon for each of its edges, with an epsilon that falls until what could still go on is
 * less than the tolerance, or the steps are used up. So rank is the sum over k of (damping P)^k
 * start, up to that; what hubs hold comes back to the start, which only scales it. Strengths are of
 * the nodes that passed something on. */
KERNEL(spread)
{
    Spread s = {{a[0].as.longs, a[1].as.ints, a[2].as.reals, a[3].as.ints, a[4].as.ints},
                a[10].as.reals,
                a[15].as.reals,
                {a[13].as.ints, a[14].as.bytes, a[3].length, 0, 0},
                a[11].as.reals, a[12].as.reals, a[7].as.real, 1e-3, a[3].length,
                a[6].as.number, 0};
    for (int64_t i = 0; i < s.count; i++) {
        int64_t degree = s.field.offsets[s.field.order[i] + 1] - s.field.offsets[s.field.order[i]];
        s.edges[i] = degree > a[5].as.number ? INFINITY : (double)degree;
    }
    while (wake(&s) > a[8].as.real && s.steps < a[9].as.number) {
        while (s.queue.waiting > 0) {
            int32_t i = queue_pop(&s.queue);
            int64_t work = (int64_t)s.edges[i] + 1;
            if (pulse(p, work)) {
                return STOPPED;
            }
            if (s.steps < a[9].as.number) {
                s.steps += work;
                send_on(&s, i);
            }
        }
        s.epsilon /= 4;
    }
    for (int64_t i = 0; i < s.count; i++) {
        s.rank[i] += s.mass[s.field.order[i]];
    }
    return s.steps;
}

/* ---- Where it came from ---- */

/* Entries are nodes with what flows from them to the node that is asked about, in so many steps:
 * by all ways, and by the best one, whose next entry and edge are kept. */
typedef struct {
    Field field;
    const double *strength, *rank, *start;
    double damping;
    int32_t *nodes, *next, *slot;
    double *flow, *best, *total;
    int64_t *edges;
    int64_t room, count;
} Trace;

static double part_along(const Trace *t, int32_t from, int64_t e)
{
    return t->strength[from] > 0 ? t->damping * weight_of(&t->field, e) / t->strength[from] : 0;
}

/* All that arrives at a node: at the start, and along its edges. */
static double inflow(const Trace *t, int32_t at)
{
    int32_t x = t->field.order[at];
    double sum = t->start[at];
    for (int64_t e = t->field.offsets[x]; e < t->field.offsets[x + 1]; e++) {
        int32_t from = t->field.place[t->field.targets[e]];
        sum += from >= 0 ? part_along(t, from, e) * t->rank[from] : 0;
    }
    return sum;
}

static void step_back(Trace *t, int64_t entry)
{
    int32_t x = t->field.order[t->nodes[entry]];
    for (int64_t e = t->field.offsets[x]; e < t->field.offsets[x + 1]; e++) {
        int32_t from = t->field.place[t->field.targets[e]];
        double part = from >= 0 ? part_along(t, from, e) : 0;
        if (part <= 0) {
            continue;
        }
        int32_t at = t->slot[from];
        if (at < 0) {
            if (t->count == t->room) {
                continue;
            }
            at = t->slot[from] = (int32_t)t->count++;
            t->nodes[at] = from;
            t->flow[at] = t->best[at] = 0;
        }
        t->flow[at] += t->flow[entry] * part;
        if (t->best[entry] * part > t->best[at]) {
            t->best[at] = t->best[entry] * part;
            t->next[at] = (int32_t)entry;
            t->edges[at] = e;
        }
    }
}

/* The entry of the seed that gives most, by its best way; 0 is the node itself. */
static int64_t greatest_seed(Trace *t, double *share)
{
    int64_t found = 0;
    double most = 0;
    for (int64_t i = 0; i < t->count; i++) {
        t->total[t->nodes[i]] += t->flow[i];
    }
    for (int64_t i = 0; i < t->count; i++) {
        int32_t node = t->nodes[i];
        double given = t->start[node] * t->total[node];
        if (given > most || (given == most && node == t->nodes[found] && t->best[i] > t->best[found])) {
            most = given;
            found = i;
        }
    }
    for (int64_t i = 0; i < t->count; i++) {
        t->total[t->nodes[i]] = 0;
    }
    *share = most;
    return found;
}

/* trace(offsets, targets, weights?, order, place, strength, rank, start, damping,
 *       place of the node, most steps, least part that is followed, out path of places,
 *       out its edges (in the list of the node that each leads to), out shares,
 *       entries: nodes, next, flow, best, edges; slot of count times -1, total of count zeros)
 * gives the number of steps of the best path from the seed that gives the node most. `shares` are
 * of what arrives at the node that each step leads to; before them stand what the node was given
 * at the start, and what that seed gave it in all. */
KERNEL(trace)
{
    Trace t = {{a[0].as.longs, a[1].as.ints, a[2].as.reals, a[3].as.ints, a[4].as.ints},
               a[5].as.reals, a[6].as.reals, a[7].as.reals, a[8].as.real,
               a[15].as.ints, a[16].as.ints, a[20].as.ints,
               a[17].as.reals, a[18].as.reals, a[21].as.reals, a[19].as.longs,
               a[15].length, 1};
    int32_t target = (int32_t)a[9].as.number;
    double total = inflow(&t, target), *shares = a[14].as.reals;
    int64_t first = 0;
    t.nodes[0] = target;
    t.next[0] = -1;
    t.flow[0] = t.best[0] = 1;
    for (int64_t step = 0; step < a[10].as.number; step++) {
        int64_t last = t.count;
        for (int64_t i = first; i < last; i++) {
            int64_t degree = t.field.offsets[t.field.order[t.nodes[i]] + 1] -
                             t.field.offsets[t.field.order[t.nodes[i]]];
            if (pulse(p, degree + 1)) {
                return STOPPED;
            }
            if (t.flow[i] * t.rank[t.nodes[i]] >= a[11].as.real * total) {
                step_back(&t, i);
            }
        }
        for (int64_t i = last; i < t.count; i++) {
            t.slot[t.nodes[i]] = -1;
        }
        first = last;
    }
    int64_t entry = greatest_seed(&t, &shares[1]), length = 0;
    shares[0] = total > 0 ? t.start[target] / total : 1;
    shares[1] = total > 0 ? shares[1] / total : 0;
    a[12].as.ints[0] = t.nodes[entry];
    while (t.next[entry] >= 0 && t.nodes[entry] != target) {
        int32_t from = t.nodes[entry], to = t.nodes[t.next[entry]];
        double all = to == target ? total : inflow(&t, to);
        a[13].as.longs[length] = t.edges[entry];
        shares[length + 2] = part_along(&t, from, t.edges[entry]) * t.rank[from] / all;
        entry = t.next[entry];
        a[12].as.ints[++length] = t.nodes[entry];
    }
    return length;
}
