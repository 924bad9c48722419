/* What makes the file a Python extension, so that it is compiled and found as one: it has no
 * functions for Python, its C functions are called through ctypes, which releases the GIL. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_encoder", NULL, 0, NULL, NULL,
                                        NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__encoder(void) {
    return PyModule_Create(&definition);
}
