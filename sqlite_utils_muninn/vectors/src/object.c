/* The index as a Python object: one thread at a time, arrays as bytes, work without the GIL. */
#include "object.h"

int enter(Index *index, int ready)
{
    if (index->graph.compare == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the index has not been made");
        return 0;
    }
    if (index->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the index is in use by another thread");
        return 0;
    }
    if (index->ready != ready) {
        PyErr_SetString(PyExc_RuntimeError,
                        ready == READY ? "the index is not whole yet" : "the index is in use");
        return 0;
    }
    return 1;
}

PyObject *fail(int code)
{
    if (code == TOO_MANY) {
        PyErr_SetString(PyExc_OverflowError, "an index has room for 2**30 vectors");
        return NULL;
    }
    return PyErr_NoMemory();
}

/* ---- Making one ---- */

static int set_centre(Graph *graph, const char *centre, Py_ssize_t size)
{
    if (centre == NULL) {
        return 0;
    }
    if (size != 4 * (Py_ssize_t)graph->dimensions) {
        PyErr_SetString(PyExc_ValueError, "the centre has not its size");
        return -1;
    }
    graph->centre = malloc((size_t)size);
    if (graph->centre == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(graph->centre, centre, (size_t)size);
    for (int i = 0; i < graph->dimensions; i++) {
        if (!(fabsf(graph->centre[i]) < 1e15f)) {
            PyErr_SetString(PyExc_ValueError, "the centre is not finite");
            return -1;
        }
    }
    return 0;
}

static int index_init(PyObject *self, PyObject *given, PyObject *keywords)
{
    Index *index = (Index *)self;
    Graph *graph = &index->graph;
    const char *centre;
    Py_ssize_t size;
    double unit;
    (void)keywords;
    if (graph->places != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the index is made already");
        return -1;
    }
    if (!PyArg_ParseTuple(given, "iiiiidz#", &graph->dimensions, &graph->metric, &graph->kind,
                          &graph->m, &graph->ef_construction, &unit, &centre, &size)) {
        return -1;
    }
    graph->unit = (float)unit;
    if (graph->dimensions < 1 || graph->dimensions > 1 << 20 || graph->metric < 0 ||
        graph->metric > METRIC_COSINE || graph->kind < 0 || graph->kind > CODES_FLOAT ||
        graph->m < 2 || graph->m > 256 || graph->ef_construction < 1 ||
        graph->ef_construction > 100000 || !(graph->unit > 0) || !isfinite(graph->unit) ||
        (graph->kind == CODES_FLOAT && centre != NULL)) {
        PyErr_SetString(PyExc_ValueError, "an argument is out of bounds");
        return -1;
    }
    if (set_centre(graph, centre, size) < 0) {
        return -1;
    }
    index->ready = READY;
    if (graph_start(graph) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static void index_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    graph_end(&((Index *)self)->graph);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

/* ---- The type ---- */

#define COUNT(name, expression)                                                                   \
    static PyObject *name(PyObject *self, void *unused)                                           \
    {                                                                                             \
        const Graph *graph = &((Index *)self)->graph;                                             \
        (void)unused;                                                                             \
        return PyLong_FromLongLong(expression);                                                   \
    }
COUNT(get_nodes, graph->count)
COUNT(get_linked, graph->linked)
COUNT(get_dead, graph->dead_count)
COUNT(get_twins, graph->twin_count)
COUNT(get_memory, graph_bytes(graph))

static PyGetSetDef index_getset[] = {
    {"nodes", get_nodes, NULL, "Rows, dead ones too.", NULL},
    {"linked", get_linked, NULL, "How many of them are in the graph.", NULL},
    {"dead", get_dead, NULL, "How many of them are dead.", NULL},
    {"twins", get_twins, NULL, "How many of those in the graph stand in no list.", NULL},
    {"memory", get_memory, NULL, "Bytes of it.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef index_methods[] = {
    {"add", index_add, METH_VARARGS, "add(ids, vectors) -> a byte for each: 1 if it is refused."},
    {"drop", index_drop, METH_VARARGS, "drop(id) -> whether it was there."},
    {"has", index_has, METH_VARARGS, "has(id)"},
    {"ids", index_ids, METH_NOARGS, "All ids."},
    {"link", index_link, METH_VARARGS, "link(count) -> how many are left to be linked."},
    {"compact", index_compact, METH_NOARGS, "Leaves dead nodes out, and the graph to be built."},
    {"search", index_search, METH_VARARGS,
     "search(query, wanted, ef, trust, within, beyond, passing, among) -> ids"},
    {"snapshot_size", index_snapshot_size, METH_NOARGS, NULL},
    {"snapshot_read", index_snapshot_read, METH_VARARGS, "snapshot_read(start, size) -> bytes"},
    {"snapshot_start", index_snapshot_start, METH_VARARGS,
     "snapshot_start(nodes, linked, dead, more, size): room for it, and for more nodes."},
    {"snapshot_write", index_snapshot_write, METH_VARARGS, "snapshot_write(start, bytes)"},
    {"snapshot_check", index_snapshot_check, METH_NOARGS,
     "Raises ValueError, or lets copies be filled in."},
    {"snapshot_lose", index_snapshot_lose, METH_VARARGS,
     "snapshot_lose(ids): their vectors are others now, or gone."},
    {"snapshot_fill", index_snapshot_fill, METH_VARARGS,
     "snapshot_fill(ids, vectors) -> a byte for each: 1 if no node waits for it."},
    {"snapshot_finish", index_snapshot_finish, METH_NOARGS,
     "Raises ValueError where vectors are missing, or makes it ready."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot index_slots[] = {
    {Py_tp_init, index_init},       {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, index_dealloc}, {Py_tp_methods, index_methods},
    {Py_tp_getset, index_getset},   {0, NULL},
};

PyType_Spec index_spec = {
    "sqlite_utils_muninn.vectors._hnsw.Index", sizeof(Index), 0, Py_TPFLAGS_DEFAULT, index_slots,
};
