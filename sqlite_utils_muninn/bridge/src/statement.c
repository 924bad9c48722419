/* Statements: prepared once, kept while that is safe, bound without copies. */
#include "run.h"

#include <limits.h>

static void finalize(Database *database, sqlite3_stmt *statement)
{
    Py_BEGIN_ALLOW_THREADS
    SQ(database->api, finalize)(statement);
    Py_END_ALLOW_THREADS
}

void statements_forget(Database *database)
{
    for (int i = 0; i < STATEMENT_CACHE_SIZE; i++) {
        CachedStatement *cached = &database->cache[i];
        if (cached->statement != NULL && !cached->busy) {
            sqlite3_stmt *statement = cached->statement;
            PyObject *sql = cached->sql;
            cached->statement = NULL;
            cached->sql = NULL;
            finalize(database, statement);
            Py_DECREF(sql);
        }
    }
}

static CachedStatement *cache_find(Database *database, PyObject *sql)
{
    /* The same string, as a rule; then one that reads the same. */
    for (int look = 0; look < 2; look++) {
        for (int i = 0; i < STATEMENT_CACHE_SIZE; i++) {
            CachedStatement *cached = &database->cache[i];
            if (cached->statement != NULL && !cached->busy &&
                (cached->sql == sql || (look > 0 && PyUnicode_Compare(cached->sql, sql) == 0))) {
                return cached;
            }
        }
    }
    return NULL;
}

/* A statement that stayed prepared would keep a closing connection open, and nothing tells us that
 * one closes but the end of a virtual table. Our own tables will not do, for a kept statement may
 * hold them: so there is one that no other statement uses. It cannot be made while another ends,
 * for the connection may be past its turn. */
static int is_watched(Database *database)
{
    enum { MOST_TRIES = 3 };
    sqlite3_stmt *statement = NULL;
    if (!database->watched && database->leaving == 0 && database->watch_tries < MOST_TRIES) {
        database->watch_tries++;
        Py_BEGIN_ALLOW_THREADS
        SQ(database->api, prepare_v3)(database->db, "SELECT 1 FROM " WATCH_NAME, -1, 0, &statement,
                                      NULL);
        SQ(database->api, finalize)(statement);
        Py_END_ALLOW_THREADS
    }
    return database->watched;
}

/* Keeps a statement for the next time; the oldest in its place goes. */
static void cache_keep(Database *database, PyObject *sql, sqlite3_stmt *statement)
{
    static unsigned turn; /* guarded by the GIL */
    if (database->db != NULL && is_watched(database)) {
        for (int i = 0; i < STATEMENT_CACHE_SIZE; i++) {
            CachedStatement *cached = &database->cache[turn++ % STATEMENT_CACHE_SIZE];
            if (cached->busy) {
                continue;
            }
            sqlite3_stmt *old = cached->statement;
            PyObject *old_sql = cached->sql;
            cached->statement = statement;
            cached->sql = Py_NewRef(sql);
            if (old != NULL) {
                finalize(database, old);
                Py_DECREF(old_sql);
            }
            return;
        }
    }
    finalize(database, statement);
}

static int bind_parameters(Run *run)
{
    sqlite_api api = run->database->api;
    Py_ssize_t count = PyTuple_Size(run->parameters);
    if (count != SQ(api, bind_parameter_count)(run->statement)) {
        PyErr_Format(python.sql_error, "%zd values for %d parameters", count,
                     SQ(api, bind_parameter_count)(run->statement));
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        int code = python_to_binding(api, run->statement, (int)i + 1,
                                     PyTuple_GetItem(run->parameters, i), run->keep);
        if (code != SQLITE_OK) {
            return database_fail(run->database, code);
        }
    }
    return 0;
}

static int prepare(Run *run)
{
    Database *database = run->database;
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(run->sql, &length);
    const char *tail = NULL;
    int code;
    if (text == NULL) {
        return -1;
    }
    if (length >= INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "the statement is too long");
        return -1;
    }
    if (strlen(text) != (size_t)length) {
        PyErr_SetString(PyExc_ValueError, "the statement contains a null character");
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS
    code = SQ(database->api, prepare_v3)(database->db, text, (int)length + 1,
                                         database->watched ? SQLITE_PREPARE_PERSISTENT : 0,
                                         &run->statement, &tail);
    Py_END_ALLOW_THREADS
    if (code != SQLITE_OK) {
        return database_fail(database, code);
    }
    if (run->statement == NULL || tail[strspn(tail, " \t\r\n;")] != '\0') {
        PyErr_SetString(python.sql_error, "exactly one statement is needed");
        run->refused = 1;
        return -1;
    }
    return 0;
}

int run_start(Run *run)
{
    run->keep = PyList_New(0);
    if (run->keep == NULL || !database_is_open(run->database)) {
        return -1;
    }
    run->cached = cache_find(run->database, run->sql);
    if (run->cached != NULL) {
        run->cached->busy = 1;
        run->statement = run->cached->statement;
    } else if (prepare(run) < 0) {
        return -1;
    }
    return bind_parameters(run);
}

void run_end(Run *run)
{
    Database *database = run->database;
    sqlite_api api = database->api;
    if (run->statement != NULL) {
        Py_BEGIN_ALLOW_THREADS
        SQ(api, reset)(run->statement);
        SQ(api, clear_bindings)(run->statement);
        Py_END_ALLOW_THREADS
        if (run->refused) {
            finalize(database, run->statement);
        } else if (run->cached == NULL) {
            cache_keep(database, run->sql, run->statement);
        } else {
            run->cached->busy = 0;
            if (!database->watched) {
                statements_forget(database);
            }
        }
    }
    Py_XDECREF(run->keep);
}

Run run_of(Database *database, PyObject *sql, PyObject *parameters)
{
    Run run = {.database = database, .sql = sql, .parameters = parameters};
    return run;
}
