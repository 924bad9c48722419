/* From Python's connection object to SQLite's own pointer, and to the routines of its library.
 *
 * Two ways, neither of which assumes a layout. Where connections can load extensions, this very
 * file is one: SQLite calls sqlite3_vtbridge_init. Where they cannot, Python registers
 * sqlite3_auto_extension's hook for a moment and opens a connection in memory (attach.py): that
 * shows the library's routines and where a connection object keeps its pointer.
 */
#include "bridge.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* What SQLite showed to this thread. */
static THREAD_LOCAL struct {
    int expected;
    sqlite3 *db;
    sqlite_api api;
} seen;

static sqlite_api libraries[MOST_LIBRARIES]; /* guarded by the GIL; a place is never taken back */

int library_number(sqlite_api api)
{
    for (int i = 0; i < MOST_LIBRARIES; i++) {
        if (libraries[i] == NULL) {
            libraries[i] = api;
        }
        if (libraries[i] == api) {
            return i;
        }
    }
    return -1;
}

sqlite_api library_api(int number) { return libraries[number]; }

static void note(sqlite3 *db, sqlite_api api)
{
    seen.expected = 0;
    seen.db = db;
    seen.api = api;
}

/* The hook is global to the library: connections that other threads open pass untouched. */
static int observe(sqlite3 *db, char **message, sqlite_api api)
{
    (void)message;
    if (seen.expected) {
        note(db, api);
    }
    return SQLITE_OK;
}

EXPORT int sqlite3_vtbridge_init(sqlite3 *db, char **message, sqlite_api api)
{
    if (!seen.expected) {
        *message = SQ(api, mprintf)("use sqlite_utils_muninn.load(connection) from Python");
        return SQLITE_ERROR;
    }
    note(db, api);
    return SQLITE_OK;
}

PyObject *attach_hook_address(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromVoidPtr((void *)(uintptr_t)observe);
}

PyObject *attach_expect(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    note(NULL, NULL);
    seen.expected = 1;
    Py_RETURN_NONE;
}

/* (connection, routines) as numbers; zeros when nothing was shown. */
PyObject *attach_seen(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    PyObject *pair = Py_BuildValue("KK", (unsigned long long)(uintptr_t)seen.db,
                                   (unsigned long long)(uintptr_t)seen.api);
    note(NULL, NULL);
    return pair;
}

/* database(db, api, type): the connection's handle, a new one or the one that it has. With None for
 * the type only one that it has, else None. */
PyObject *attach_database(PyObject *module, PyObject *arguments)
{
    unsigned long long db, api;
    PyObject *type;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "KKO", &db, &api, &type)) {
        return NULL;
    }
    if (type == Py_None) {
        return database_known((sqlite3 *)(uintptr_t)db);
    }
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, database_type)) {
        PyErr_SetString(PyExc_TypeError, "type must be a subclass of Database");
        return NULL;
    }
    return (PyObject *)database_for((sqlite3 *)(uintptr_t)db, (sqlite_api)(uintptr_t)api,
                                    (PyTypeObject *)type);
}
