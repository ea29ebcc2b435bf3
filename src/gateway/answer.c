/*
 * The service's answer: handed on as it comes, settled before its last byte can leave.
 *
 * What arrives in one piece is held until the piece has been read (on_more or on_end), and a short
 * answer of known length until it is whole: so a small answer leaves as one, with its charge among
 * its fields. A longer one begins without and ends with the charge as a trailer, where its framing
 * has trailers.
 */
#include "gateway/call.h"

#include "base/check.h"
#include "base/log.h"
#include "gateway/farewell.h"
#include "gateway/grpc.h"
#include "gateway/part.h"
#include "gateway/tunnel.h"
#include "gateway/units.h"

static void read_units(struct call *call, const struct http_header *headers, size_t count)
{
	struct directory_service *service = call->service;

	for (size_t i = 0; i < count; i++) {
		if (headers[i].known != HTTP_STOA_UNITS)
			continue;
		const enum units_outcome outcome =
			units_read(headers[i].value, service->units, &call->units);
		if (outcome == UNITS_READ)
			continue;
		/* So that a misspelt unit is seen and a flood is not. */
		if (!worker_complaint_due(call->worker, &service->complained_ns,
					  WORKER_COMPLAINT_NS))
			continue;
		log_event(LOG_WARN, outcome == UNITS_UNKNOWN ? "units.unknown" : "units.invalid",
			  log_text("service", service->name), log_slice("value", headers[i].value));
	}
}

static void read_outcome(struct call *call, const struct http_header *fields, size_t count)
{
	unsigned code;

	if (grpc_code_read(fields, count, &code))
		call->grpc_code = (uint8_t)code;
}

static void on_head(void *owner, const struct http_response *response)
{
	struct call *call = owner;

	if (response->status == 101) {
		tunnel_begin(call, response);
		return;
	}
	call->head = response;
	call->status = (uint16_t)response->status;
	read_units(call, response->headers, response->header_count);
	if (response->body_bytes == HTTP_LENGTH_UNKNOWN)
		call->events = events_begin(response->headers, response->header_count);
	if (call->grpc && response->status == 200 &&
	    grpc_is_message(response->headers, response->header_count)) {
		call->grpc_answer = true;
		read_outcome(call, response->headers, response->header_count);
	}
}

static void send_pieces(struct call *call)
{
	for (uint32_t i = 0; i < call->piece_count; i++)
		http_exchange_send(call->exchange, call->pieces[i]);
	call->piece_count = 0;
	call->head = NULL;
}

/* Begins the answer without knowing its end. */
static void begin_answer(struct call *call)
{
	const struct http_response *response = call->head;

	call->trailers_wanted =
		response->body_bytes == HTTP_LENGTH_UNKNOWN || call->accepts_trailers;
	present_answer(call, call->trailers_wanted ? HTTP_LENGTH_UNKNOWN : response->body_bytes,
		       NULL);
	send_pieces(call);
}

/* A short answer that comes in several reads is held until it is whole, so that its charge
 * stands in its head: its caller waits for the rest of it anyway. */
static bool hold_answer(struct call *call)
{
	const struct http_response *response = call->head;

	if (call->head_only || response->body_bytes <= 0 ||
	    response->body_bytes > GATEWAY_HELD_BYTES_MAX)
		return false;
	call->held = keep_take_answer(&call->worker->keeps, response);
	if (call->held == NULL)
		return false;
	for (uint32_t i = 0; i < call->piece_count; i++)
		keep_body(call->held, call->pieces[i]);
	call->piece_count = 0;
	call->held_head = *response;
	call->held_head.headers = call->held->headers;
	call->head = &call->held_head;
	return true;
}

static void on_body(void *owner, struct slice bytes)
{
	struct call *call = owner;

	call->response_bytes += bytes.length;
	if (call->events != EVENTS_NONE)
		call->events = events_follow(call->events, bytes);
	if (call->held != NULL) {
		keep_body(call->held, bytes);
		return;
	}
	if (!call->responded && call->piece_count < GATEWAY_PIECES_MAX) {
		call->pieces[call->piece_count++] = bytes;
		return;
	}
	if (!call->responded)
		begin_answer(call);
	if (call->tunnel) {
		tunnel_moved(call);
		if (call->parts != NULL)
			websocket_follow(&call->parts->place, bytes);
	}
	http_exchange_send(call->exchange, bytes);
}

static void on_more(void *owner)
{
	struct call *call = owner;

	if (call->head != NULL && call->held == NULL && !hold_answer(call))
		begin_answer(call);
	if (!call_reserve(call)) {
		if (call->step != CALL_ANSWER)
			return;
		call->starved_answer = true;
		http_call_pause(call->upstream);
	} else if (!http_exchange_writable(call->exchange)) {
		http_call_pause(call->upstream);
	}
}

static void on_writable(void *owner)
{
	struct call *call = owner;

	if (!call->starved_request)
		http_exchange_resume(call->exchange);
}

static int64_t pieces_bytes(const struct call *call)
{
	int64_t bytes = 0;

	for (uint32_t i = 0; i < call->piece_count; i++)
		bytes += (int64_t)call->pieces[i].length;
	return bytes;
}

static void finish_answer(struct call *call, int64_t charge_nano,
			  const struct http_header *trailers, size_t trailer_count)
{
	struct http_header fields[HTTP_HEADERS_MAX + 1];
	char charge[64];
	size_t count = 0;

	for (size_t i = 0; i < trailer_count; i++) {
		if (trailers[i].known != HTTP_STOA_RESERVED)
			fields[count++] = trailers[i];
	}
	if (!call->responded) {
		/* The whole body is here, so its length is known even where it was not told;
		 * but an answer to HEAD has none to tell it by. */
		const bool chunked = count > 0;
		int64_t body_bytes = call->head->body_bytes;
		if (body_bytes == HTTP_LENGTH_UNKNOWN && !call->head_only)
			body_bytes = pieces_bytes(call);
		call->trailers_wanted = chunked;
		present_answer(call, chunked ? HTTP_LENGTH_UNKNOWN : body_bytes, &charge_nano);
		send_pieces(call);
	} else if (call->trailers_wanted) {
		const size_t length = present_charge(call, charge_nano, charge, sizeof(charge));
		fields[count++] = (struct http_header){.name = slice_of("Stoa-Charge"),
						       .value = slice_make(charge, length)};
	}
	http_exchange_finish(call->exchange, fields, call->trailers_wanted ? count : 0);
}

/* Whether the answer speaks against the instance. What a caller can bring about with any of them
 * does not: by a method that there is none of, or by a deadline of its own. */
static bool is_instances_failure(const struct call *call)
{
	return call->status >= 500 && call->status != 501 &&
	       !(call->status == 504 && call->callers_deadline);
}

static void on_end(void *owner, const struct http_header *trailers, size_t trailer_count)
{
	struct call *call = owner;
	struct worker *worker = call->worker;
	int64_t charge_nano;

	call->upstream = NULL;
	read_units(call, trailers, trailer_count);
	if (call->grpc_answer) {
		read_outcome(call, trailers, trailer_count);
		call->status = (uint16_t)grpc_status_of_code(
			call->grpc_code == CALL_GRPC_SILENT ? GRPC_UNKNOWN : call->grpc_code);
	}
	if (!call->tunnel) {
		const uint64_t took_ns = loop_now_ns(worker->loop) - call->forwarded_ns;
		balance_answered(call->instance, (uint32_t)(took_ns / CLOCK_NS_PER_US));
		balance_note(call, is_instances_failure(call));
	}
	/* First on record, then the last byte: nothing leaves before this callback returns. */
	struct keep *held = call->held;
	call->held = NULL; /* until the answer is handed on */
	if (held != NULL)
		call->pieces[call->piece_count++] = keep_body_slice(held);
	call_settle(call, JOURNAL_ANSWERED, &charge_nano);
	finish_answer(call, charge_nano, trailers, trailer_count);
	if (held != NULL)
		keep_give(&worker->keeps, held);
}

/* Whether to try another instance: nothing of the request was acted upon, or acting twice is
 * the same as once; the request is still there in full; once; within the worker's credit. */
static bool may_retry(const struct call *call, enum http_failure failure)
{
	const struct keep *keep = call->keep;
	const bool harmless = failure == HTTP_FAILED_CONNECT || failure == HTTP_FAILED_REFUSED ||
			      failure == HTTP_FAILED_TLS ||
			      (failure == HTTP_FAILED_STALE && keep->idempotent);

	return harmless && !call->retried && keep->body_whole &&
	       call->worker->retry_credit >= WORKER_RETRY_COST;
}

static bool retry(struct call *call, enum http_failure failure)
{
	struct worker *worker = call->worker;
	struct directory_instance *failed = call->instance;
	const bool was_probe = call->probe;

	if (!may_retry(call, failure))
		return false;
	struct directory_instance *other = balance_choose(call, failed->id);
	if (other != NULL) {
		const bool is_probe = call->probe;
		call->probe = was_probe;
		balance_release(call);
		call->instance = other;
		call->probe = is_probe;
	} else if (failure == HTTP_FAILED_CONNECT || failure == HTTP_FAILED_TLS) {
		return false; /* it will not be reached a moment later */
	}
	call->retried = true;
	call->may_be_seen = failure == HTTP_FAILED_STALE;
	worker->retry_credit -= WORKER_RETRY_COST;
	worker_count(&worker->counts.retries, 1);
	call->step = CALL_FORWARD;
	call_run(call);
	return true;
}

/* An instance that has died is replaced soon. It has not looked at the call, which waits for that,
 * as one would that came a moment later. */
static bool wait_for_replacement(struct call *call, enum http_failure failure)
{
	struct worker *worker = call->worker;

	if (failure != HTTP_FAILED_CONNECT || !call->instance->replaced ||
	    !call->keep->body_whole || call->may_be_seen)
		return false;
	if (call->replaced_by_ns == 0)
		call->replaced_by_ns =
			loop_now_ns(worker->loop) + worker->gateway->options.instance_wait_ns;
	call->missed = call->instance->id;
	call->forwarded_ns = 0;
	part_give(call); /* nothing is on record: its time begins anew */
	balance_release(call);
	worker_place_free(worker, call->service);
	call->step = CALL_BALANCE;
	call_run(call);
	return true;
}

static void on_failed(void *owner, enum http_failure failure)
{
	struct call *call = owner;
	const bool untouched = call->head == NULL && !call->responded;

	call->upstream = NULL;
	/* A kept connection that has ended is no failure, but that the instance closes them; nor is
	 * it one to be full, or about to leave, or to take no upgrades, and to say so. */
	if (failure != HTTP_FAILED_STALE && failure != HTTP_FAILED_REFUSED &&
	    failure != HTTP_FAILED_UNSUPPORTED && !call->tunnel)
		balance_note(call, true);
	if (untouched && (retry(call, failure) || wait_for_replacement(call, failure)))
		return;
	switch (failure) {
	case HTTP_FAILED_CONNECT:
	case HTTP_FAILED_STALE:
	case HTTP_FAILED_REFUSED:
		call_fail(call, PROBLEM_SERVICE_UNREACHABLE, JOURNAL_FAILED);
		break;
	case HTTP_FAILED_TLS:
		call_fail(call, PROBLEM_SERVICE_TLS, JOURNAL_FAILED);
		break;
	case HTTP_FAILED_TIMEOUT:
		call_fail(call, PROBLEM_TIMEOUT, JOURNAL_FAILED);
		break;
	case HTTP_FAILED_UNSUPPORTED:
		call_fail(call, PROBLEM_UPGRADE_UNSUPPORTED, JOURNAL_FAILED);
		break;
	default:
		call_fail(call, PROBLEM_SERVICE_INVALID, JOURNAL_FAILED);
	}
}

const struct http_client_events call_client_events = {
	.on_head = on_head,
	.on_body = on_body,
	.on_more = on_more,
	.on_end = on_end,
	.on_failed = on_failed,
	.on_writable = on_writable,
};
