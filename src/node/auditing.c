/* The audit thread: what became durable enters the log, and its new head is signed. */
#include "node/node_internal.h"

#include <stdio.h>
#include <time.h>

#include "base/check.h"
#include "base/log.h"

#define LOG_FOLDER      "audit"
#define ROUND_NS        CLOCK_NS_PER_S
#define ADVANCE_RECORDS (1u << 20) /* between two heads, where much is to be caught up with */
#define PATROL_TILES    16         /* looked at again in each round */

int auditing_open(struct node *node, struct fault *fault)
{
	char folder[NODE_PATH_MAX + 16];
	const struct audit_logs_options options = {
		.journal = node->journal,
		.folder = folder,
		.node = NODE_NUMBER,
		.signer = &node->signer,
	};

	snprintf(folder, sizeof(folder), "%s/" LOG_FOLDER, node->folder);
	const int code = audit_signer_load(node->folder, node->config.name, node->random,
					   &node->signer, fault);
	return code < 0 ? code : audit_logs_open(&options, &node->logs, fault);
}

static int stream_step(struct node *node, uint32_t stream, struct fault *fault)
{
	uint64_t taken;

	do {
		const int code =
			audit_logs_advance(node->logs, stream, ADVANCE_RECORDS, &taken, fault);
		if (code < 0)
			return code;
	} while (taken == ADVANCE_RECORDS && !atomic_load(&node->stopping));
	struct audit_log *log = audit_logs_find(node->logs, stream);
	return log == NULL ? 0 : audit_log_patrol(log, PATROL_TILES, fault);
}

static void audit_round(struct node *node)
{
	const uint64_t now_ns = clock_wall_ns(node->clock);
	struct fault failure = {0}, damage = {0};

	for (uint32_t i = 0; i < journal_stream_count(node->journal); i++) {
		struct fault fault;
		const int code = stream_step(node, i, &fault);
		if (code < 0)
			*(code == FAULT_DAMAGED ? &damage : &failure) = fault;
	}
	troubles_note(&node->troubles, TROUBLE_AUDIT, now_ns, failure.code < 0 ? &failure : NULL);
	troubles_note(&node->troubles, TROUBLE_DAMAGE, now_ns, damage.code < 0 ? &damage : NULL);
}

static void *run_audit(void *context)
{
	struct node *node = context;

	for (;;) {
		const uint64_t due_ns = clock_monotonic_ns(clock_system()) + ROUND_NS;
		const struct timespec due = {.tv_sec = (time_t)(due_ns / CLOCK_NS_PER_S),
					     .tv_nsec = (long)(due_ns % CLOCK_NS_PER_S)};
		audit_round(node);
		/* Posted once, to stop. */
		if (sem_clockwait(&node->audit_stop, CLOCK_MONOTONIC, &due) == 0)
			return NULL;
	}
}

int auditing_start(struct node *node, struct fault *fault)
{
	const int error = pthread_create(&node->audit_thread, NULL, run_audit, node);

	if (error != 0)
		return fault_set_errno(fault, error, "start the audit's thread");
	node->audit_running = true;
	return 0;
}

void auditing_stop(struct node *node)
{
	if (node->audit_running) {
		sem_post(&node->audit_stop);
		check_equal(pthread_join(node->audit_thread, NULL), 0);
		node->audit_running = false;
		audit_round(node);
	}
	audit_logs_close(node->logs);
	audit_signer_fini(&node->signer);
	node->logs = NULL;
}
