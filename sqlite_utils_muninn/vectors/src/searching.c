/* Searches, as Python calls them. */
#include "object.h"

typedef struct {
    const float *query;
    Py_ssize_t query_size;
    long long wanted;
    double trust, bounds[2]; /* within, beyond */
    const int64_t *passing, *among; /* ids to be passed over; the only ids that may be found */
    Py_ssize_t passing_size, among_size;
    long long ef; /* 0: every vector is looked at */
} Search;

static int64_t pass_over(Graph *graph, const Search *search, int passed)
{
    int64_t count = 0;
    for (Py_ssize_t i = 0; i < search->passing_size / 8; i++) {
        count += node_pass(graph, search->passing[i], passed);
    }
    return count;
}

static int start(Collector *collector, const Graph *graph, const Search *search,
                 const Probe *probe)
{
    collector_start(collector, graph, probe, search->wanted, search->bounds);
    collector->trust = (float)search->trust;
    set_limit(collector);
    return collector->failed ? NO_MEMORY : 0;
}

/* Candidates by the graph. Idle nodes take places in sight; where too few are found that live, one
 * looks farther. */
static int search_graph(const Graph *graph, const Search *search, const Probe *probe,
                        int64_t passed, Collector *collector)
{
    int64_t least = graph->count - graph->dead_count - passed;
    int64_t there = graph->count - graph->twin_count, busy = there - graph->idle_count;
    int64_t sight = search->ef > search->wanted ? search->ef : search->wanted;
    sight = sight < there ? sight : there;
    sight = sight * there / (busy > 1 ? busy : 1);
    least = least < search->wanted ? least : search->wanted;
    for (;; sight *= 2) {
        int result = collect_from_graph(graph, probe, sight, collector);
        collect_from_scan(graph, probe, graph->linked, collector);
        result = result < 0 ? result : collector_finish(collector);
        if (result < 0 || collector->count >= least || sight >= graph->linked - graph->twin_count) {
            return result;
        }
        collector_free(collector);
        if (start(collector, graph, search, probe) < 0) {
            return NO_MEMORY;
        }
    }
}

static int run_search(Graph *graph, const Search *search, const Probe *probe, Collector *collector)
{
    int result = start(collector, graph, search, probe);
    if (result < 0) {
        return result;
    }
    int64_t passed = pass_over(graph, search, 1);
    if (search->among == NULL && search->ef > 0) {
        result = search_graph(graph, search, probe, passed, collector);
    } else {
        if (search->among != NULL) {
            collect_among(graph, probe, search->among, search->among_size / 8, collector);
        } else {
            collect_from_scan(graph, probe, 0, collector);
        }
        result = collector_finish(collector);
    }
    pass_over(graph, search, 0);
    return result;
}

static PyObject *found_ids(const Graph *graph, const Collector *collector)
{
    PyObject *found = PyBytes_FromStringAndSize(NULL, collector->count * 8);
    char *out = found ? PyBytes_AsString(found) : NULL;
    for (int64_t i = 0; out != NULL && i < collector->count; i++) {
        memcpy(out + 8 * i, &graph->ids[collector->items[i].node & ~SEEN], 8);
    }
    return found;
}

static PyObject *search_with(Index *index, const Search *search, void *codes, float *work)
{
    Graph *graph = &index->graph;
    Collector collector;
    Probe probe = {codes, {0, 0, 0, 0}};
    int result = 0, fits;
    memset(&collector, 0, sizeof(collector));
    WITHOUT_GIL(index);
    fits = encode(graph, search->query, codes, &probe.coarse, work);
    if (fits) {
        result = run_search(graph, search, &probe, &collector);
    }
    WITH_GIL(index);
    PyObject *found = !fits ? Py_NewRef(Py_None) : result < 0 ? fail(result)
                                                              : found_ids(graph, &collector);
    collector_free(&collector);
    return found;
}

/* search(query, wanted, ef, trust, within, beyond, passing, among) -> ids, nearest first, at least
 * `wanted` where there are so many that live; None where the query cannot be compared. */
PyObject *index_search(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    Graph *graph = &index->graph;
    Search search;
    Block codes = {NULL, NULL, 0};
    if (!PyArg_ParseTuple(given, "y#LLdddy#z#", &search.query, &search.query_size, &search.wanted,
                          &search.ef, &search.trust, &search.bounds[0], &search.bounds[1],
                          &search.passing, &search.passing_size, &search.among,
                          &search.among_size) ||
        !enter(index, READY)) {
        return NULL;
    }
    if (search.query_size != 4 * (Py_ssize_t)graph->dimensions || search.wanted < 0 ||
        search.passing_size % 8 || search.among_size % 8) {
        return PyErr_Format(PyExc_ValueError, "an argument has not its size");
    }
    float *work = encode_room(graph);
    if (work == NULL || block_make(&codes, (size_t)graph->stride, 0) < 0) {
        free(work);
        return PyErr_NoMemory();
    }
    PyObject *found = search_with(index, &search, codes.bytes, work);
    free(work);
    block_free(&codes);
    return found;
}
