/* What the files about keys share: those with a text (keys.c), client certificates
 * (certificates.c). */
#pragma once

#include "api/api_internal.h"

/* What a key did: meter's, in the month at hand. Zeros: it is new. */
struct api_key_use {
	uint64_t calls;
	uint64_t last_minute;
};

json_t *api_key_json(const struct account_key *key, const char *app, const struct api_key_use *use);

typedef int (*api_key_list_fn)(struct store *store, struct app_id app, bool only_valid,
			       uint64_t now_ns, struct key_id after, struct account_key *keys,
			       size_t most, size_t *ret_count, struct fault *fault);
/* Answers a page of the keys that `list` gives, by the arguments app, after and limit. */
int api_keys_answer(struct api_request *request, api_key_list_fn list, struct fault *fault);
