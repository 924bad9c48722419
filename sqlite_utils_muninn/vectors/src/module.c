/* The Python module. */
#include "object.h"

/* use_loops(name) -> the loops in use: tests compare them, which must not differ. */
static PyObject *module_use_loops(PyObject *module, PyObject *given)
{
    const char *name = NULL;
    (void)module;
    if (!PyArg_ParseTuple(given, "|z", &name)) {
        return NULL;
    }
    if (!distance_choose(name)) {
        return PyErr_Format(PyExc_ValueError, "this CPU has no loops called %s", name);
    }
    return PyUnicode_FromString(distance_name());
}

static PyMethodDef functions[] = {
    {"checksum", module_checksum, METH_VARARGS, "checksum(seed, bytes) -> int"},
    {"use_loops", module_use_loops, METH_VARARGS, "use_loops(name or None) -> name"},
    {"is_finite", module_is_finite, METH_O, "is_finite(vectors) -> bool"},
    {"distances", module_distances, METH_VARARGS, "distances(metric, query, vectors) -> float64"},
    {"rank", module_rank, METH_VARARGS,
     "rank(metric, query, ids, vectors, most, within, beyond) -> ids, distances, places"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_hnsw", NULL, -1, functions, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__hnsw(void)
{
    distance_choose(NULL);
    PyObject *module = PyModule_Create(&definition);
    PyObject *type = module ? PyType_FromSpec(&index_spec) : NULL;
    if (type == NULL || PyModule_AddObjectRef(module, "Index", type) < 0) {
        Py_XDECREF(type);
        Py_XDECREF(module);
        return NULL;
    }
    Py_DECREF(type);
    return module;
}
