/* One run of a statement, and what it gives. */
#ifndef MUNINN_RUN_H
#define MUNINN_RUN_H

#include "bridge.h"

/* ---- Statements (statement.c) ---- */

typedef struct {
    Database *database;
    PyObject *sql;
    PyObject *parameters;
    PyObject *keep; /* objects made for bindings */
    CachedStatement *cached;
    sqlite3_stmt *statement;
    size_t limit; /* bytes that columns may take; 0: no limit */
    int refused;  /* by us, after it was prepared: not to be kept */
} Run;

Run run_of(Database *database, PyObject *sql, PyObject *parameters);
int run_start(Run *run); /* prepares and binds; -1 with an exception set */
void run_end(Run *run);  /* always, after run_start too that failed */

/* ---- Results (result.c): collected without the GIL, made into Python objects afterwards ---- */

enum { KIND_ANY, KIND_INTEGER, KIND_REAL, KIND_TEXT, KIND_BLOB, KIND_CODE, KIND_VECTOR };

typedef struct {
    int kind;
    size_t bytes; /* of one vector */
    char *data;   /* items, or bare numbers for the typed kinds */
    size_t used, room;
    char *heap;
    size_t heap_used, heap_room;
    Dictionary *dictionary; /* of codes */
} Sink;

typedef struct {
    Sink *sinks;
    int width;
    int typed; /* the kinds of the columns are given */
    Py_ssize_t rows;
    int failed; /* the column that had a wrong type */
} Result;

int result_start(Result *result, int width);
int result_collect(Run *run, Result *result); /* steps to the end; -1 with an exception set */
void result_clear(Result *result);
void result_wrong_width(Py_ssize_t kinds, int width);
PyObject *sink_object(const Sink *sink, Py_ssize_t row);

#endif
