/* Plans: what a table declares it can answer, and xBestIndex's choice among them.
 *
 * The choice is pure C: SQLite asks many times while it prepares one statement. What was chosen
 * travels to xFilter in idxNum (which plan) and idxStr, for instance
 *
 *     knn 0m 2= L |3
 *
 * the plan's name (EXPLAIN QUERY PLAN shows it), then for each argument the column and the
 * operator, L for LIMIT and O for OFFSET, then the mask of the columns that the statement reads.
 */
#include "bridge.h"

#include <stdio.h>

/* ---- Declarations ---- */

static int use_read(Use *use, PyObject *source)
{
    const char *op;
    PyObject *key;
    int required, hidden, expected;
    if (!PyArg_ParseTuple(source, "isUppp", &use->column, &op, &key, &required, &hidden,
                          &expected)) {
        return -1;
    }
    use->op = op[0];
    use->required = (unsigned char)required;
    use->hidden = (unsigned char)hidden;
    use->expected = (unsigned char)expected;
    use->key = Py_NewRef(key);
    return 0;
}

static int plan_read_order(Plan *plan, PyObject *order)
{
    Py_ssize_t count = PyTuple_Size(order);
    plan->order = calloc(count ? count : 1, sizeof(*plan->order));
    if (plan->order == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        int descending;
        if (!PyArg_ParseTuple(PyTuple_GetItem(order, i), "ip", &plan->order[i].column,
                              &descending)) {
            return -1;
        }
        plan->order[i].descending = (unsigned char)descending;
        plan->order_count++;
    }
    return 0;
}

static int plan_read(Plan *plan, PyObject *source)
{
    PyObject *label, *uses, *order;
    long long rows;
    if (!PyArg_ParseTuple(source, "UO!O!dLp", &label, &PyTuple_Type, &uses, &PyTuple_Type, &order,
                          &plan->cost, &rows, &plan->unique)) {
        return -1;
    }
    const char *name = PyUnicode_AsUTF8AndSize(label, NULL);
    Py_ssize_t count = PyTuple_Size(uses);
    plan->rows = rows;
    plan->label = Py_NewRef(label);
    plan->name = name ? malloc(strlen(name) + 1) : NULL;
    plan->uses = calloc(count ? count : 1, sizeof(Use));
    if (plan->name == NULL || plan->uses == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    strcpy(plan->name, name);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (use_read(&plan->uses[i], PyTuple_GetItem(uses, i)) < 0) {
            return -1;
        }
        plan->use_count++;
    }
    return plan_read_order(plan, order);
}

void plans_clear(Plans *plans)
{
    for (int i = 0; i < plans->count; i++) {
        Plan *plan = &plans->plans[i];
        for (int u = 0; u < plan->use_count; u++) {
            Py_XDECREF(plan->uses[u].key);
        }
        Py_XDECREF(plan->label);
        free(plan->name);
        free(plan->uses);
        free(plan->order);
    }
    free(plans->plans);
    memset(plans, 0, sizeof(*plans));
}

int plans_read(Plans *plans, PyObject *source)
{
    memset(plans, 0, sizeof(*plans));
    PyObject *tuple = PySequence_Tuple(source);
    if (tuple == NULL) {
        return -1;
    }
    Py_ssize_t count = PyTuple_Size(tuple);
    int outcome = 0;
    plans->plans = calloc(count ? count : 1, sizeof(Plan));
    if (plans->plans == NULL) {
        PyErr_NoMemory();
        outcome = -1;
    }
    for (Py_ssize_t i = 0; outcome == 0 && i < count; i++) {
        plans->count++;
        outcome = plan_read(&plans->plans[i], PyTuple_GetItem(tuple, i));
    }
    Py_DECREF(tuple);
    if (outcome < 0) {
        plans_clear(plans);
    }
    return outcome;
}

/* ---- xBestIndex: without the GIL ---- */

static int is_limit(unsigned char op)
{
    return op == SQLITE_INDEX_CONSTRAINT_LIMIT || op == SQLITE_INDEX_CONSTRAINT_OFFSET;
}

/* Visible columns are compared byte by byte: another collation is SQLite's to apply. */
static int is_binary(const Use *use, sqlite_api api, sqlite3_index_info *info, int i)
{
    return use->hidden || use->column < 0 || strcmp(SQ(api, vtab_collation)(info, i), "BINARY") == 0;
}

/* Whether a use can take a constraint; 'i' takes an IN that can be had as one list. */
static int fits(const Use *use, sqlite_api api, sqlite3_index_info *info, int i)
{
    const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
    if (constraint->iColumn != use->column || is_limit(constraint->op) ||
        !is_binary(use, api, info, i)) {
        return 0;
    }
    switch (use->op) {
    case '=':
        return constraint->op == SQLITE_INDEX_CONSTRAINT_EQ;
    case 'i':
        return constraint->op == SQLITE_INDEX_CONSTRAINT_EQ && SQ(api, vtab_in)(info, i, -1);
    case '<':
        return constraint->op == SQLITE_INDEX_CONSTRAINT_LT;
    case 'l':
        return constraint->op == SQLITE_INDEX_CONSTRAINT_LE;
    case '>':
        return constraint->op == SQLITE_INDEX_CONSTRAINT_GT;
    case 'g':
        return constraint->op == SQLITE_INDEX_CONSTRAINT_GE;
    case 'm':
        return constraint->op == SQLITE_INDEX_CONSTRAINT_MATCH;
    default:
        return 0;
    }
}

/* The first constraint that serves this use: -1 none, -2 there is one but not in this order of
 * tables. A use that takes whole IN lists comes before "=" in the declaration. */
static int find_constraint(const Use *use, sqlite_api api, sqlite3_index_info *info)
{
    int found = -1;
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraintUsage[i].argvIndex == 0 && fits(use, api, info, i)) {
            if (info->aConstraint[i].usable) {
                return i;
            }
            found = -2;
        }
    }
    return found;
}

/* Whether a constraint that only we can answer is there, but cannot be used in this order. */
static int is_blocked(const Plans *plans, sqlite_api api, sqlite3_index_info *info)
{
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraint[i].usable) {
            continue;
        }
        for (int p = 0; p < plans->count; p++) {
            for (int u = 0; u < plans->plans[p].use_count; u++) {
                const Use *use = &plans->plans[p].uses[u];
                if (use->hidden && fits(use, api, info, i)) {
                    return 1;
                }
            }
        }
    }
    return 0;
}

static int is_answerable(const Plan *plan, sqlite_api api, sqlite3_index_info *info)
{
    for (int u = 0; u < plan->use_count; u++) {
        if (plan->uses[u].required && find_constraint(&plan->uses[u], api, info) < 0) {
            return 0;
        }
    }
    return 1;
}

static int order_is_natural(const Plan *plan, const sqlite3_index_info *info)
{
    if (info->nOrderBy > plan->order_count) {
        return 0;
    }
    for (int i = 0; i < info->nOrderBy; i++) {
        if (info->aOrderBy[i].iColumn != plan->order[i].column ||
            info->aOrderBy[i].desc != plan->order[i].descending) {
            return 0;
        }
    }
    return 1;
}

/* LIMIT may be used only where nothing behind us can drop or reorder rows. */
static int limit_is_exact(const sqlite3_index_info *info)
{
    for (int i = 0; i < info->nConstraint; i++) {
        int is_settled = is_limit(info->aConstraint[i].op)
                             ? info->aConstraint[i].usable
                             : info->aConstraintUsage[i].argvIndex > 0;
        if (!is_settled) {
            return 0;
        }
    }
    return info->nOrderBy == 0 || info->orderByConsumed;
}

static void take_limit(sqlite3_index_info *info, int *arguments, char **text, char *end)
{
    for (int i = 0; i < info->nConstraint; i++) {
        if (is_limit(info->aConstraint[i].op) && info->aConstraint[i].usable) {
            int is_offset = info->aConstraint[i].op == SQLITE_INDEX_CONSTRAINT_OFFSET;
            info->aConstraintUsage[i].argvIndex = ++*arguments;
            *text += snprintf(*text, end - *text, " %c", is_offset ? 'O' : 'L');
        }
    }
}

static int take_plan(const Plan *plan, sqlite_api api, sqlite3_index_info *info)
{
    size_t size = strlen(plan->name) + 24 * ((size_t)info->nConstraint + 2);
    char *text = SQ(api, malloc)((int)size);
    if (text == NULL) {
        return SQLITE_NOMEM;
    }
    char *at = text + sprintf(text, "%s", plan->name);
    int arguments = 0;
    int per_value = 0; /* an IN that is answered one value at a time */
    double cost = plan->cost;
    for (int u = 0; u < plan->use_count; u++) {
        const Use *use = &plan->uses[u];
        int i = find_constraint(use, api, info);
        if (i < 0) {
            cost = use->expected ? 1e18 : cost;
            continue;
        }
        info->aConstraintUsage[i].argvIndex = ++arguments;
        info->aConstraintUsage[i].omit = use->hidden;
        if (use->op == 'i') {
            SQ(api, vtab_in)(info, i, 1);
        } else if (use->op == '=' && SQ(api, vtab_in)(info, i, -1)) {
            per_value = 1;
        }
        at += snprintf(at, text + size - at, " %d%c", use->column, use->op);
    }
    info->orderByConsumed = info->nOrderBy > 0 && order_is_natural(plan, info);
    if (!per_value && limit_is_exact(info)) {
        take_limit(info, &arguments, &at, text + size);
    }
    snprintf(at, text + size - at, " |%llx", (unsigned long long)info->colUsed);
    info->idxStr = text;
    info->needToFreeIdxStr = 1;
    info->estimatedCost = cost;
    info->estimatedRows = plan->rows;
    info->idxFlags = plan->unique ? SQLITE_INDEX_SCAN_UNIQUE : 0;
    return SQLITE_OK;
}

int plans_choose(const Plans *plans, sqlite_api api, sqlite3_index_info *info)
{
    if (is_blocked(plans, api, info)) {
        return SQLITE_CONSTRAINT;
    }
    for (int p = 0; p < plans->count; p++) {
        if (is_answerable(&plans->plans[p], api, info)) {
            info->idxNum = p;
            return take_plan(&plans->plans[p], api, info);
        }
    }
    return SQLITE_CONSTRAINT;
}

/* ---- Back in xFilter ---- */

void plan_reader_start(PlanReader *reader, const Plans *plans, int number, const char *text)
{
    reader->plan = &plans->plans[number];
    const char *mask = strrchr(text, '|');
    reader->used = mask ? strtoull(mask + 1, NULL, 16) : ~0ULL;
    reader->cursor = text + strlen(reader->plan->name);
}

int plan_reader_next(PlanReader *reader, const Use **use)
{
    const char *at = reader->cursor;
    while (*at == ' ') {
        at++;
    }
    if (*at == '|' || *at == '\0') {
        return ARGUMENT_END;
    }
    reader->cursor = at + 1;
    if (*at == 'L') {
        return ARGUMENT_LIMIT;
    }
    if (*at == 'O') {
        return ARGUMENT_OFFSET;
    }
    char *op;
    long column = strtol(at, &op, 10);
    reader->cursor = op + 1;
    for (int u = 0; u < reader->plan->use_count; u++) {
        const Use *candidate = &reader->plan->uses[u];
        if (candidate->column == column && candidate->op == *op) {
            *use = candidate;
            return ARGUMENT_USE;
        }
    }
    return ARGUMENT_END;
}
