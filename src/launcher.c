/*
 * launcher - the installed programs: one executable that embeds CPython and runs bearwrap.programs.main().
 *
 * A connection is one exec of this program, so its start is what a connection costs. The interpreter is therefore
 * brought up isolated (no site, no environment, no current directory, no signal handlers) and, with
 * BEARWRAP_CORE_ONLY, only through its core phase: builtin and frozen modules work; the path, encodings, io, site
 * and sys.stdout are never set up. The compiled extension is a builtin module, and our Python modules are frozen
 * into frozen_modules.h by build-aux/freeze.py, so that not one file is opened.
 *
 * What was measured, and what is missing in the core-only form, stands in build-aux/README.md.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <limits.h>
#include <string.h>
#include <unistd.h>

#if defined BEARWRAP_OWN_TABLES && PY_VERSION_HEX < 0x030e0000
#define Py_BUILD_CORE 1
#undef _PyGC_FINALIZED /* both headers have it */
#include <internal/pycore_runtime.h>
#define BEARWRAP_NO_COLLECTION
#endif

#include "frozen_modules.h"

#define EXIT_FATAL 111 /* the temporary-failure code of the programs we stand beside */

#ifndef BEARWRAP_ENTRY
#define BEARWRAP_ENTRY "bearwrap.programs"
#define BEARWRAP_PROGRAMS
#endif

#define CHECK(status) give_up_if(status)

PyMODINIT_FUNC PyInit__bear(void);
int bw_program(int argc, char **argv); /* again.pxi */

static const char *program = "bearwrap";

/* write_line - one line on stderr by one write(2); control bytes become '?', so that it stays one line. */
static void write_line(const char *first, const char *second)
{
    char line[1024];
    size_t length = 0;
    const char *parts[4] = {program, ": fatal: ", first, second};

    for (int i = 0; i < 4; i++)
        for (const char *p = parts[i]; *p && length < sizeof line - 1; p++)
            line[length++] = ((unsigned char)*p < 32 || *p == 127) ? '?' : *p;
    line[length++] = '\n';
    if (write(2, line, length) < 0)
        return; /* nowhere to say it; the exit code still tells */
}

static void die(const char *first, const char *second)
{
    write_line(first, second);
    _exit(EXIT_FATAL);
}

/* give_up_if - end the program if a step of the interpreter's start failed. */
static void give_up_if(PyStatus status)
{
    if (PyStatus_Exception(status))
        die("unable to start Python: ", status.err_msg ? status.err_msg : "unknown reason");
}

#ifdef BEARWRAP_TEST_HOOKS
/* write_trace - where an exception came from, outermost frame first, a line each; for the tests' programs only. */
static void write_trace(PyObject *trace)
{
    while (trace && trace != Py_None) {
        PyObject *line = PyObject_GetAttrString(trace, "tb_lineno");
        PyObject *frame = PyObject_GetAttrString(trace, "tb_frame");
        PyObject *code = frame ? PyObject_GetAttrString(frame, "f_code") : NULL;
        PyObject *file = code ? PyObject_GetAttrString(code, "co_filename") : NULL;
        PyObject *name = code ? PyObject_GetAttrString(code, "co_name") : NULL;
        if (line && file && name) {
            char text[512];
            snprintf(text, sizeof text, "  at %s:%ld in %s", PyUnicode_AsUTF8(file), PyLong_AsLong(line),
                     PyUnicode_AsUTF8(name));
            write_line(text, "");
        }
        PyErr_Clear();
        trace = PyObject_GetAttrString(trace, "tb_next");
    }
    PyErr_Clear();
}
#endif

/* die_exception - print the pending Python exception as one line and exit; a traceback would need io. */
static void die_exception(void)
{
    const char *text = NULL;
    char head[256];
    PyObject *value = NULL;

#if PY_VERSION_HEX >= 0x030c0000
    value = PyErr_GetRaisedException();
#else
    PyObject *type, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (value && trace)
        PyException_SetTraceback(value, trace);
#endif
    if (!value)
        die("no result and no exception", "");
    snprintf(head, sizeof head, "%s: ", Py_TYPE(value)->tp_name);
    PyObject *string = PyObject_Str(value);
    if (string)
        text = PyUnicode_AsUTF8(string);
    PyErr_Clear();
    write_line(head, text ? text : "(no text)");
#ifdef BEARWRAP_TEST_HOOKS
    write_trace(PyException_GetTraceback(value));
#endif
    _exit(EXIT_FATAL);
}

/* start - bring the interpreter up; nothing of the environment or the current directory is consulted. */
static void start(void)
{
    PyPreConfig pre;
    PyConfig config;

#ifdef BEARWRAP_NO_COLLECTION
    /* Two collections happen before one may say so by PyGC_Disable(): 0.35 of 6.5 million instructions. */
    _PyRuntime._main_interpreter.gc.enabled = 0;
#endif
    PyPreConfig_InitIsolatedConfig(&pre);
    pre.configure_locale = 0;
    pre.coerce_c_locale = 0;
    pre.utf8_mode = 1;
    pre.parse_argv = 0;
    CHECK(Py_PreInitialize(&pre));

    if (PyImport_AppendInittab("bearwrap._bear", PyInit__bear) < 0)
        die("unable to start Python: ", "no memory");
    PyImport_FrozenModules = frozen_modules;

    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.install_signal_handlers = 0;
    config.write_bytecode = 0;
    config.user_site_directory = 0;
    config.pathconfig_warnings = 0;
    config.parse_argv = 0;
    config.configure_c_stdio = 0;
    config.buffered_stdio = 0;
    /* Every path is given, so that none is computed. */
    config.module_search_paths_set = 1;
    CHECK(PyConfig_SetString(&config, &config.program_name, L"bearwrap"));
    CHECK(PyConfig_SetString(&config, &config.executable, L""));
    CHECK(PyConfig_SetString(&config, &config.base_executable, L""));
    CHECK(PyConfig_SetString(&config, &config.home, L""));
    CHECK(PyConfig_SetString(&config, &config.prefix, L""));
    CHECK(PyConfig_SetString(&config, &config.exec_prefix, L""));
    CHECK(PyConfig_SetString(&config, &config.base_prefix, L""));
    CHECK(PyConfig_SetString(&config, &config.base_exec_prefix, L""));
#ifdef BEARWRAP_CORE_ONLY
    config._init_main = 0;
#else
    /* The full form needs the encodings package, whose place was fixed at build time. */
    CHECK(PyWideStringList_Append(&config.module_search_paths, BEARWRAP_STDLIB));
#endif
    CHECK(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);
    /* One connection makes too little garbage to collect, and a first collection costs 0.1 ms. */
    PyGC_Disable();
}

#ifndef BEARWRAP_OWN_TABLES
/*
 * load_compiled - load the builtin bearwrap._bear and bind it in its package. CPython's own finder of builtin
 * modules passes over a name inside a package up to 3.11, hence by hand, with importlib's own loader. (With our
 * tables src/importer.py does it.)
 */
static int load_compiled(void)
{
    int result = -1;
    PyObject *package = PyImport_ImportModule("bearwrap");
    PyObject *importlib = package ? PyImport_ImportModule("_frozen_importlib") : NULL;
    PyObject *loader = importlib ? PyObject_GetAttrString(importlib, "BuiltinImporter") : NULL;
    PyObject *spec = loader ? PyObject_CallMethod(importlib, "spec_from_loader", "sO", "bearwrap._bear", loader)
                            : NULL;
    PyObject *module = spec ? PyObject_CallMethod(importlib, "_load", "O", spec) : NULL;

    if (module)
        result = PyObject_SetAttrString(package, "_bear", module);
    Py_XDECREF(module);
    Py_XDECREF(spec);
    Py_XDECREF(loader);
    Py_XDECREF(importlib);
    Py_XDECREF(package);
    return result;
}
#endif

/* arguments - argv as a list of bytes. */
static PyObject *arguments(int argc, char **argv)
{
    PyObject *list = PyList_New(argc);

    for (int i = 0; list && i < argc; i++) {
        PyObject *item = PyBytes_FromString(argv[i]);
        if (!item)
            return NULL;
        PyList_SET_ITEM(list, i, item);
    }
    return list;
}

/* self_path - where this executable lies, or argv[0] when /proc is not there. */
static PyObject *self_path(char **argv)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);

    if (length <= 0 || (size_t)length >= sizeof path)
        return PyBytes_FromString(argv[0]);
    return PyBytes_FromStringAndSize(path, length);
}

int main(int argc, char **argv)
{
    PyObject *module = NULL;

    if (argc < 1)
        die("no program name", "");
    const char *slash = strrchr(argv[0], '/');
    program = slash ? slash + 1 : argv[0];

#ifdef BEARWRAP_PROGRAMS
    int done = bw_program(argc, argv);
    if (done >= 0)
        _exit(done & 255);
#endif
    start();
#ifndef BEARWRAP_OWN_TABLES
    if (load_compiled() == 0)
#endif
        module = PyImport_ImportModule(BEARWRAP_ENTRY);
    PyObject *list = module ? arguments(argc, argv) : NULL;
    PyObject *path = list ? self_path(argv) : NULL;
    PyObject *result = path ? PyObject_CallMethod(module, "main", "OO", list, path) : NULL;
    long code = result ? PyLong_AsLong(result) : -1;
    if (PyErr_Occurred() || !result)
        die_exception();
    /* Not exit(): nothing is buffered, and tearing the interpreter down would only cost time. */
    _exit((int)(code & 255));
}
