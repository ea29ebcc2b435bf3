/*
 * troubles: what of the node cannot do its work now, why, what that means and what to do about it.
 * It is logged when it begins and when it is over (journal.failed, journal.recovered), and
 * `stoa status` shows it meanwhile. Private to the node.
 *
 * Threads: any.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "base/fault.h"

/* kind, part, what it means, what to do */
#define TROUBLES(X)                                                                                \
	X(JOURNAL, "journal", "calls are refused (503) before a service works",                    \
	  "make room on the disk of journal/ and it goes on by itself; where the reason is a "     \
	  "failed sync, look at the disk and start the node again")                                \
	X(POSTER, "poster",                                                                        \
	  "calls go on while leases last, then they are refused (503); what was recorded is "      \
	  "posted later, once",                                                                    \
	  "make room on the disk of the store, or end the program that locks it; it goes on "      \
	  "by itself")                                                                             \
	X(AUDIT, "audit", "calls go on; their receipts come later",                                \
	  "make room on the disk of audit/ and it goes on by itself")                              \
	X(DAMAGE, "damage",                                                                        \
	  "calls go on; nothing is signed any more for the stream of the journal whose signed "    \
	  "log does not agree with it",                                                            \
	  "keep a copy of the cloud's folder, then restore the file that the reason names from a " \
	  "backup")

enum trouble_kind {
#define X(kind, part, effect, advice) TROUBLE_##kind,
	TROUBLES(X)
#undef X
		TROUBLE_KINDS
};

struct troubles {
	pthread_mutex_t mutex;
	struct trouble {
		bool present;
		uint64_t since_ns; /* Unix */
		char reason[FAULT_TEXT_MAX];
	} of[TROUBLE_KINDS];
};

void troubles_init(struct troubles *troubles);
void troubles_fini(struct troubles *troubles);
/* The part failed at wall_ns for `fault`; NULL: it works. Only a change is logged. */
void troubles_note(struct troubles *troubles, enum trouble_kind kind, uint64_t wall_ns,
		   const struct fault *fault);

bool troubles_present(struct troubles *troubles, enum trouble_kind kind);
const char *trouble_part(enum trouble_kind kind);
/* A list of those that are present, for the API's Status. */
json_t *troubles_json(struct troubles *troubles);
