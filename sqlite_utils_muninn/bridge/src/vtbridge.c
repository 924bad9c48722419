/* The Python module: SQLite virtual tables and functions, written in Python. */
#include "bridge.h"

static PyObject *configure(PyObject *module, PyObject *arguments)
{
    Python given;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOOOOOO", &given.sql_error, &given.interrupted,
                          &given.pointer, &given.rows, &given.query, &given.missing,
                          &given.nochange, &given.format_traceback)) {
        return NULL;
    }
    Py_INCREF(given.sql_error);
    Py_INCREF(given.interrupted);
    Py_INCREF(given.pointer);
    Py_INCREF(given.rows);
    Py_INCREF(given.query);
    Py_INCREF(given.missing);
    Py_INCREF(given.nochange);
    Py_INCREF(given.format_traceback);
    python = given;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"configure", configure, METH_VARARGS, "Takes the classes of the Python half."},
    {"hook_address", attach_hook_address, METH_NOARGS, "Address of the auto-extension hook."},
    {"expect", attach_expect, METH_NOARGS, "The next connection shown to this thread is ours."},
    {"seen", attach_seen, METH_NOARGS, "What was shown: (connection, routines)."},
    {"database", attach_database, METH_VARARGS, "The handle of a connection."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_vtbridge", NULL, -1, functions, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__vtbridge(void)
{
    PyObject *module = PyModule_Create(&definition);
    database_type = (PyTypeObject *)PyType_FromSpec(&database_spec);
    buffer_type = (PyTypeObject *)PyType_FromSpec(&buffer_spec);
    dictionary_type = (PyTypeObject *)PyType_FromSpec(&dictionary_spec);
    if (module == NULL || database_type == NULL || buffer_type == NULL ||
        dictionary_type == NULL ||
        PyModule_AddObjectRef(module, "Database", (PyObject *)database_type) < 0 ||
        PyModule_AddObjectRef(module, "Dictionary", (PyObject *)dictionary_type) < 0) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
