/* Modules: what Python declares, as SQLite holds it. */

#include "bridge.h"

/* A table holds its module: SQLite 3.40 lets go of one that has been replaced first, and then calls
 * xDisconnect through it. */
void module_release(Module *module)
{
    if (--module->holders > 0) {
        return;
    }
    Py_XDECREF(module->create);
    Py_XDECREF(module->connect);
    Py_XDECREF(module->call);
    plans_clear(&module->plans);
    free(module->schema);
    database_release(module->database);
    free(module);
}

static void module_free(void *data)
{
    Visit visit;
    if (python_enter(&visit)) { /* else the process is ending: its memory goes with it */
        module_release(data);
        python_leave(&visit);
    }
}

/* SQLite asks for shadow names without saying whose they are: one set for all modules. */
#define MOST_SHADOW_NAMES 32
static char shadow_names[MOST_SHADOW_NAMES][24];
static int shadow_count;

int module_is_shadow_name(const char *suffix)
{
    for (int i = 0; i < shadow_count; i++) {
        if (strcmp(shadow_names[i], suffix) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Called with the GIL; a name is complete before the count admits it. */
static int shadow_names_add(PyObject *names)
{
    for (Py_ssize_t i = 0; i < PyTuple_Size(names); i++) {
        const char *name = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(names, i), NULL);
        if (name == NULL) {
            return -1;
        }
        if (module_is_shadow_name(name)) {
            continue;
        }
        if (shadow_count == MOST_SHADOW_NAMES || strlen(name) >= sizeof(shadow_names[0])) {
            PyErr_SetString(PyExc_ValueError, "too many or too long shadow table names");
            return -1;
        }
        strcpy(shadow_names[shadow_count], name);
        shadow_count++;
    }
    return 0;
}

static PyObject *optional(PyObject *object) { return object == Py_None ? NULL : Py_NewRef(object); }

static Module *module_new(Database *database, PyObject *arguments, const char **name)
{
    PyObject *create, *connect, *call, *plans, *shadow;
    const char *schema;
    int hooks, parameters, pushdown, width, safety, eponymous;
    if (!PyArg_ParseTuple(arguments, "sOOOsiiiOO!iip", name, &create, &connect, &call, &schema,
                          &parameters, &width, &pushdown, &plans, &PyTuple_Type, &shadow, &safety,
                          &hooks, &eponymous) ||
        shadow_names_add(shadow) < 0) {
        return NULL;
    }
    Module *module = calloc(1, sizeof(Module));
    char *copy = malloc(strlen(schema) + 1);
    if (module == NULL || copy == NULL) {
        free(module);
        free(copy);
        PyErr_NoMemory();
        return NULL;
    }
    module->schema = strcpy(copy, schema);
    module->database = database;
    module->create = optional(create);
    module->connect = optional(connect);
    module->call = optional(call);
    module->parameters = parameters;
    module->width = width;
    module->pushdown = pushdown;
    module->safety = safety;
    module->holders = 1;
    module->watches = strcmp(*name, WATCH_NAME) == 0;
    database_hold(database);
    if (plans_read(&module->plans, plans) < 0) {
        module_release(module);
        return NULL;
    }
    table_set_methods(module, hooks, PyTuple_Size(shadow) > 0);
    if (eponymous && module->create != NULL) {
        /* The same function: also found by its name. */
        module->methods.xCreate = module->methods.xConnect;
    }
    return module;
}

PyObject *database_create_module(Database *database, PyObject *arguments)
{
    const char *name;
    int code;
    if (!database_is_open(database)) {
        return NULL;
    }
    if (database->making > 0) {
        /* SQLite would free the module that it is about to use. */
        PyErr_SetString(python.sql_error,
                        "no module can be registered while a table is being made");
        return NULL;
    }
    Module *module = module_new(database, arguments, &name);
    if (module == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    code = SQ(database->api, create_module_v2)(database->db, name, &module->methods, module,
                                               module_free);
    Py_END_ALLOW_THREADS
    if (code != SQLITE_OK) {
        database_fail(database, code); /* SQLite has called module_free */
        return NULL;
    }
    Py_RETURN_NONE;
}
