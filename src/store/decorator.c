/*
 * A driver around a driver: each operation passes two hooks. Tracing and failing are such hooks.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "store/store_internal.h"

struct hooked_connection {
	struct store_connection base;
	struct store_driver driver; /* as the inner one, but for what is hooked */
	struct store_connection *inner;
	const struct store_hooks *hooks;
	void *context;
};

struct hooked_cursor {
	struct store_cursor base;
	struct hooked_connection *connection;
	struct store_cursor *inner;
	char *sql;
};

static struct hooked_connection *connection_of(struct store_connection *connection)
{
	return (struct hooked_connection *)connection;
}

static struct store_cursor *inner_of(struct store_cursor *cursor)
{
	return ((struct hooked_cursor *)cursor)->inner;
}

static int hook_before(struct hooked_connection *connection, enum store_operation operation,
		       const char *sql, struct fault *fault)
{
	const struct store_trace trace = {.operation = operation, .sql = sql};

	if (connection->hooks->before == NULL)
		return 0;
	return connection->hooks->before(connection->context, &trace, fault);
}

static int hook_after(struct hooked_connection *connection, const struct store_trace *trace,
		      struct fault *fault)
{
	int code = 0;

	if (connection->hooks->after != NULL)
		code = connection->hooks->after(connection->context, trace, fault);
	return trace->code < 0 ? trace->code : code;
}

/* ---- transactions ---- */

static void hooked_close(struct store_connection *base)
{
	struct hooked_connection *connection = connection_of(base);

	connection->inner->driver->close(connection->inner);
	if (connection->hooks->close != NULL)
		connection->hooks->close(connection->context);
	free(connection);
}

static void hooked_rollback(struct store_connection *base)
{
	struct hooked_connection *connection = connection_of(base);

	(void)hook_before(connection, STORE_OPERATION_ROLLBACK, NULL, NULL);
	connection->inner->driver->rollback(connection->inner);
	(void)hook_after(connection, &(struct store_trace){.operation = STORE_OPERATION_ROLLBACK},
			 NULL);
}

static int hooked_begin(struct store_connection *base, enum store_access access,
			struct fault *fault)
{
	struct hooked_connection *connection = connection_of(base);

	int code = hook_before(connection, STORE_OPERATION_BEGIN, NULL, fault);
	if (code < 0)
		return code;
	code = connection->inner->driver->begin(connection->inner, access, fault);
	const bool begun = code == 0;
	code = hook_after(connection,
			  &(struct store_trace){.operation = STORE_OPERATION_BEGIN, .code = code},
			  fault);
	if (begun && code < 0)
		connection->inner->driver->rollback(connection->inner);
	return code;
}

static int hooked_commit(struct store_connection *base, struct fault *fault)
{
	struct hooked_connection *connection = connection_of(base);

	int code = hook_before(connection, STORE_OPERATION_COMMIT, NULL, fault);
	if (code < 0) {
		connection->inner->driver->rollback(connection->inner);
		return code;
	}
	code = connection->inner->driver->commit(connection->inner, fault);
	return hook_after(connection,
			  &(struct store_trace){.operation = STORE_OPERATION_COMMIT, .code = code},
			  fault);
}

static int hooked_copy(struct store_connection *base, const char *path, store_progress_fn progress,
		       void *context, struct fault *fault)
{
	struct store_connection *inner = connection_of(base)->inner;

	return inner->driver->copy(inner, path, progress, context, fault);
}

/* ---- statements ---- */

static int hooked_run(struct store_connection *base, const char *sql, struct fault *fault)
{
	struct hooked_connection *connection = connection_of(base);

	int code = hook_before(connection, STORE_OPERATION_RUN, sql, fault);
	if (code < 0)
		return code;
	code = connection->inner->driver->run(connection->inner, sql, fault);
	return hook_after(
		connection,
		&(struct store_trace){.operation = STORE_OPERATION_RUN, .sql = sql, .code = code},
		fault);
}

static int64_t hooked_changes(struct store_connection *base)
{
	struct store_connection *inner = connection_of(base)->inner;

	return inner->driver->changes(inner);
}

static int hooked_prepare(struct store_connection *base, const char *sql,
			  struct store_cursor **ret_cursor, struct fault *fault)
{
	struct hooked_connection *connection = connection_of(base);
	struct store_cursor *inner = NULL;

	int code = hook_before(connection, STORE_OPERATION_PREPARE, sql, fault);
	if (code < 0)
		return code;
	code = connection->inner->driver->prepare(connection->inner, sql, &inner, fault);
	const bool prepared = code == 0;
	code = hook_after(connection,
			  &(struct store_trace){
				  .operation = STORE_OPERATION_PREPARE, .sql = sql, .code = code},
			  fault);
	if (prepared && code < 0)
		inner->driver->finish(inner);
	if (code < 0)
		return code;

	struct hooked_cursor *cursor = calloc(1, sizeof(*cursor));
	check(cursor != NULL);
	cursor->base.driver = base->driver;
	cursor->connection = connection;
	cursor->inner = inner;
	cursor->sql = strdup(sql);
	check(cursor->sql != NULL);
	*ret_cursor = &cursor->base;
	return 0;
}

static void hooked_finish(struct store_cursor *base)
{
	struct hooked_cursor *cursor = (struct hooked_cursor *)base;

	cursor->inner->driver->finish(cursor->inner);
	free(cursor->sql);
	free(cursor);
}

static void hooked_bind(struct store_cursor *base, unsigned parameter,
			const struct store_value *value)
{
	inner_of(base)->driver->bind(inner_of(base), parameter, value);
}

static int hooked_step(struct store_cursor *base, bool *ret_row, struct fault *fault)
{
	struct hooked_cursor *cursor = (struct hooked_cursor *)base;

	int code = hook_before(cursor->connection, STORE_OPERATION_STEP, cursor->sql, fault);
	if (code < 0)
		return code;
	bool row = false;
	code = cursor->inner->driver->step(cursor->inner, &row, fault);
	code = hook_after(cursor->connection,
			  &(struct store_trace){.operation = STORE_OPERATION_STEP,
						.sql = cursor->sql,
						.code = code,
						.row = row},
			  fault);
	if (code == 0)
		*ret_row = row;
	return code;
}

static void hooked_reset(struct store_cursor *base)
{
	inner_of(base)->driver->reset(inner_of(base));
}

static void hooked_clear(struct store_cursor *base)
{
	inner_of(base)->driver->clear(inner_of(base));
}

static void hooked_column(struct store_cursor *base, unsigned column, struct store_value *ret_value)
{
	inner_of(base)->driver->column(inner_of(base), column, ret_value);
}

struct store_connection *store_hooked(struct store_connection *inner,
				      const struct store_hooks *hooks, void *context)
{
	struct hooked_connection *connection = calloc(1, sizeof(*connection));
	check(connection != NULL);
	connection->driver = (struct store_driver){
		.sqlite = inner->driver->sqlite,
		.close = hooked_close,
		.begin = hooked_begin,
		.commit = hooked_commit,
		.rollback = hooked_rollback,
		.run = hooked_run,
		.changes = hooked_changes,
		.prepare = hooked_prepare,
		.finish = hooked_finish,
		.bind = hooked_bind,
		.step = hooked_step,
		.reset = hooked_reset,
		.clear = hooked_clear,
		.column = hooked_column,
		.copy = hooked_copy,
	};
	connection->base.driver = &connection->driver;
	connection->inner = inner;
	connection->hooks = hooks;
	connection->context = context;
	return &connection->base;
}

/* ---- tracing ---- */

struct tracing {
	store_trace_fn trace;
	void *context;
};

static int tracing_after(void *context, const struct store_trace *trace, struct fault *fault)
{
	const struct tracing *tracing = context;

	(void)fault;
	tracing->trace(tracing->context, trace);
	return 0;
}

void store_trace(struct store *store, store_trace_fn trace, void *context)
{
	static const struct store_hooks hooks = {.after = tracing_after, .close = free};
	struct tracing *tracing = malloc(sizeof(*tracing));

	check(tracing != NULL);
	*tracing = (struct tracing){.trace = trace, .context = context};
	store_decorate(store, store_hooked(store_connection(store), &hooks, tracing));
}

const char *store_operation_name(enum store_operation operation)
{
	static const char *const names[] = {
		[STORE_OPERATION_BEGIN] = "begin",       [STORE_OPERATION_COMMIT] = "commit",
		[STORE_OPERATION_ROLLBACK] = "rollback", [STORE_OPERATION_RUN] = "run",
		[STORE_OPERATION_PREPARE] = "prepare",   [STORE_OPERATION_STEP] = "step",
	};

	check(operation < sizeof(names) / sizeof(names[0]));
	return names[operation];
}

/* ---- failing ---- */

static bool failure_is_due(const struct store_failure *failure)
{
	if (failure->fail_at == 0)
		return false;
	return failure->for_ever ? failure->calls >= failure->fail_at
				 : failure->calls == failure->fail_at;
}

static int failure_fault(const struct store_failure *failure, const struct store_trace *trace,
			 struct fault *fault)
{
	return fault_set(fault, failure->code < 0 ? failure->code : FAULT_STORE,
			 "store, at %s \"%s\": made to fail, call %llu",
			 store_operation_name(trace->operation),
			 trace->sql != NULL ? trace->sql : "", (unsigned long long)failure->calls);
}

static int failing_before(void *context, const struct store_trace *trace, struct fault *fault)
{
	struct store_failure *failure = context;

	if (trace->operation == STORE_OPERATION_ROLLBACK)
		return 0;
	failure->calls++;
	if (failure->afterwards || !failure_is_due(failure))
		return 0;
	return failure_fault(failure, trace, fault);
}

static int failing_after(void *context, const struct store_trace *trace, struct fault *fault)
{
	const struct store_failure *failure = context;

	if (trace->operation == STORE_OPERATION_ROLLBACK || !failure->afterwards ||
	    !failure_is_due(failure))
		return 0;
	return failure_fault(failure, trace, fault);
}

void store_fail(struct store *store, struct store_failure *failure)
{
	static const struct store_hooks hooks = {.before = failing_before, .after = failing_after};

	store_decorate(store, store_hooked(store_connection(store), &hooks, failure));
}
