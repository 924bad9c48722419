/* The handle that callbacks get instead of the user's connection.
 *
 * It prepares and steps statements itself, without the GIL: Python's sqlite3 in its legacy mode
 * would open a transaction inside the running statement.
 */
#include "bridge.h"

PyTypeObject *database_type;

static Database *open_databases; /* guarded by the GIL */

/* ---- Life ---- */

PyObject *database_known(sqlite3 *db)
{
    for (Database *database = open_databases; database != NULL; database = database->next) {
        if (database->db == db) {
            return Py_NewRef((PyObject *)database);
        }
    }
    Py_RETURN_NONE;
}

Database *database_for(sqlite3 *db, sqlite_api api, PyTypeObject *type)
{
    PyObject *known = database_known(db);
    if (known != Py_None) {
        return (Database *)known;
    }
    Py_DECREF(known);
    if (SQ(api, libversion_number)() < SQLITE_LEAST_VERSION) {
        PyErr_SetString(python.sql_error, "SQLite 3.38 or newer is needed");
        return NULL;
    }
    int library = library_number(api);
    if (library < 0) {
        PyErr_SetString(python.sql_error, "too many SQLite libraries in one process");
        return NULL;
    }
    Database *database = (Database *)PyObject_CallNoArgs((PyObject *)type);
    if (database != NULL) {
        database->db = db;
        database->api = api;
        database->library = library;
    }
    return database;
}

/* The first registration makes the handle findable; when SQLite has given back the last one, the
 * connection is closing and its pointer must not be used again. */
void database_hold(Database *database)
{
    if (database->registrations++ == 0) {
        database->next = open_databases;
        open_databases = database;
    }
    Py_INCREF((PyObject *)database);
}

void database_release(Database *database)
{
    if (--database->registrations == 0) {
        Database **link = &open_databases;
        while (*link != NULL && *link != database) {
            link = &(*link)->next;
        }
        if (*link != NULL) {
            *link = database->next;
        }
        statements_forget(database);
        database->db = NULL;
    }
    Py_DECREF((PyObject *)database);
}

static void database_dealloc(PyObject *self)
{
    Database *database = (Database *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_CLEAR(database->last_error);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

int database_is_open(Database *database)
{
    if (database->db == NULL) {
        PyErr_SetString(python.sql_error, "the connection is closed");
        return 0;
    }
    return 1;
}

int database_fail(Database *database, int code)
{
    sqlite_api api = database->api;
    if ((code & 0xff) == SQLITE_INTERRUPT) {
        PyErr_SetString(python.interrupted, "interrupted");
        return -1;
    }
    if (PyErr_Occurred()) {
        return -1; /* a parameter that could not be bound */
    }
    PyObject *text = PyUnicode_DecodeUTF8(SQ(api, errmsg)(database->db),
                                          strlen(SQ(api, errmsg)(database->db)), "replace");
    int extended = SQ(api, extended_errcode)(database->db);
    if ((extended & 0xff) != (code & 0xff)) {
        extended = code;
    }
    PyObject *error =
        text ? PyObject_CallFunction(python.sql_error, "Oi", text, extended) : NULL;
    if (error != NULL) {
        PyErr_SetObject(python.sql_error, error);
    }
    Py_XDECREF(error);
    Py_XDECREF(text);
    return -1;
}

/* ---- Interrupts ---- */

/* A progress handler (Datasette's time limit) runs only while SQLite's own machine does: so a
 * small statement of about a thousand steps is run, and stopped if the host wants us to stop. */
PyObject *database_check(Database *database, PyObject *unused)
{
    static PyObject *sql;
    (void)unused;
    if (!database_is_open(database)) {
        return NULL;
    }
    if (SQ(database->api, libversion_number)() >= SQLITE_VERSION_WITH_IS_INTERRUPTED &&
        SQ(database->api, is_interrupted)(database->db)) {
        PyErr_SetString(python.interrupted, "interrupted");
        return NULL;
    }
    if (sql == NULL) {
        sql = PyUnicode_InternFromString("WITH RECURSIVE steps(n) AS (SELECT 1 UNION ALL SELECT "
                                         "n + 1 FROM steps LIMIT 80) SELECT count(*) FROM steps");
    }
    PyObject *parameters = sql ? PyTuple_Pack(1, sql) : NULL;
    PyObject *rows = parameters ? database_execute(database, parameters) : NULL;
    Py_XDECREF(parameters);
    if (rows == NULL) {
        return NULL;
    }
    Py_DECREF(rows);
    Py_RETURN_NONE;
}

/* ---- Small facts ---- */

static const char *schema_argument(PyObject *arguments)
{
    const char *schema = "main";
    return PyArg_ParseTuple(arguments, "|s", &schema) ? schema : NULL;
}

static PyObject *database_filename(PyObject *self, PyObject *arguments)
{
    Database *database = (Database *)self;
    const char *schema = schema_argument(arguments);
    if (schema == NULL || !database_is_open(database)) {
        return NULL;
    }
    const char *name = SQ(database->api, db_filename)(database->db, schema);
    return PyUnicode_DecodeFSDefault(name ? name : "");
}

static PyObject *database_read_only(PyObject *self, PyObject *arguments)
{
    Database *database = (Database *)self;
    const char *schema = schema_argument(arguments);
    if (schema == NULL || !database_is_open(database)) {
        return NULL;
    }
    return PyBool_FromLong(SQ(database->api, db_readonly)(database->db, schema) == 1);
}

/* Without a statement: while a table is being connected, one that finds the schema changed would
 * forget the schema that SQLite is just at work with. */
static PyObject *database_has_table(PyObject *self, PyObject *arguments)
{
    Database *database = (Database *)self;
    const char *schema, *table;
    if (!PyArg_ParseTuple(arguments, "ss", &schema, &table) || !database_is_open(database)) {
        return NULL;
    }
    int code = SQ(database->api, table_column_metadata)(database->db, schema, table, NULL, NULL,
                                                        NULL, NULL, NULL, NULL);
    return PyBool_FromLong(code == SQLITE_OK);
}

static PyObject *database_transaction_state(PyObject *self, PyObject *arguments)
{
    static const char *const names[] = {"none", "read", "write"};
    Database *database = (Database *)self;
    const char *schema = schema_argument(arguments);
    if (schema == NULL || !database_is_open(database)) {
        return NULL;
    }
    int state = SQ(database->api, txn_state)(database->db, schema);
    return PyUnicode_FromString(state >= 0 && state <= 2 ? names[state] : "none");
}

static PyObject *database_data_version(PyObject *self, PyObject *arguments)
{
    Database *database = (Database *)self;
    const char *schema = schema_argument(arguments);
    unsigned version;
    if (schema == NULL || !database_is_open(database)) {
        return NULL;
    }
    if (!data_version(database, schema, &version)) {
        Py_RETURN_NONE;
    }
    return PyLong_FromUnsignedLong(version);
}

/* Runs the entry point of another extension (its address) on this connection. */
static PyObject *database_initialize(PyObject *self, PyObject *arguments)
{
    Database *database = (Database *)self;
    unsigned long long address;
    char *message = NULL;
    int code;
    if (!PyArg_ParseTuple(arguments, "K", &address) || !database_is_open(database)) {
        return NULL;
    }
    sqlite_init initialize = (sqlite_init)(uintptr_t)address;
    Py_BEGIN_ALLOW_THREADS
    code = initialize(database->db, &message, database->api);
    Py_END_ALLOW_THREADS
    if (code == SQLITE_OK) {
        Py_RETURN_NONE;
    }
    if (message == NULL) {
        database_fail(database, code);
        return NULL;
    }
    PyErr_SetString(python.sql_error, message);
    SQ(database->api, free)(message);
    return NULL;
}

#define NUMBER_GETTER(name, type, expression)                                                     \
    static PyObject *name(PyObject *self, void *unused)                                           \
    {                                                                                             \
        Database *database = (Database *)self;                                                    \
        (void)unused;                                                                             \
        return database_is_open(database) ? type(expression) : NULL;                              \
    }

NUMBER_GETTER(get_in_transaction, PyBool_FromLong, !SQ(database->api, get_autocommit)(database->db))
NUMBER_GETTER(get_changes, PyLong_FromLong, SQ(database->api, changes)(database->db))
NUMBER_GETTER(get_total_changes, PyLong_FromLong, SQ(database->api, total_changes)(database->db))
NUMBER_GETTER(get_rowid, PyLong_FromLongLong, SQ(database->api, last_insert_rowid)(database->db))
NUMBER_GETTER(get_version, PyLong_FromLong, SQ(database->api, libversion_number)())

static int set_rowid(PyObject *self, PyObject *value, void *unused)
{
    Database *database = (Database *)self;
    (void)unused;
    long long rowid = value ? PyLong_AsLongLong(value) : 0;
    if (PyErr_Occurred() || !database_is_open(database)) {
        return -1;
    }
    SQ(database->api, set_last_insert_rowid)(database->db, rowid);
    return 0;
}

static PyObject *get_closed(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((Database *)self)->db == NULL);
}

static PyObject *get_library(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLong(((Database *)self)->library);
}

static PyObject *get_last_error(PyObject *self, void *unused)
{
    PyObject *text = ((Database *)self)->last_error;
    (void)unused;
    return Py_NewRef(text ? text : Py_None);
}

static PyGetSetDef database_getset[] = {
    {"in_transaction", get_in_transaction, NULL, "Whether a transaction is open.", NULL},
    {"changes", get_changes, NULL, "Rows changed by the last statement.", NULL},
    {"total_changes", get_total_changes, NULL, "Rows changed since the connection opened.", NULL},
    {"last_insert_rowid", get_rowid, set_rowid, "Rowid of the last INSERT.", NULL},
    {"sqlite_version", get_version, NULL, "Number of the SQLite library, as 3045001.", NULL},
    {"library", get_library, NULL, "Which of the process's SQLite libraries, from 0.", NULL},
    {"closed", get_closed, NULL, "Whether the connection is closed.", NULL},
    {"last_error", get_last_error, NULL, "Traceback of the last failed callback.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef database_methods[] = {
    {"execute", (PyCFunction)database_execute, METH_VARARGS, "Runs one statement, gives its rows."},
    {"read_columns", (PyCFunction)database_columns, METH_VARARGS, "Runs one statement by column."},
    {"read_blobs", (PyCFunction)database_blobs, METH_VARARGS, "Reads blobs by key."},
    {"check", (PyCFunction)database_check, METH_NOARGS, "Raises Interrupted when it must stop."},
    {"filename", database_filename, METH_VARARGS, "Absolute path of a schema's file, or ''."},
    {"read_only", database_read_only, METH_VARARGS, "Whether a schema cannot be written."},
    {"has_table", database_has_table, METH_VARARGS, "Whether a schema has a table."},
    {"transaction_state", database_transaction_state, METH_VARARGS, "none, read or write."},
    {"data_version", database_data_version, METH_VARARGS, "Number of what is read, or None."},
    {"initialize", database_initialize, METH_VARARGS, "Runs an extension's entry point."},
    {"create_function", (PyCFunction)database_create_function, METH_VARARGS, NULL},
    {"create_module", (PyCFunction)database_create_module, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot database_slots[] = {
    {Py_tp_dealloc, database_dealloc},
    {Py_tp_methods, database_methods},
    {Py_tp_getset, database_getset},
    {0, NULL},
};

PyType_Spec database_spec = {
    "sqlite_utils_muninn.bridge._vtbridge.Database",
    sizeof(Database),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    database_slots,
};
