/* The three phases of the Leiden algorithm that look at edges (Traag, Waltman and van Eck 2019,
 * "From Louvain to Leiden: guaranteeing well-connected communities"), for modularity.
 *
 * A graph is undirected: each edge is there from both its ends, with a weight above 0; self loops
 * are left out of it and count in the strength of their node alone. `pull` is resolution / (2 *
 * total weight), so that moving a node of strength k to a community of strength K that it has the
 * weight w to gains w - pull * k * K.
 *
 * Time goes into waiting for memory and into branches that are guessed wrongly. So nodes are gone
 * through in the order of their numbers, what is known of a group lies together, and the groups
 * around a node are listed without a branch: each edge writes its group to the end of the list,
 * which grows where the sum was 0. */
#include "kernels.h"

typedef struct {
    const int64_t *offsets;
    const int32_t *targets;
    const double *weights;
    const double *strength;
    double pull, least;
    int64_t nodes;
} Level;

static Level level_of(const Argument *a)
{
    return (Level){a[0].as.longs, a[1].as.ints, a[2].as.reals,      a[3].as.reals,
                   a[4].as.real,  a[5].as.real, a[0].length - 1};
}

static inline int64_t degree(const Level *l, int64_t u)
{
    return l->offsets[u + 1] - l->offsets[u];
}

/* ---- Moving ---- */

typedef struct {
    double weight; /* from the node that is looked at, else 0 */
    double total;  /* strength of its members */
} Community;

typedef struct {
    Community *communities;
    int32_t *community, *around, *members, *empty;
    double *margin; /* what a node loses at least by leaving its community, as far as is known */
    uint8_t *waiting;
    int64_t left, empties;
} Moving;

/* Adds up the weights from a node to the communities around it; gives how many there are. */
static inline int64_t weigh(const Level *l, Moving *m, int64_t u)
{
    int64_t count = 0;
    for (int64_t e = l->offsets[u], end = l->offsets[u + 1]; e < end; e++) {
        int32_t c = m->community[l->targets[e]];
        double before = m->communities[c].weight;
        m->around[count] = c;
        count += before == 0;
        m->communities[c].weight = before + l->weights[e];
    }
    return count;
}

static inline int32_t best_community(const Level *l, Moving *m, int64_t u)
{
    int64_t count = weigh(l, m, u);
    int32_t old = m->community[u], best = old;
    Community *own = &m->communities[old];
    double k = l->pull * l->strength[u], second = 0; /* of an empty community */
    double most = own->weight - k * (own->total - l->strength[u]);
    own->weight = -INFINITY; /* it is what the others are compared with */
    for (int64_t i = 0; i < count; i++) {
        Community *other = &m->communities[m->around[i]];
        double gain = other->weight - k * other->total;
        other->weight = 0;
        if (gain > most + l->least) {
            second = most > second ? most : second;
            most = gain;
            best = m->around[i];
        } else {
            second = gain > second ? gain : second;
        }
    }
    own->weight = 0;
    m->margin[u] = most - second;
    if (most < -l->least && m->members[old] > 1 && m->empties > 0) {
        best = m->empty[--m->empties];
    }
    return best;
}

/* Puts a node into another community. That takes from the margin of its neighbours; whose is used
 * up is looked at again. (What the communities' strengths change is small, and waits.) */
static void put_into(const Level *l, Moving *m, int64_t u, int32_t best)
{
    int32_t old = m->community[u];
    m->communities[old].total -= l->strength[u];
    m->communities[best].total += l->strength[u];
    m->members[best]++;
    if (--m->members[old] == 0) {
        m->empty[m->empties++] = old;
        m->communities[old].total = 0;
    }
    m->community[u] = best;
    for (int64_t e = l->offsets[u], end = l->offsets[u + 1]; e < end; e++) {
        int32_t v = l->targets[e], c = m->community[v];
        double weight = l->weights[e];
        m->margin[v] -= c == best ? -weight : c == old ? 2 * weight : weight;
        int is_new = !m->waiting[v] & (m->margin[v] < 0);
        m->waiting[v] |= (uint8_t)is_new;
        m->left += is_new;
    }
}

/* The next node from u on that waits; the array ends with eight zeros more than there are nodes. */
static inline int64_t next_waiting(const Moving *m, int64_t u, int64_t nodes)
{
    while (u < nodes && !m->waiting[u]) {
        uint64_t eight;
        memcpy(&eight, m->waiting + u, sizeof(eight));
        u += eight == 0 ? 8 : 1;
    }
    return u;
}

/* Moves nodes to the community that gains most, until nothing gains.
 * move_nodes(offsets, targets, weights, strength, pull, least gain, community in and out,
 *            communities (0 and the strength of each), waiting of n ones and 8 zeros, around,
 *            members of communities, empty communities, how many of them, margin of n zeros,
 *            most sweeps): gives the number of moves.
 * A node that is better off alone goes to an empty community. */
KERNEL(move_nodes)
{
    Level l = level_of(a);
    Moving m = {(Community *)a[7].as.reals, a[6].as.ints,  a[9].as.ints, a[10].as.ints,
                a[11].as.ints,              a[13].as.reals, a[8].as.bytes, l.nodes,
                a[12].as.number};
    int64_t moves = 0;
    for (int64_t sweep = 0; m.left > 0 && sweep < a[14].as.number; sweep++) {
        for (int64_t u = next_waiting(&m, 0, l.nodes); u < l.nodes;
             u = next_waiting(&m, u + 1, l.nodes)) {
            m.waiting[u] = 0;
            m.left--;
            if (pulse(p, degree(&l, u) + 1)) {
                return STOPPED;
            }
            int32_t best = best_community(&l, &m, u);
            if (best != m.community[u]) {
                put_into(&l, &m, u, best);
                moves++;
            }
        }
    }
    return moves;
}

/* ---- Refining ---- */

typedef struct {
    double weight;  /* from the node that is looked at, else 0 */
    double total;   /* strength of its nodes */
    double outward; /* weight to the rest of its community */
    double size;    /* how many nodes it has */
} Part;

typedef struct {
    int32_t community, part;
} Place;

typedef struct {
    Place *places;
    Part *parts;
    const double *totals; /* of communities */
    int32_t *around;
} Refining;

static void weigh_outward(const Level *l, Refining *r, int64_t u)
{
    double sum = 0;
    for (int64_t e = l->offsets[u]; e < l->offsets[u + 1]; e++) {
        sum += r->places[l->targets[e]].community == r->places[u].community ? l->weights[e] : 0;
    }
    r->parts[u].outward = sum;
}

/* The part of its community that a node gains most by joining, itself where none, and the weight
 * to it. */
static int32_t best_part(const Level *l, Refining *r, int64_t u, double *weight)
{
    int32_t best = (int32_t)u, c = r->places[u].community;
    int64_t count = 0;
    double k = l->pull * l->strength[u], most = 0;
    for (int64_t e = l->offsets[u]; e < l->offsets[u + 1]; e++) {
        Place place = r->places[l->targets[e]];
        if (place.community == c) {
            r->around[count] = place.part;
            count += r->parts[place.part].weight == 0;
            r->parts[place.part].weight += l->weights[e];
        }
    }
    for (int64_t i = 0; i < count; i++) {
        Part *part = &r->parts[r->around[i]];
        double gain = part->weight - k * part->total;
        double rest = l->pull * part->total * (r->totals[c] - part->total);
        if (gain > most + l->least && part->outward + l->least >= rest) {
            most = gain;
            best = r->around[i];
            *weight = part->weight;
        }
        part->weight = 0;
    }
    return best;
}

/* Merges nodes within each community into well connected parts, so that a community that has
 * fallen apart is seen as what it is.
 * refine(offsets, targets, weights, strength, pull, least gain, places (the community and the
 *        number of each node; out: its part), parts (0, strength, 0, 1 of each node), strength of
 *        communities, around): gives the number of merges.
 * Of the parts that gain, the one that gains most is taken. */
KERNEL(refine)
{
    Level l = level_of(a);
    Refining r = {(Place *)a[6].as.ints, (Part *)a[7].as.reals, a[8].as.reals, a[9].as.ints};
    int64_t merges = 0;
    for (int64_t u = 0; u < l.nodes; u++) {
        weigh_outward(&l, &r, u);
        if (pulse(p, degree(&l, u) + 1)) {
            return STOPPED;
        }
    }
    for (int64_t u = 0; u < l.nodes; u++) {
        Part *own = &r.parts[u];
        double weight = 0, k = l.strength[u], rest = r.totals[r.places[u].community] - k;
        if (pulse(p, degree(&l, u) + 1)) {
            return STOPPED;
        }
        /* Only a node that is still alone, and well connected to its community. */
        if (own->size != 1 || own->outward == 0 || own->outward + l.least < l.pull * k * rest) {
            continue;
        }
        int32_t best = best_part(&l, &r, u, &weight);
        if (best != u) {
            r.places[u].part = best;
            r.parts[best].total += k;
            r.parts[best].outward += own->outward - 2 * weight;
            r.parts[best].size += 1;
            own->size = 0;
            merges++;
        }
    }
    return merges;
}

/* ---- Aggregating ---- */

typedef struct {
    const int32_t *part;
    double *weight_to; /* of each part, else 0 */
    int32_t *targets;  /* out */
    double *weights;   /* out */
    int64_t edges;     /* how many there are */
} Aggregate;

/* Adds up what leads from one node to parts, of which `found` are listed already. */
static inline int64_t add_edges(Aggregate *g, const Argument *a, int32_t u, int64_t found)
{
    const double *weights = a[2].as.reals;
    for (int64_t e = a[0].as.longs[u]; e < a[0].as.longs[u + 1]; e++) {
        int32_t t = g->part[a[1].as.ints[e]];
        double before = g->weight_to[t];
        g->targets[found] = t;
        found += before == 0;
        g->weight_to[t] = before + (weights ? weights[e] : 1);
    }
    return found;
}

/* Puts down the edges of one part that are listed; those of weight 0 are none. */
static inline void put_edges(Aggregate *g, int64_t found, int64_t own)
{
    int64_t first = g->edges;
    g->weight_to[own] = 0;
    for (int64_t e = first; e < found; e++) {
        int32_t t = g->targets[e];
        double weight = g->weight_to[t];
        g->targets[g->edges] = t;
        g->weights[g->edges] = weight;
        g->edges += weight != 0;
        g->weight_to[t] = 0;
    }
}

/* Lists nodes by their part; a counting sort. */
static void sort_by_part(const int32_t *part, int64_t nodes, int64_t *ends, int64_t parts,
                         int32_t *order)
{
    for (int64_t u = 0; u < nodes; u++) {
        ends[part[u] + 1]++;
    }
    for (int64_t c = 0; c < parts; c++) {
        ends[c + 1] += ends[c];
    }
    for (int64_t u = 0; u < nodes; u++) {
        order[ends[part[u]]++] = (int32_t)u;
    }
}

/* Makes a node of each part; parallel edges add up, those within a part are left out.
 * aggregate(offsets, targets, weights?, part, room for n nodes, room for count + 1 (zeros), weight
 *           to parts (count zeros), out offsets of count + 1, out targets, out weights, of as many
 *           edges as there are): gives the number of edges. */
KERNEL(aggregate)
{
    const int64_t *offsets = a[0].as.longs;
    const int32_t *order = a[4].as.ints;
    int64_t nodes = a[0].length - 1, parts = a[6].length, *ends = a[5].as.longs;
    Aggregate g = {a[3].as.ints, a[6].as.reals, a[8].as.ints, a[9].as.reals, 0};
    sort_by_part(g.part, nodes, ends, parts, a[4].as.ints);
    a[7].as.longs[0] = 0;
    for (int64_t c = 0, i = 0; c < parts; c++) {
        int64_t found = g.edges;
        for (; i < ends[c]; i++) {
            int32_t ahead = order[i + 4 < nodes ? i + 4 : i];
            PREFETCH(a[1].as.ints + offsets[ahead]);
            if (pulse(p, offsets[order[i] + 1] - offsets[order[i]] + 1)) {
                return STOPPED;
            }
            found = add_edges(&g, a, order[i], found);
        }
        put_edges(&g, found, c);
        a[7].as.longs[c + 1] = g.edges;
    }
    return g.edges;
}
