/* Tables on one connection: connecting, writing, transactions, names. */

#include "bridge.h"

/* ---- Connecting ---- */

static void set_safety(Module *module, sqlite3 *db)
{
    if (module->safety == SQLITE_INNOCUOUS) {
        SQ(module->database->api, vtab_config)(db, SQLITE_VTAB_INNOCUOUS);
    } else if (module->safety == SQLITE_DIRECTONLY) {
        SQ(module->database->api, vtab_config)(db, SQLITE_VTAB_DIRECTONLY);
    }
}

static void table_free(Table *table)
{
    Module *module = table->module;
    if (module->watches) {
        module->database->watched = 0;
    }
    plans_clear(&table->plans);
    Py_XDECREF(table->instance);
    free(table);
    /* A statement of ours that stayed prepared would keep a closing connection open. */
    statements_forget(module->database);
    module_release(module);
}

static int declare(Table *table, sqlite3 *db, const char *schema)
{
    Database *database = table->module->database;
    int code;
    Py_BEGIN_ALLOW_THREADS
    code = SQ(database->api, declare_vtab)(db, schema);
    Py_END_ALLOW_THREADS
    return code == SQLITE_OK ? 0 : database_fail(database, code);
}

/* Reads .schema, .plan_table and .width of a new instance and declares it. */
static int table_describe(Table *table, sqlite3 *db)
{
    PyObject *schema = PyObject_GetAttrString(table->instance, "schema");
    PyObject *plans = PyObject_GetAttrString(table->instance, "plan_table");
    PyObject *width = PyObject_GetAttrString(table->instance, "width");
    const char *text = schema ? PyUnicode_AsUTF8AndSize(schema, NULL) : NULL;
    int outcome = -1;
    if (text != NULL && plans != NULL && width != NULL) {
        table->width = (int)PyLong_AsLong(width);
        outcome = PyErr_Occurred() ? -1 : plans_read(&table->plans, plans);
        outcome = outcome == 0 ? declare(table, db, text) : outcome;
    }
    Py_XDECREF(schema);
    Py_XDECREF(plans);
    Py_XDECREF(width);
    return outcome;
}

static PyObject *make_instance(Module *module, PyObject *factory, int argc,
                               const char *const *argv)
{
    PyObject *arguments = PyList_New(0);
    for (int i = 3; arguments != NULL && i < argc; i++) {
        PyObject *argument = PyUnicode_DecodeUTF8(argv[i], strlen(argv[i]), "replace");
        if (argument == NULL || PyList_Append(arguments, argument) < 0) {
            Py_CLEAR(arguments);
        }
        Py_XDECREF(argument);
    }
    if (arguments == NULL) {
        return NULL;
    }
    PyObject *instance = PyObject_CallFunction(factory, "OssO", (PyObject *)module->database,
                                               argv[1], argv[2], arguments);
    Py_DECREF(arguments);
    return instance;
}

static int table_start(Table *table, sqlite3 *db, PyObject *factory, int argc,
                       const char *const *argv)
{
    Module *module = table->module;
    if (factory == NULL) {
        table->width = module->width;
        return declare(table, db, module->schema);
    }
    table->instance = make_instance(module, factory, argc, argv);
    return table->instance ? table_describe(table, db) : -1;
}

static int connect_with(sqlite3 *db, Module *module, PyObject *factory, int argc,
                        const char *const *argv, sqlite3_vtab **out, char **message)
{
    Visit visit;
    int code = SQLITE_OK;
    if (!python_enter(&visit)) {
        return SQLITE_MISUSE;
    }
    Table *table = calloc(1, sizeof(Table));
    if (table == NULL) {
        code = SQLITE_NOMEM;
    } else {
        table->module = module;
        module->holders++;
        module->database->making++;
        set_safety(module, db);
        SQ(module->database->api, vtab_config)(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
        if (table_start(table, db, factory, argc, argv) < 0) {
            code = failure_to_pointer(module->database, message);
            table_free(table);
        } else {
            module->database->watched |= module->watches;
            *out = &table->base;
        }
        module->database->making--;
    }
    python_leave(&visit);
    return code;
}

static int table_create(sqlite3 *db, void *data, int argc, const char *const *argv,
                        sqlite3_vtab **out, char **message)
{
    Module *module = data;
    return connect_with(db, module, module->create, argc, argv, out, message);
}

static int table_connect(sqlite3 *db, void *data, int argc, const char *const *argv,
                         sqlite3_vtab **out, char **message)
{
    Module *module = data;
    return connect_with(db, module, module->connect, argc, argv, out, message);
}

static int table_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
    const Table *table = (const Table *)vtab;
    return plans_choose(table_plans(table), table->module->database->api, info);
}

/* ---- Calling the instance ---- */

static int table_enter(Table *table, Visit *visit)
{
    if (!python_enter(visit)) {
        return 0;
    }
    table->calls++;
    return 1;
}

static void table_leave(Table *table, Visit *visit)
{
    table->calls--;
    python_leave(visit);
}

/* Gives back the result of a call of the instance, or NULL after failure_to_table. */
static PyObject *ask(Table *table, int *code, PyObject *result)
{
    *code = result ? SQLITE_OK : failure_to_table(table->module->database, &table->base);
    return result;
}

/* SQLite keeps the words of an error that it did not report, and gives them to a later one. */
static void forget_words(Table *table)
{
    SQ(table->module->database->api, free)(table->base.zErrMsg);
    table->base.zErrMsg = NULL;
}

static int notify(sqlite3_vtab *vtab, const char *method)
{
    Table *table = (Table *)vtab;
    Visit visit;
    int code;
    if (!table_enter(table, &visit)) {
        return SQLITE_OK;
    }
    Py_XDECREF(ask(table, &code, PyObject_CallMethod(table->instance, method, NULL)));
    table_leave(table, &visit);
    return code;
}

/* Calls a method whose failure SQLite does not want to hear of. */
static void notify_unheard(Table *table, const char *method)
{
    PyObject *result = PyObject_CallMethod(table->instance, method, NULL);
    if (result == NULL && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        PyErr_Clear();
        interrupt_again();
    } else if (result == NULL) {
        PyErr_WriteUnraisable(table->instance);
    }
    Py_XDECREF(result);
}

static int notify_end(sqlite3_vtab *vtab, const char *method)
{
    Table *table = (Table *)vtab;
    Visit visit;
    if (table_enter(table, &visit)) {
        notify_unheard(table, method);
        table_leave(table, &visit);
    }
    return SQLITE_OK;
}

static int notify_number(sqlite3_vtab *vtab, const char *method, int number)
{
    Table *table = (Table *)vtab;
    Visit visit;
    int code;
    if (!table_enter(table, &visit)) {
        return SQLITE_OK;
    }
    Py_XDECREF(ask(table, &code, PyObject_CallMethod(table->instance, method, "i", number)));
    table_leave(table, &visit);
    return code;
}

static int table_begin(sqlite3_vtab *vtab) { return notify(vtab, "begin"); }
static int table_sync(sqlite3_vtab *vtab) { return notify(vtab, "sync"); }
static int table_commit(sqlite3_vtab *vtab) { return notify_end(vtab, "commit"); }
static int table_rollback(sqlite3_vtab *vtab) { return notify_end(vtab, "rollback"); }
static int table_savepoint(sqlite3_vtab *vtab, int n) { return notify_number(vtab, "savepoint", n); }
static int table_release(sqlite3_vtab *vtab, int n) { return notify_number(vtab, "release", n); }
static int table_rollback_to(sqlite3_vtab *vtab, int n)
{
    return notify_number(vtab, "rollback_to", n);
}

static int table_disconnect(sqlite3_vtab *vtab)
{
    Table *table = (Table *)vtab;
    Database *database = table->module->database;
    Visit visit;
    if (python_enter(&visit)) {
        if (table->instance != NULL) {
            database->leaving++;
            notify_unheard(table, "disconnect");
            database->leaving--;
        }
        table_free(table);
        python_leave(&visit);
    }
    return SQLITE_OK;
}

/* Refused while a callback of the table runs, for that would return into freed memory. */
static int table_destroy(sqlite3_vtab *vtab)
{
    Table *table = (Table *)vtab;
    Visit visit;
    int code;
    if (table->calls > 0) {
        return SQLITE_LOCKED;
    }
    if (!table_enter(table, &visit)) {
        return SQLITE_MISUSE;
    }
    Py_XDECREF(ask(table, &code, PyObject_CallMethod(table->instance, "destroy", NULL)));
    if (code == SQLITE_OK) {
        table_free(table);
        python_leave(&visit);
    } else {
        forget_words(table); /* SQLite does not ask for them here */
        table_leave(table, &visit);
    }
    return code;
}

static int table_rename(sqlite3_vtab *vtab, const char *name)
{
    Table *table = (Table *)vtab;
    Visit visit;
    int code;
    if (!table_enter(table, &visit)) {
        return SQLITE_MISUSE;
    }
    Py_XDECREF(ask(table, &code, PyObject_CallMethod(table->instance, "rename", "s", name)));
    table_leave(table, &visit);
    return code;
}

static int table_integrity(sqlite3_vtab *vtab, const char *schema, const char *name, int flags,
                           char **problem)
{
    Table *table = (Table *)vtab;
    Visit visit;
    int code;
    (void)schema, (void)name, (void)flags;
    if (!table_enter(table, &visit)) {
        return SQLITE_OK;
    }
    PyObject *text = ask(table, &code, PyObject_CallMethod(table->instance, "integrity", NULL));
    if (text != NULL && PyUnicode_Check(text)) {
        const char *utf8 = PyUnicode_AsUTF8AndSize(text, NULL);
        *problem = SQ(table->module->database->api, mprintf)("%s", utf8 ? utf8 : "damaged");
        PyErr_Clear();
    }
    Py_XDECREF(text);
    table_leave(table, &visit);
    return code;
}

/* ---- Writing ---- */

static const char *conflict_name(sqlite_api api, sqlite3 *db)
{
    static const char *const names[] = {"", "rollback", "ignore", "fail", "abort", "replace"};
    int number = SQ(api, vtab_on_conflict)(db);
    return number >= 1 && number <= 5 ? names[number] : "abort";
}

static PyObject *update_call(Table *table, int argc, sqlite3_value **argv)
{
    Database *database = table->module->database;
    sqlite_api api = database->api;
    if (argc == 1) {
        return PyObject_CallMethod(table->instance, "delete", "L",
                                   (long long)SQ(api, value_int64)(argv[0]));
    }
    PyObject *result = NULL;
    PyObject *values = values_to_tuple(api, argc - 2, argv + 2, NULL);
    PyObject *new_rowid = values ? value_to_python(api, argv[1]) : NULL;
    const char *conflict = conflict_name(api, database->db);
    if (new_rowid != NULL && SQ(api, value_type)(argv[0]) == SQLITE_NULL) {
        result = PyObject_CallMethod(table->instance, "insert", "OOs", new_rowid, values, conflict);
    } else if (new_rowid != NULL) {
        long long old = SQ(api, value_int64)(argv[0]);
        result = PyObject_CallMethod(table->instance, "update", "LOOs", old, new_rowid, values,
                                     conflict);
    }
    Py_XDECREF(values);
    Py_XDECREF(new_rowid);
    return result;
}

static int is_ignored(const Table *table, int code)
{
    enum { ON_CONFLICT_IGNORE = 2 };
    const Database *database = table->module->database;
    return (code & 0xff) == SQLITE_CONSTRAINT &&
           SQ(database->api, vtab_on_conflict)(database->db) == ON_CONFLICT_IGNORE;
}

static int table_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, int64_t *rowid)
{
    Table *table = (Table *)vtab;
    Visit visit;
    int code;
    if (!table_enter(table, &visit)) {
        return SQLITE_MISUSE;
    }
    PyObject *result = ask(table, &code, update_call(table, argc, argv));
    if (is_ignored(table, code)) {
        forget_words(table); /* the row is skipped */
    }
    if (result != NULL && PyLong_Check(result)) {
        *rowid = PyLong_AsLongLong(result);
    }
    Py_XDECREF(result);
    PyErr_Clear();
    table_leave(table, &visit);
    return code;
}

/* ---- What SQLite may call ---- */

void table_set_methods(Module *module, int hooks, int with_shadow)
{
    sqlite3_module *methods = &module->methods;
    methods->iVersion = 4;
    methods->xCreate = module->create ? table_create : NULL;
    methods->xConnect = table_connect;
    methods->xBestIndex = table_best_index;
    methods->xDisconnect = table_disconnect;
    methods->xDestroy = table_destroy;
    methods->xOpen = cursor_open;
    methods->xClose = cursor_close;
    methods->xFilter = cursor_filter;
    methods->xNext = cursor_next;
    methods->xEof = cursor_eof;
    methods->xColumn = cursor_column;
    methods->xRowid = cursor_rowid;
    methods->xUpdate = hooks & HOOK_WRITE ? table_update : NULL;
    if (hooks & HOOK_TRANSACTION) {
        methods->xBegin = table_begin;
        methods->xSync = table_sync;
        methods->xCommit = table_commit;
        methods->xRollback = table_rollback;
    }
    if (hooks & HOOK_SAVEPOINT) {
        methods->xSavepoint = table_savepoint;
        methods->xRelease = table_release;
        methods->xRollbackTo = table_rollback_to;
    }
    methods->xRename = hooks & HOOK_RENAME ? table_rename : NULL;
    methods->xShadowName = with_shadow ? module_is_shadow_name : NULL;
    methods->xIntegrity = hooks & HOOK_INTEGRITY ? table_integrity : NULL;
}
