/* What the files of the bridge share. */
#ifndef MUNINN_BRIDGE_H
#define MUNINN_BRIDGE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite_api.h"

#if defined(_MSC_VER)
#define THREAD_LOCAL __declspec(thread)
#else
#define THREAD_LOCAL __thread
#endif

/* ---- Objects of the Python half, handed over once by configure() ---- */

typedef struct {
    PyObject *sql_error;        /* class SQLError(Exception) */
    PyObject *interrupted;      /* class Interrupted(SQLError) */
    PyObject *pointer;          /* class Pointer, with the attribute .value */
    PyObject *rows;             /* class Rows, with the attributes .columns and .rowids */
    PyObject *query;            /* class Query(plan, constraints, limit, used) */
    PyObject *missing;          /* an argument that was not given */
    PyObject *nochange;         /* a column that an UPDATE leaves as it is */
    PyObject *format_traceback; /* exception -> text */
} Python;

extern Python python;

/* ---- The GIL in callbacks from SQLite (gil.c) ---- */

/* An exception may be on its way while SQLite calls (a connection can end because of it): it is put
 * aside, for Python code cannot run while one is set. */
typedef struct {
    PyGILState_STATE gil;
    PyObject *type, *exception, *traceback;
} Visit;

/* Whether Python can still be called from this thread; false at the very end of the process. */
int python_enter(Visit *visit);
void python_leave(Visit *visit);

/* Turns the exception that is set into a SQLite result code and a message made by mprintf (NULL
 * where SQLite's own text for the code is wanted). rearm says that KeyboardInterrupt was caught:
 * call interrupt_again() as the last act. */
void interrupt_again(void);
typedef struct Database Database;
typedef struct {
    int code;
    char *message;
    int rearm;
} Failure;
Failure failure_take(Database *database);
int failure_to_table(Database *database, sqlite3_vtab *table);
int failure_to_pointer(Database *database, char **message);

/* ---- Values (value.c) ---- */

PyObject *value_to_python(sqlite_api api, sqlite3_value *value);
PyObject *values_to_tuple(sqlite_api api, int count, sqlite3_value **values, PyObject *first);
/* -1 with an exception set when the object has no SQLite value. */
int python_to_result(sqlite_api api, sqlite3_context *context, PyObject *object, int json);
int python_to_binding(sqlite_api api, sqlite3_stmt *statement, int index, PyObject *object,
                      PyObject *keep);
void release_object(void *object);

/* Names that every statement asks for: made once, and found by their address. NULL: no memory. */
enum { NAME_FILTER, NAME_COLUMNS, NAME_ROWIDS, NAME_KEPT_FOR, NAME_ARRAY, NAMES };
PyObject *interned(int name); /* borrowed */

/* ---- Batches of rows (rows.c) ---- */

typedef struct Column Column;
typedef struct {
    Py_ssize_t rows;
    int width;
    Column *columns;
    Column *rowids;
} Batch;

/* Reads a tuple of columns, or a Rows object. -1 with an exception set. Needs the GIL. */
int batch_read(Batch *batch, PyObject *source, int width);
void batch_clear(Batch *batch); /* needs the GIL */
/* Makes a column that was left for later. -1 with an exception set. Needs the GIL. */
int batch_make_column(Batch *batch, int column);
/* Makes one value of such a column, by its rowid. NULL with an exception set. Needs the GIL. */
PyObject *batch_make_value(const Batch *batch, int column, Py_ssize_t row);
/* These run without the GIL. */
int batch_lacks_column(const Batch *batch, int column);
void batch_result(const Batch *batch, sqlite_api api, sqlite3_context *context, Py_ssize_t row,
                  int column);
int64_t batch_rowid(const Batch *batch, Py_ssize_t row);
/* Where rowids are there: whether in order, each once; and then the row of one, or -1. */
int batch_is_by_rowid(const Batch *batch);
Py_ssize_t batch_find(const Batch *batch, int64_t rowid);

/* ---- Plans for xBestIndex (planner.c) ---- */

typedef struct {
    int column;
    char op; /* one of = < l > g m i; l is <=, g is >=, m is MATCH, i is IN */
    unsigned char required;
    unsigned char hidden;
    unsigned char expected; /* absence makes the plan very expensive */
    PyObject *key;          /* "column operator", as the Python half names it */
} Use;

typedef struct {
    char *name;
    PyObject *label;
    int use_count;
    Use *uses;
    int order_count;
    struct {
        int column;
        unsigned char descending;
    } *order;
    double cost;
    int64_t rows;
    int unique;
} Plan;

typedef struct {
    int count;
    Plan *plans;
} Plans;

int plans_read(Plans *plans, PyObject *source); /* -1 with an exception set */
void plans_clear(Plans *plans);
int plans_choose(const Plans *plans, sqlite_api api, sqlite3_index_info *info);

/* What xBestIndex wrote for xFilter, read back one argument at a time. */
typedef struct {
    const char *cursor;
    const Plan *plan;
    uint64_t used;
} PlanReader;
enum { ARGUMENT_USE, ARGUMENT_LIMIT, ARGUMENT_OFFSET, ARGUMENT_END };
void plan_reader_start(PlanReader *reader, const Plans *plans, int number, const char *text);
int plan_reader_next(PlanReader *reader, const Use **use);

/* ---- The connection (database.c) and its statements (run.h) ---- */

#define STATEMENT_CACHE_SIZE 32
#define WATCH_NAME "vtbridge_attached"

typedef struct {
    PyObject *sql;
    sqlite3_stmt *statement;
    int busy;
} CachedStatement;

struct Database {
    PyObject_HEAD
    sqlite3 *db; /* NULL once the connection is closed */
    sqlite_api api;
    int library;
    Py_ssize_t registrations; /* functions and modules that SQLite holds for us */
    int making;               /* tables that are being made: modules must stay */
    int leaving;              /* tables whose last callback runs */
    int watched;              /* an end of the connection would be told: statements are kept */
    int watch_tries;
    CachedStatement cache[STATEMENT_CACHE_SIZE];
    PyObject *last_error;
    Database *next;
};

extern PyType_Spec database_spec;
extern PyTypeObject *database_type;
extern PyType_Spec buffer_spec;
extern PyTypeObject *buffer_type;

/* ---- Dictionaries of values (dictionary.c) ---- */

typedef struct Dictionary Dictionary;
extern PyType_Spec dictionary_spec;
extern PyTypeObject *dictionary_type;
/* These run without the GIL, between dictionary_fill(1) and dictionary_fill(0). */
int32_t dictionary_encode(Dictionary *dictionary, sqlite_api api, sqlite3_stmt *statement,
                          int column); /* -1: NULL, -2: no memory */
size_t dictionary_bytes(const Dictionary *dictionary);
void dictionary_fill(Dictionary *dictionary, int filling);
int dictionary_is_ready(const Dictionary *dictionary); /* else sets an exception */

PyObject *database_known(sqlite3 *db); /* its handle, or None */
Database *database_for(sqlite3 *db, sqlite_api api, PyTypeObject *type);
void database_hold(Database *database);    /* one more registration */
void database_release(Database *database); /* one less; the last one closes the handle */
void statements_forget(Database *database);
int database_fail(Database *database, int code); /* sets SQLError from sqlite3_errmsg */
int database_is_open(Database *database);        /* else sets an exception */

PyObject *database_execute(Database *database, PyObject *arguments);
PyObject *database_columns(Database *database, PyObject *arguments);
PyObject *database_blobs(Database *database, PyObject *arguments);
PyObject *database_check(Database *database, PyObject *unused);

/* ---- Rows that answer further calls (kept.c) ---- */

int data_version(const Database *database, const char *schema, unsigned *version);

typedef struct Kept Kept;
Kept *kept_make(Database *database, const char *schema, int number, const char *text, int rowid,
                int argc, sqlite3_value **argv);
int kept_answers(const Kept *kept, int number, const char *text, int argc, sqlite3_value **argv,
                 int64_t *rowid);
void kept_free(Kept *kept);

/* ---- Functions (function.c), modules (module.c) and tables (table.c, cursor.c) ---- */

PyObject *database_create_function(Database *database, PyObject *arguments);
PyObject *database_create_module(Database *database, PyObject *arguments);

enum {
    HOOK_WRITE = 1,
    HOOK_TRANSACTION = 2,
    HOOK_SAVEPOINT = 4,
    HOOK_RENAME = 8,
    HOOK_INTEGRITY = 16,
};

typedef struct {
    sqlite3_module methods;
    Database *database;
    PyObject *create;  /* (db, schema, name, arguments) -> table; NULL: eponymous only */
    PyObject *connect; /* NULL: a table function */
    PyObject *call;    /* a table function's callable */
    char *schema;      /* a table function's declaration */
    int parameters;    /* hidden columns at the end of a table function's declaration */
    int pushdown;
    int width; /* columns in all, where they are known (table functions) */
    int safety;
    int watches; /* the table that tells when the connection ends */
    int holders; /* SQLite and the tables */
    Plans plans;
} Module;

void module_release(Module *module); /* needs the GIL */
int module_is_shadow_name(const char *suffix);

typedef struct {
    sqlite3_vtab base;
    Module *module;
    PyObject *instance; /* NULL: a table function */
    Plans plans;        /* the instance's own; a table function uses its module's */
    int width;
    int calls; /* callbacks that run: it cannot be destroyed under them */
} Table;

static inline const Plans *table_plans(const Table *table)
{
    return table->instance ? &table->plans : &table->module->plans;
}

void table_set_methods(Module *module, int hooks, int with_shadow);

int cursor_open(sqlite3_vtab *, sqlite3_vtab_cursor **);
int cursor_close(sqlite3_vtab_cursor *);
int cursor_filter(sqlite3_vtab_cursor *, int, const char *, int, sqlite3_value **);
int cursor_next(sqlite3_vtab_cursor *);
int cursor_eof(sqlite3_vtab_cursor *);
int cursor_column(sqlite3_vtab_cursor *, sqlite3_context *, int);
int cursor_rowid(sqlite3_vtab_cursor *, int64_t *);

/* ---- Finding the connection's handle (attach.c) ---- */

int library_number(sqlite_api api); /* -1 when there are too many SQLite libraries */
sqlite_api library_api(int number);
#define MOST_LIBRARIES 6

PyObject *attach_hook_address(PyObject *module, PyObject *unused);
PyObject *attach_expect(PyObject *module, PyObject *unused);
PyObject *attach_seen(PyObject *module, PyObject *unused);
PyObject *attach_database(PyObject *module, PyObject *arguments);

#endif
