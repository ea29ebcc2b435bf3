/*
 * ids: one-member structs, so that two kinds cannot be swapped.
 *
 * An id is a positive 64-bit integer that the store gives out; 0 means none. People and
 * programs see it as an opaque text, a prefix and the number ("acct_12"). A call id is a
 * UUIDv7 (RFC 9562): time-ordered, made once a call, before it is forwarded.
 *
 * Threads: any (values).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct account_id {
	uint64_t value;
};
struct app_id {
	uint64_t value;
};
struct key_id {
	uint64_t value;
};
struct token_id {
	uint64_t value;
};
struct service_id {
	uint64_t value;
};
struct plan_id {
	uint64_t value;
}; /* one version of one plan */
struct subscription_id {
	uint64_t value;
};
struct instance_id {
	uint64_t value;
}; /* unique within a node's life */
struct ledger_account_id {
	uint64_t value;
};

struct call_id {
	uint8_t bytes[16];
};

#define ID_TEXT_MAX      32 /* bytes, with the NUL */
#define CALL_ID_TEXT_MAX 37 /* 36 and the NUL */

/* "prefix_number". Prefixes: acct, app, key, token, svc, plan, sub, inst, ledger. */
void id_format(const char *prefix, uint64_t value, char text[ID_TEXT_MAX]);
bool id_parse(const char *prefix, struct slice text, uint64_t *ret_value);

/* Version 7: 48 bits of Unix milliseconds, 74 bits from `entropy`. */
struct call_id call_id_make(uint64_t unix_ms, const uint8_t entropy[10]);
void call_id_format(struct call_id id, char text[CALL_ID_TEXT_MAX]);
bool call_id_parse(struct slice text, struct call_id *ret_id);
