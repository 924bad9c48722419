/* Scalar functions. */
#include "bridge.h"

typedef struct {
    Database *database;
    PyObject *call;
    int required; /* a NULL among the first so many arguments gives NULL without a call */
    int json;
} Function;

static void function_free(void *data)
{
    Function *function = data;
    Visit visit;
    if (!python_enter(&visit)) {
        return;
    }
    Py_XDECREF(function->call);
    database_release(function->database);
    free(function);
    python_leave(&visit);
}

static int is_null(sqlite_api api, sqlite3_value *value)
{
    return SQ(api, value_type)(value) == SQLITE_NULL &&
           SQ(api, value_pointer)(value, "muninn") == NULL;
}

static void fail(Function *function, sqlite_api api, sqlite3_context *context)
{
    Failure failure = failure_take(function->database);
    if (failure.message != NULL) {
        SQ(api, result_error)(context, failure.message, -1);
        SQ(api, free)(failure.message);
    }
    SQ(api, result_error_code)(context, failure.code); /* after the text: it keeps a text */
    if (failure.rearm) {
        interrupt_again();
    }
}

static void function_run(sqlite_api api, sqlite3_context *context, int argc, sqlite3_value **argv)
{
    Function *function = SQ(api, user_data)(context);
    Visit visit;
    for (int i = 0; i < argc && i < function->required; i++) {
        if (is_null(api, argv[i])) {
            return;
        }
    }
    if (!python_enter(&visit)) {
        SQ(api, result_error_code)(context, SQLITE_MISUSE);
        return;
    }
    PyObject *arguments = values_to_tuple(api, argc, argv, (PyObject *)function->database);
    PyObject *result = arguments ? PyObject_Call(function->call, arguments, NULL) : NULL;
    if (result == NULL || python_to_result(api, context, result, function->json) < 0) {
        fail(function, api, context);
    }
    Py_XDECREF(arguments);
    Py_XDECREF(result);
    python_leave(&visit);
}

/* A function's data can only be had through the routines of the library that calls, and a thunk is
 * not told which one that is: so each library has its own thunk. */
#define THUNK(number)                                                                             \
    static void thunk_##number(sqlite3_context *context, int argc, sqlite3_value **argv)          \
    {                                                                                             \
        function_run(library_api(number), context, argc, argv);                                   \
    }
THUNK(0)
THUNK(1)
THUNK(2)
THUNK(3)
THUNK(4)
THUNK(5)
static const sqlite_function thunks[MOST_LIBRARIES] = {thunk_0, thunk_1, thunk_2,
                                                       thunk_3, thunk_4, thunk_5};

PyObject *database_create_function(Database *database, PyObject *arguments)
{
    const char *name;
    PyObject *call;
    int argc, flags, required, json, code;
    if (!PyArg_ParseTuple(arguments, "siOiip", &name, &argc, &call, &flags, &required, &json) ||
        !database_is_open(database)) {
        return NULL;
    }
    Function *function = calloc(1, sizeof(Function));
    if (function == NULL) {
        return PyErr_NoMemory();
    }
    function->database = database;
    function->call = Py_NewRef(call);
    function->required = required;
    function->json = json;
    database_hold(database);
    flags |= SQLITE_UTF8 | (json ? SQLITE_RESULT_SUBTYPE : 0);
    Py_BEGIN_ALLOW_THREADS
    code = SQ(database->api, create_function_v2)(database->db, name, argc, flags, function,
                                                 thunks[database->library], NULL, NULL,
                                                 function_free);
    Py_END_ALLOW_THREADS
    if (code != SQLITE_OK) {
        database_fail(database, code); /* SQLite has called function_free */
        return NULL;
    }
    Py_RETURN_NONE;
}
