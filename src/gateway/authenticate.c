/* The key behind a call: found, valid, allowed; and when it ends. */
#include "gateway/call.h"

#include "base/api_key.h"
#include "base/scope.h"
#include "base/secret.h"

enum call_step call_refuse_unknown(struct call *call, enum problem problem)
{
	const bool complete = atomic_load(&call->worker->gateway->directory.complete);

	return call_refuse(call, complete ? problem : PROBLEM_DIRECTORY, 0);
}

/* The one key of the request, or the problem with it. */
static bool find_key_text(struct call *call, struct slice *ret_key, enum problem *ret_problem)
{
	const struct http_request *request = call->request;
	static const struct slice bearer = {.data = "bearer ", .length = 7};
	uint32_t found = 0, api_keys = 0;

	for (size_t i = 0; i < request->header_count; i++) {
		const struct http_header *header = &request->headers[i];
		if (header->known == HTTP_X_API_KEY) {
			*ret_key = header->value;
			api_keys++;
		}
	}
	for (size_t i = 0; i < request->header_count && api_keys == 0; i++) {
		const struct http_header *header = &request->headers[i];
		if (header->known != HTTP_AUTHORIZATION)
			continue;
		found++;
		if (slice_equal_ignore_case(slice_part(header->value, 0, bearer.length), bearer)) {
			*ret_key = slice_trim(
				slice_part(header->value, bearer.length, header->value.length));
			call->key_in_authorization = true;
		}
	}
	if (found > 1 || api_keys > 1) {
		*ret_problem = PROBLEM_KEY_AMBIGUOUS;
		return false;
	}
	*ret_problem = PROBLEM_KEY_MISSING;
	return ret_key->length > 0;
}

/* The digest, computed once for all calls of a connection that send the same key. */
static const uint8_t *digest_of(struct call *call, struct slice key)
{
	struct call_connection *connection = http_exchange_connection_state(call->exchange);

	if (connection->key_bytes != key.length ||
	    !secret_equal(connection->key, key.data, key.length)) {
		if (key.length > sizeof(connection->key) || !api_key_shape(key))
			return NULL;
		const struct api_key_digest digest = api_key_digest(key);
		memcpy(connection->digest, digest.bytes, sizeof(connection->digest));
		memcpy(connection->key, key.data, key.length);
		connection->key_bytes = (uint32_t)key.length;
	}
	return connection->digest;
}

/* Expiry is a time of day, what a call waits for is a span. */
static void set_key_end(struct call *call, uint64_t expires_us)
{
	const uint64_t started_us = call->started_wall_ns / CLOCK_NS_PER_US;

	call->key_ends_ns = UINT64_MAX;
	if (expires_us != UINT64_MAX)
		call->key_ends_ns =
			call->started_ns + (expires_us <= started_us
						    ? 0
						    : (expires_us - started_us) * CLOCK_NS_PER_US);
}

enum call_step call_authenticate(struct call *call)
{
	struct directory *directory = &call->worker->gateway->directory;
	struct slice text = {0};
	enum problem problem;

	if (!find_key_text(call, &text, &problem))
		return call_refuse(call, problem, 0);
	const uint8_t *digest = digest_of(call, text);
	if (digest == NULL)
		return call_refuse(call, PROBLEM_KEY_INVALID, 0);
	const struct directory_key *key = directory_find_key(directory, digest);
	if (key == NULL)
		return call_refuse_unknown(call, PROBLEM_KEY_INVALID);
	if (key->expires_us != 0 && call->started_wall_ns / CLOCK_NS_PER_US >= key->expires_us)
		return call_refuse(call, PROBLEM_KEY_INVALID, 0);
	if (key->scope_bytes > 0 &&
	    !scope_allows(directory_key_scopes(key), slice_of(call->service->name),
			  call->request->method, call->target))
		return call_refuse(call, PROBLEM_SCOPE, 0);
	call->key = key->id;
	set_key_end(call, key->expires_us == 0 ? UINT64_MAX : key->expires_us);
	call->subscription = directory_find_subscription(directory, key->app, call->service);
	if (call->subscription == NULL)
		return call_refuse_unknown(call, PROBLEM_NO_SUBSCRIPTION);
	return CALL_ADMIT;
}

void call_key_expires(struct call *call, uint64_t expires_us)
{
	set_key_end(call, expires_us);
	if (call->deadline_ns > call->key_ends_ns)
		call->deadline_ns = call->key_ends_ns;
	if (call->wait_due_ns > call->key_ends_ns)
		call->wait_due_ns = call->key_ends_ns;
	if (call->timer.due_ns > call->deadline_ns)
		loop_timer_set(call->worker->loop, &call->timer, call->deadline_ns);
}
