/*
 * keep: a call's request, kept so that it can wait or be sent again; or a short answer, kept until
 * it is whole. Private to the gateway.
 *
 * The head's slices point into receive memory that dies with the callback; keep copies them in
 * one piece. A small body is kept behind it while there is room. Memory comes from free lists of
 * the worker, in two sizes, so that the call path allocates nothing once warm.
 *
 * Threads: a pool belongs to one worker.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "http/http.h"

struct keep {
	struct keep *next;
	uint32_t capacity; /* of bytes, in all */
	uint32_t used;
	uint32_t header_count;
	struct slice method;
	struct slice target;
	struct slice authority;
	int64_t body_bytes; /* as announced */
	bool head_only;
	bool idempotent;
	bool body_whole; /* all of the body that came is in `body` */
	bool body_ended;
	uint32_t body_at; /* offset in bytes */
	struct http_header *headers;
	_Alignas(16) char bytes[];
};

struct keep_pool {
	struct keep *small, *large;
	uint32_t small_count, large_count;
};

/* Copies the head, with `target` in place of the request's own, behind a '/' if it is `bare`.
 * NULL without memory. */
struct keep *keep_take(struct keep_pool *pool, const struct http_request *request, bool bare,
		       struct slice target);
/* The same for an answer's head, with room for its body behind it; its length must be known. */
struct keep *keep_take_answer(struct keep_pool *pool, const struct http_response *response);
void keep_give(struct keep_pool *pool, struct keep *keep);
void keep_pool_fini(struct keep_pool *pool);

/* Keeps a piece of the body, or notes that the body is not whole any more. */
void keep_body(struct keep *keep, struct slice bytes);
struct slice keep_body_slice(const struct keep *keep);
