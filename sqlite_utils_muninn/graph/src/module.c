/* The Python module: one function, call(name, stop, *arguments), that checks and runs a kernel. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kernels.h"

static const Kernel kernels[] = {
    {"csr", "iiDqiDIn", csr},
    {"simplify", "qiDiqiDI", simplify},
    {"induce", "qiDiiqiDi", induce},
    {"bfs", "qiinniii", bfs},
    {"dfs", "qinniiiiq", dfs},
    {"components", "iiiii", components},
    {"connected_groups", "qiiiii", connected_groups},
    {"dijkstra", "qidnndiii", dijkstra},
    {"closeness", "qinnmmmqii", closeness},
    {"closeness_weighted", "qidnnddiii", closeness_weighted},
    {"brandes", "qiDiDDddiidii", brandes},
    {"pagerank", "qiDddxnxddd", pagerank},
    {"move_nodes", "qiddxxidbiiindn", move_nodes},
    {"refine", "qiddxxiddi", refine},
    {"aggregate", "qiDiiqdqid", aggregate},
    {"walks", "qiDxxniin", walks},
    {"skip_gram", "iiiffnnxnqn", skip_gram},
    {"ball", "qiDinniiq", ball},
    {"spread", "qiDiinnxxndddibd", spread},
    {"trace", "qiDiidddxnnxiqdiiddqid", trace},
};
#define MOST_ARGUMENTS 24

static int array_code(const char *typestr)
{
    static const struct {
        const char *type;
        char code;
    } known[] = {{"i4", 'i'}, {"i8", 'q'}, {"f8", 'd'}, {"f4", 'f'}, {"u1", 'b'}, {"u8", 'm'}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (typestr[0] != '\0' && strcmp(typestr + 1, known[i].type) == 0) {
            return known[i].code;
        }
    }
    return 0;
}

/* Reads a contiguous array of one dimension. */
static int read_array(Argument *argument, PyObject *object, char code)
{
    PyObject *interface = PyObject_GetAttrString(object, "__array_interface__");
    if (interface == NULL) {
        return -1;
    }
    PyObject *shape = PyDict_GetItemString(interface, "shape");
    PyObject *typestr = PyDict_GetItemString(interface, "typestr");
    PyObject *data = PyDict_GetItemString(interface, "data");
    PyObject *strides = PyDict_GetItemString(interface, "strides");
    const char *type = typestr ? PyUnicode_AsUTF8AndSize(typestr, NULL) : NULL;
    int good = type != NULL && array_code(type) == code && shape && PyTuple_Size(shape) == 1 &&
               data && PyTuple_Check(data) && (strides == NULL || strides == Py_None);
    if (good) {
        argument->length = PyLong_AsLongLong(PyTuple_GetItem(shape, 0));
        argument->as.bytes = PyLong_AsVoidPtr(PyTuple_GetItem(data, 0));
    }
    Py_DECREF(interface);
    if (!good && !PyErr_Occurred()) {
        PyErr_Format(PyExc_TypeError, "expected a contiguous array of kind '%c'", code);
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int read_argument(Argument *argument, PyObject *object, char code)
{
    memset(argument, 0, sizeof(*argument));
    if (code == 'n') {
        argument->as.number = PyLong_AsLongLong(object);
    } else if (code == 'x') {
        argument->as.real = PyFloat_AsDouble(object);
    } else if (code >= 'A' && code <= 'Z') {
        return object == Py_None ? 0 : read_array(argument, object, (char)(code + 'a' - 'A'));
    } else {
        return read_array(argument, object, code);
    }
    return PyErr_Occurred() ? -1 : 0;
}

static const Kernel *find_kernel(PyObject *name)
{
    const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, NULL) : NULL;
    for (size_t i = 0; text && i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        if (strcmp(kernels[i].name, text) == 0) {
            return &kernels[i];
        }
    }
    PyErr_Format(PyExc_ValueError, "no kernel is called %R", name);
    return NULL;
}

static PyObject *call(PyObject *module, PyObject *given)
{
    Argument arguments[MOST_ARGUMENTS], stop;
    Py_ssize_t count = PyTuple_Size(given) - 2;
    (void)module;
    const Kernel *kernel = count >= 0 ? find_kernel(PyTuple_GetItem(given, 0)) : NULL;
    if (kernel == NULL) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "call(name, stop, ...)");
    }
    if (count != (Py_ssize_t)strlen(kernel->signature)) {
        return PyErr_Format(PyExc_TypeError, "%s takes %zu arguments, not %zd", kernel->name,
                            strlen(kernel->signature), count);
    }
    if (read_argument(&stop, PyTuple_GetItem(given, 1), 'i') < 0) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (read_argument(&arguments[i], PyTuple_GetItem(given, i + 2), kernel->signature[i]) < 0) {
            return NULL;
        }
    }
    Pulse pulse = {stop.as.ints, PULSE};
    int64_t result;
    Py_BEGIN_ALLOW_THREADS
    result = kernel->run(arguments, &pulse);
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(result);
}

static PyMethodDef functions[] = {
    {"call", call, METH_VARARGS, "Runs a kernel: call(name, stop, *arguments)."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_kernels", NULL, -1, functions, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernels(void)
{
    return PyModule_Create(&definition);
}
