#include "gateway/keep.h"

#include <stdlib.h>

#include "base/check.h"
#include "gateway/limits.h"

static struct keep *take(struct keep_pool *pool, size_t bytes)
{
	const bool small = bytes <= GATEWAY_KEEP_SMALL_BYTES;
	struct keep **list = small ? &pool->small : &pool->large;
	uint32_t *count = small ? &pool->small_count : &pool->large_count;
	struct keep *keep = *list;

	if (bytes > GATEWAY_KEEP_LARGE_BYTES)
		return NULL;
	if (keep != NULL) {
		*list = keep->next;
		(*count)--;
		return keep;
	}
	const uint32_t capacity = small ? GATEWAY_KEEP_SMALL_BYTES : GATEWAY_KEEP_LARGE_BYTES;
	keep = malloc(sizeof(*keep) + capacity);
	if (keep != NULL)
		keep->capacity = capacity;
	return keep;
}

void keep_give(struct keep_pool *pool, struct keep *keep)
{
	const bool small = keep->capacity == GATEWAY_KEEP_SMALL_BYTES;
	struct keep **list = small ? &pool->small : &pool->large;
	uint32_t *count = small ? &pool->small_count : &pool->large_count;

	if (*count >= GATEWAY_KEEP_IDLE_MAX) {
		free(keep);
		return;
	}
	keep->next = *list;
	*list = keep;
	(*count)++;
}

void keep_pool_fini(struct keep_pool *pool)
{
	struct keep **lists[] = {&pool->small, &pool->large};

	for (unsigned i = 0; i < 2; i++) {
		while (*lists[i] != NULL) {
			struct keep *keep = *lists[i];
			*lists[i] = keep->next;
			free(keep);
		}
	}
}

static struct slice copy(struct keep *keep, struct slice bytes)
{
	char *to = keep->bytes + keep->used;

	check_at_most(bytes.length, keep->capacity - keep->used);
	if (bytes.length > 0)
		memcpy(to, bytes.data, bytes.length);
	keep->used += (uint32_t)bytes.length;
	return slice_make(to, bytes.length);
}

static size_t fields_bytes(const struct http_header *headers, size_t count)
{
	size_t bytes = count * sizeof(*headers);

	for (size_t i = 0; i < count; i++)
		bytes += headers[i].name.length + headers[i].value.length;
	return bytes;
}

/* Their texts; the room for the array itself, at the begin, is counted as used already. */
static void copy_fields(struct keep *keep, const struct http_header *headers, size_t count)
{
	keep->headers = (struct http_header *)(void *)keep->bytes;
	keep->header_count = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		keep->headers[i] = headers[i];
		keep->headers[i].name = copy(keep, headers[i].name);
		keep->headers[i].value = copy(keep, headers[i].value);
	}
}

struct keep *keep_take(struct keep_pool *pool, const struct http_request *request, bool bare,
		       struct slice target)
{
	struct keep *keep = take(pool, fields_bytes(request->headers, request->header_count) +
					       request->method.length + bare + target.length +
					       request->authority.length);
	if (keep == NULL)
		return NULL;

	keep->used = (uint32_t)(request->header_count * sizeof(struct http_header));
	keep->method = copy(keep, request->method);
	keep->target = copy(keep, slice_make("/", bare));
	keep->target.length += copy(keep, target).length;
	keep->authority = copy(keep, request->authority);
	copy_fields(keep, request->headers, request->header_count);
	keep->body_bytes = request->body_bytes;
	keep->head_only = request->head_only;
	keep->idempotent = request->idempotent;
	keep->body_whole = true;
	keep->body_ended = false;
	keep->body_at = keep->used;
	return keep;
}

struct keep *keep_take_answer(struct keep_pool *pool, const struct http_response *response)
{
	check(response->body_bytes >= 0);
	struct keep *keep = take(pool, fields_bytes(response->headers, response->header_count) +
					       (size_t)response->body_bytes);

	if (keep == NULL)
		return NULL;
	keep->used = (uint32_t)(response->header_count * sizeof(struct http_header));
	copy_fields(keep, response->headers, response->header_count);
	keep->body_whole = true;
	keep->body_at = keep->used;
	return keep;
}

void keep_body(struct keep *keep, struct slice bytes)
{
	if (!keep->body_whole || bytes.length > keep->capacity - keep->used) {
		keep->body_whole = false;
		return;
	}
	copy(keep, bytes);
}

struct slice keep_body_slice(const struct keep *keep)
{
	return slice_make(keep->bytes + keep->body_at, keep->used - keep->body_at);
}
