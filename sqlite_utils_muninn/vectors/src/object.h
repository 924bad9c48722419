/* What the files of the Python object share. */
#ifndef MUNINN_HNSW_OBJECT_H
#define MUNINN_HNSW_OBJECT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "hnsw.h"

typedef struct {
    PyObject_HEAD
    Graph graph;
    int busy;  /* a thread is inside, without the GIL */
    int ready;
} Index;

/* A snapshot is written into an index, then its copies are filled in. BROKEN: they were not those
 * that it was made of. */
enum { WRITTEN, READY, FILLED, BROKEN };

/* object.c: lets a thread in, or gives 0 with an exception set. */
int enter(Index *index, int ready);
PyObject *fail(int code);
extern PyType_Spec index_spec;

#define WITHOUT_GIL(index)                                                                        \
    (index)->busy = 1;                                                                            \
    Py_BEGIN_ALLOW_THREADS

#define WITH_GIL(index)                                                                           \
    Py_END_ALLOW_THREADS                                                                          \
    (index)->busy = 0

/* rows.c */
PyObject *index_add(PyObject *self, PyObject *given);
PyObject *index_snapshot_fill(PyObject *self, PyObject *given);
PyObject *index_snapshot_lose(PyObject *self, PyObject *given);
PyObject *index_drop(PyObject *self, PyObject *given);
PyObject *index_has(PyObject *self, PyObject *given);
PyObject *index_ids(PyObject *self, PyObject *unused);
PyObject *index_link(PyObject *self, PyObject *given);
PyObject *index_compact(PyObject *self, PyObject *unused);

/* searching.c */
PyObject *index_search(PyObject *self, PyObject *given);

/* saving.c */
PyObject *index_snapshot_size(PyObject *self, PyObject *unused);
PyObject *index_snapshot_read(PyObject *self, PyObject *given);
PyObject *index_snapshot_start(PyObject *self, PyObject *given);
PyObject *index_snapshot_write(PyObject *self, PyObject *given);
PyObject *index_snapshot_check(PyObject *self, PyObject *unused);
PyObject *index_snapshot_finish(PyObject *self, PyObject *unused);
PyObject *module_checksum(PyObject *module, PyObject *given);

/* ranking.c */
PyObject *module_is_finite(PyObject *module, PyObject *vectors);
PyObject *module_distances(PyObject *module, PyObject *given);
PyObject *module_rank(PyObject *module, PyObject *given);

#endif
