/* The key or the certificate behind a call: found, valid, allowed; and when it ends. */
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
static uint64_t end_of(const struct call *call, uint64_t expires_us)
{
	const uint64_t started_us = call->started_wall_ns / CLOCK_NS_PER_US;

	if (expires_us == UINT64_MAX)
		return UINT64_MAX;
	return call->started_ns +
	       (expires_us <= started_us ? 0 : (expires_us - started_us) * CLOCK_NS_PER_US);
}

/* Unix microseconds; UINT64_MAX: never. */
static uint64_t expiry_of(const struct directory_key *key)
{
	return key->expires_us == 0 ? UINT64_MAX : key->expires_us;
}

/* The key ends then, and the call with it, unless the certificate has ended it before. */
static void end_by(struct call *call, uint64_t ends_ns)
{
	if (ends_ns >= call->key_ends_ns)
		return;
	call->key_ends_ns = ends_ns;
	call->certificate_ends = false;
}

/* The key that the request holds. NULL: none is there, or it is refused and *ret_problem says why;
 * PROBLEM_COUNT: the directory does not have it. */
static const struct directory_key *find_key(struct call *call, enum problem *ret_problem)
{
	struct slice text = {0};

	if (!find_key_text(call, &text, ret_problem))
		return NULL;
	*ret_problem = PROBLEM_KEY_INVALID;
	const uint8_t *digest = digest_of(call, text);
	if (digest == NULL)
		return NULL;
	const struct directory_key *key =
		directory_find_key(&call->worker->gateway->directory, digest);
	if (key == NULL)
		*ret_problem = PROBLEM_COUNT;
	else if (call->started_wall_ns / CLOCK_NS_PER_US >= expiry_of(key))
		return NULL;
	return key;
}

/* What a certificate that the client has shown stands for; one that stands for nothing is refused
 * whatever else the request holds. */
static bool certify(struct call *call, struct certificate *shown,
		    const struct directory_key **ret_certificate)
{
	const struct directory_key *certificate =
		certificate_find(shown, &call->worker->gateway->directory);

	if (certificate == NULL) {
		call_refuse_unknown(call, PROBLEM_CERTIFICATE);
		return false;
	}
	const uint64_t own_us = shown->ends_us, mapped_us = expiry_of(certificate);
	const uint64_t expires_us = own_us < mapped_us ? own_us : mapped_us;
	if (call->started_wall_ns / CLOCK_NS_PER_US >= expires_us) {
		call_refuse(call, PROBLEM_CERTIFICATE, 0);
		return false;
	}
	call->certificate = certificate->id;
	call->certificate_ends = true;
	call->key_ends_ns = end_of(call, expires_us);
	*ret_certificate = certificate;
	return true;
}

enum call_step call_authenticate(struct call *call)
{
	struct directory *directory = &call->worker->gateway->directory;
	struct call_connection *connection = http_exchange_connection_state(call->exchange);
	const struct directory_key *certificate = NULL;
	enum problem problem;

	call->key_ends_ns = UINT64_MAX;
	if (connection->certificate != NULL &&
	    !certify(call, connection->certificate, &certificate))
		return CALL_OVER;
	const struct directory_key *key = find_key(call, &problem);
	if (key == NULL && certificate != NULL && problem == PROBLEM_KEY_MISSING)
		key = certificate;
	if (key == NULL)
		return problem == PROBLEM_COUNT ? call_refuse_unknown(call, PROBLEM_KEY_INVALID)
						: call_refuse(call, problem, 0);
	if (certificate != NULL && certificate->app.value != key->app.value)
		return call_refuse(call, PROBLEM_KEY_OTHER_APP, 0);
	if (key->scope_bytes > 0 &&
	    !scope_allows(directory_key_scopes(key), slice_of(call->service->name),
			  call->request->method, call->target))
		return call_refuse(call, PROBLEM_SCOPE, 0);
	call->key = key->id;
	if (key != certificate)
		end_by(call, end_of(call, expiry_of(key)));
	call->subscription = directory_find_subscription(directory, key->app, call->service);
	if (call->subscription == NULL)
		return call_refuse_unknown(call, PROBLEM_NO_SUBSCRIPTION);
	return CALL_ADMIT;
}

enum problem call_problem_of_key_end(const struct call *call)
{
	return call->certificate_ends ? PROBLEM_CERTIFICATE : PROBLEM_KEY_INVALID;
}

void call_key_expires(struct call *call, uint64_t expires_us)
{
	const uint64_t ends_ns = end_of(call, expires_us);

	/* With both, the first of them ends the call. */
	if (call->certificate.value == 0)
		call->key_ends_ns = ends_ns;
	else
		end_by(call, ends_ns);
	if (call->deadline_ns > call->key_ends_ns)
		call->deadline_ns = call->key_ends_ns;
	if (call->wait_due_ns > call->key_ends_ns)
		call->wait_due_ns = call->key_ends_ns;
	if (call->timer.due_ns > call->deadline_ns)
		loop_timer_set(call->worker->loop, &call->timer, call->deadline_ns);
}
