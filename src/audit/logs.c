/* All logs of a node: one a stream, opened when the stream has its first record. */
#include "audit/audit_internal.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct audit_logs {
	struct journal *journal;
	char *folder;
	uint32_t node;
	const struct audit_signer *signer;
	pthread_mutex_t opening;
	_Atomic(struct audit_log *) of[JOURNAL_STREAMS_MAX];
};

int audit_logs_open(const struct audit_logs_options *options, struct audit_logs **ret_logs,
		    struct fault *fault)
{
	const int code = disk_system()->folder_make(disk_system(), options->folder, 0700, fault);

	if (code < 0)
		return code;
	struct audit_logs *logs = calloc(1, sizeof(*logs));
	check(logs != NULL);
	logs->journal = options->journal;
	logs->folder = strdup(options->folder);
	logs->node = options->node;
	logs->signer = options->signer;
	check(logs->folder != NULL);
	check_equal(pthread_mutex_init(&logs->opening, NULL), 0);
	*ret_logs = logs;
	return 0;
}

void audit_logs_close(struct audit_logs *logs)
{
	if (logs == NULL)
		return;
	for (uint32_t i = 0; i < JOURNAL_STREAMS_MAX; i++)
		audit_log_close(atomic_load(&logs->of[i]));
	pthread_mutex_destroy(&logs->opening);
	free(logs->folder);
	free(logs);
}

static int open_log(struct audit_logs *logs, uint32_t stream, struct audit_log **ret_log,
		    struct fault *fault)
{
	char folder[AUDIT_PATH_MAX];
	char origin[AUDIT_NAME_MAX];
	const struct audit_log_options options = {
		.journal = logs->journal,
		.stream = stream,
		.folder = folder,
		.origin = origin,
		.signer = logs->signer,
	};

	if (snprintf(folder, sizeof(folder), "%s/%" PRIu32, logs->folder, stream) >= AUDIT_PATH_MAX)
		return fault_set(fault, FAULT_INPUT, "the path of %s is too long", logs->folder);
	if (snprintf(origin, sizeof(origin), "%s/node-%" PRIu32 "/journal-%" PRIu32,
		     logs->signer->key.name, logs->node, stream) >= AUDIT_NAME_MAX)
		return fault_set(fault, FAULT_INPUT, "the name of the log's key is too long");
	return audit_log_open(&options, ret_log, fault);
}

static int get_log(struct audit_logs *logs, uint32_t stream, struct audit_log **ret_log,
		   struct fault *fault)
{
	int code = 0;

	check_equal(pthread_mutex_lock(&logs->opening), 0);
	struct audit_log *log = atomic_load(&logs->of[stream]);
	if (log == NULL)
		code = open_log(logs, stream, &log, fault);
	if (code == 0)
		atomic_store(&logs->of[stream], log);
	check_equal(pthread_mutex_unlock(&logs->opening), 0);
	if (code == 0)
		*ret_log = log;
	return code;
}

int audit_logs_advance(struct audit_logs *logs, uint32_t stream, uint64_t most, uint64_t *ret_taken,
		       struct fault *fault)
{
	struct audit_log *log = audit_logs_find(logs, stream);

	*ret_taken = 0;
	if (log == NULL && (stream >= journal_stream_count(logs->journal) ||
			    journal_stream_durable(logs->journal, stream) == 0))
		return 0;
	const int code = log == NULL ? get_log(logs, stream, &log, fault) : 0;
	return code < 0 ? code : audit_log_advance(log, most, ret_taken, fault);
}

struct audit_log *audit_logs_find(struct audit_logs *logs, uint32_t stream)
{
	return stream < JOURNAL_STREAMS_MAX ? atomic_load(&logs->of[stream]) : NULL;
}

const struct audit_signer *audit_logs_signer(const struct audit_logs *logs)
{
	return logs->signer;
}

const struct audit_key *audit_logs_key(const struct audit_logs *logs)
{
	return &logs->signer->key;
}
