/* Clients and a server in one loop, by HTTP/1.1 and HTTP/2, plain and over TLS: every answer must
 * carry its request's nonce. */
#include "base/testing.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/http.h"
#include "loop/simulated.h"

#define CALLERS   64
#define CALLS     3000
#define BODY_MAX  50000
#define NONCE_MAX 24
#define PEM_MAX   4096
#define NAME      "service.test"

/* How callers and service speak. */
struct speech {
	enum http_protocol protocol;
	bool tls;
	const char *expected; /* the service's name as callers have it; NULL: its own */
	bool holds;           /* each answer's end is held for a while; one caller at a time */
	bool shown;           /* callers show a certificate, which the service believes */
};

static const struct speech plain_1 = {HTTP_PROTOCOL_1, false}, plain_2 = {HTTP_PROTOCOL_2, false},
			   tls_1 = {HTTP_PROTOCOL_1, true}, tls_2 = {HTTP_PROTOCOL_2, true};

static const struct http_header host = {.name = {"Host", 4}, .value = {"a", 1}, .known = HTTP_HOST};

/* ---- TLS: a certificate that vouches for itself ---- */

struct credentials {
	char certificate[PEM_MAX], key[PEM_MAX];
};

static void take_text(BIO *from, char text[PEM_MAX])
{
	const int length = BIO_read(from, text, PEM_MAX - 1);

	check(length > 0);
	text[length] = '\0';
	BIO_free(from);
}

static void credentials_make(struct credentials *credentials)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	BIO *text = BIO_new(BIO_s_mem());

	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:" NAME);
	check(X509_add_ext(certificate, names, -1) == 1);
	X509_EXTENSION_free(names);
	check(X509_sign(certificate, key, EVP_sha256()) > 0);
	check(PEM_write_bio_X509(text, certificate) == 1);
	take_text(text, credentials->certificate);
	text = BIO_new(BIO_s_mem());
	check(PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) == 1);
	take_text(text, credentials->key);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void tls_make(struct http_tls **ret_server, struct http_tls **ret_client,
		     const struct speech *speech)
{
	struct credentials credentials;
	struct fault fault;

	credentials_make(&credentials);
	const struct http_tls_identity identity = {
		.certificates = slice_of(credentials.certificate),
		.key = slice_of(credentials.key),
		.certificates_name = "certificate",
		.key_name = "key",
	};
	const struct http_tls_options server = {
		.is_server = true,
		.identities = &identity,
		.identity_count = 1,
		.authorities = speech->shown ? slice_of(credentials.certificate) : slice_of(""),
		.authorities_name = "certificate",
		.client_required = speech->shown,
		.http_2 = speech->protocol == HTTP_PROTOCOL_2};
	const struct http_tls_options client = {
		.identities = speech->shown ? &identity : NULL,
		.identity_count = speech->shown,
		.authorities = slice_of(credentials.certificate),
		.authorities_name = "certificate",
		.http_2 = speech->protocol == HTTP_PROTOCOL_2,
		.server_name = speech->expected != NULL ? speech->expected : NAME};
	assert_int_equal(http_tls_new(&server, ret_server, &fault), 0);
	assert_int_equal(http_tls_new(&client, ret_client, &fault), 0);
}

/* ---- the service: sends nonce and body back, in one of several ways ---- */

/* The server's owner. */
struct service {
	struct loop *loop;
	int requests;
	bool holds, held; /* an answer is finished, and held */
	bool shown;
};

/* Of a connection. */
struct visitor {
	bool is_known;
};

static void on_tls_peer(void *owner, void *connection_state, const struct http_tls_peer *peer)
{
	const struct service *service = owner;
	struct visitor *visitor = connection_state;

	check(service->shown);
	check_equal(peer->name_count, 1);
	check(!peer->names[0].is_uri);
	check(slice_equal(peer->names[0].text, slice_of(NAME)));
	check(peer->ends_ns > 0);
	check(!visitor->is_known);
	visitor->is_known = true;
}

struct echo {
	char nonce[NONCE_MAX];
	size_t nonce_length;
	struct http_exchange *exchange;
	struct loop_timer timer;
};

static struct service *service_of(struct http_exchange *exchange)
{
	return http_server_owner(http_exchange_server(exchange));
}

static void service_request(struct http_exchange *exchange, const struct http_request *request)
{
	struct echo *echo = http_exchange_state(exchange);
	const bool known = request->body_bytes != HTTP_LENGTH_UNKNOWN;

	const struct visitor *visitor = http_exchange_connection_state(exchange);

	check_equal(visitor->is_known, service_of(exchange)->shown);
	echo->nonce_length = request->query.length;
	check_at_most(echo->nonce_length, NONCE_MAX);
	service_of(exchange)->requests++;
	memcpy(echo->nonce, request->query.data, request->query.length);
	http_exchange_respond(exchange, 200, NULL, 0,
			      known ? (int64_t)echo->nonce_length + request->body_bytes
				    : HTTP_LENGTH_UNKNOWN);
	http_exchange_send(exchange, slice_make(echo->nonce, echo->nonce_length));
}

static void service_body(struct http_exchange *exchange, struct slice bytes)
{
	http_exchange_send(exchange, bytes);
	/* A pause would let the last bytes leave before the request's end is told: what has left
	 * can't be held. */
	if (!service_of(exchange)->holds && !http_exchange_writable(exchange))
		http_exchange_pause(exchange);
}

static void service_writable(struct http_exchange *exchange)
{
	http_exchange_resume(exchange);
}

static void release(struct loop_timer *timer)
{
	struct echo *echo = (struct echo *)((uintptr_t)timer - offsetof(struct echo, timer));

	service_of(echo->exchange)->held = false;
	http_exchange_release(echo->exchange);
}

static void service_end(struct http_exchange *exchange, const struct http_header *trailers,
			size_t trailer_count)
{
	struct service *service = service_of(exchange);
	struct echo *echo = http_exchange_state(exchange);

	if (service->holds) {
		echo->exchange = exchange;
		echo->timer.on_due = release;
		service->held = true;
		http_exchange_hold(exchange);
		loop_timer_set(service->loop, &echo->timer,
			       loop_now_ns(service->loop) + 3 * CLOCK_NS_PER_MS);
	}
	http_exchange_finish(exchange, trailers, trailer_count);
}

static void service_abort(struct http_exchange *exchange, enum http_abort reason)
{
	(void)exchange;
	(void)reason;
}

static void service_over(struct http_exchange *exchange)
{
	(void)exchange;
}

static const struct http_server_events service_events = {
	.on_request = service_request,
	.on_body = service_body,
	.on_request_end = service_end,
	.on_writable = service_writable,
	.on_abort = service_abort,
	.on_over = service_over,
};

/* ---- the callers ---- */

struct caller {
	struct crowd *crowd;
	struct http_call *call;
	char nonce[NONCE_MAX + 1];
	char *body;        /* nonce, then content */
	size_t body_bytes; /* of the content */
	size_t sent, seen;
	bool chunked;
};

struct crowd {
	struct loop *loop;
	struct http_server *server;
	struct http_client *client;
	struct http_origin *origin;
	struct http_tls *server_tls, *client_tls; /* NULL: plain */
	struct loop_listener listener;
	struct random_seeded random;
	struct caller callers[CALLERS];
	int calls; /* to be made */
	int started, ended, failed, under_way;
	struct service service;
	bool may_fail; /* the network breaks connections */
	bool listener_closed, over;
};

static void caller_start(struct caller *caller);

static void caller_send(struct caller *caller)
{
	struct random *random = &caller->crowd->random.random;

	while (caller->sent < caller->body_bytes && http_call_writable(caller->call)) {
		size_t length = 1 + random_below(random, 9000);
		if (length > caller->body_bytes - caller->sent)
			length = caller->body_bytes - caller->sent;
		http_call_send(
			caller->call,
			slice_make(caller->body + strlen(caller->nonce) + caller->sent, length));
		caller->sent += length;
	}
	if (caller->sent == caller->body_bytes && caller->body_bytes > 0)
		http_call_finish(caller->call, NULL, 0);
}

static void on_head(void *owner, const struct http_response *response)
{
	struct caller *caller = owner;

	check_equal(response->status, 200);
	check_equal(caller->seen, 0);
}

static void on_body(void *owner, struct slice bytes)
{
	struct caller *caller = owner;

	check_at_most(caller->seen + bytes.length, strlen(caller->nonce) + caller->body_bytes);
	check(memcmp(caller->body + caller->seen, bytes.data, bytes.length) == 0);
	caller->seen += bytes.length;
}

static void on_more(void *owner)
{
	(void)owner;
}

static void caller_next(struct caller *caller)
{
	struct crowd *crowd = caller->crowd;

	free(caller->body);
	caller->body = NULL;
	caller->call = NULL;
	crowd->under_way--;
	if (crowd->started < crowd->calls)
		caller_start(caller);
	else if (crowd->under_way == 0)
		crowd->over = true;
}

static void on_end(void *owner, const struct http_header *trailers, size_t trailer_count)
{
	struct caller *caller = owner;

	(void)trailers;
	check_equal(trailer_count, 0);
	check(!caller->crowd->service.held);
	check_equal(caller->seen, strlen(caller->nonce) + caller->body_bytes);
	caller->crowd->ended++;
	caller_next(caller);
}

static void on_failed(void *owner, enum http_failure failure)
{
	struct caller *caller = owner;

	check(caller->crowd->may_fail);
	check(failure != HTTP_FAILED_INVALID);
	caller->crowd->failed++;
	caller_next(caller);
}

static void on_writable(void *owner)
{
	caller_send(owner);
}

static const struct http_client_events caller_events = {
	.on_head = on_head,
	.on_body = on_body,
	.on_more = on_more,
	.on_end = on_end,
	.on_failed = on_failed,
	.on_writable = on_writable,
};

static void caller_start(struct caller *caller)
{
	struct crowd *crowd = caller->crowd;
	struct random *random = &crowd->random.random;
	char target[64];

	snprintf(caller->nonce, sizeof(caller->nonce), "%d-%016llx", crowd->started++,
		 (unsigned long long)random_u64(random));
	crowd->under_way++;
	caller->sent = caller->seen = 0;
	caller->body_bytes = random_below(random, 3) == 0 ? random_below(random, BODY_MAX) : 0;
	caller->chunked = caller->body_bytes > 0 && random_below(random, 2) == 0;
	caller->body = malloc(strlen(caller->nonce) + caller->body_bytes);
	memcpy(caller->body, caller->nonce, strlen(caller->nonce));
	random->fill(random, caller->body + strlen(caller->nonce), caller->body_bytes);
	snprintf(target, sizeof(target), "/echo?%s", caller->nonce);
	caller->call =
		http_call_start(crowd->origin,
				&(struct http_call_request){
					.method = slice_of("POST"),
					.target = slice_of(target),
					.headers = &host,
					.header_count = 1,
					.body_bytes = caller->chunked ? HTTP_LENGTH_UNKNOWN
								      : (int64_t)caller->body_bytes,
				},
				caller);
	caller_send(caller);
}

/* ---- all together ---- */

static void on_accept(struct loop_listener *listener, int descriptor)
{
	struct crowd *crowd =
		(struct crowd *)((uintptr_t)listener - offsetof(struct crowd, listener));

	http_server_adopt(crowd->server, descriptor, crowd->server_tls);
}

static void on_listener_closed(struct loop_listener *listener)
{
	struct crowd *crowd =
		(struct crowd *)((uintptr_t)listener - offsetof(struct crowd, listener));

	crowd->listener_closed = true;
}

static void crowd_begin(struct crowd *crowd, const char *where, uint64_t seed,
			const struct speech *speech)
{
	struct loop_address address;
	struct http_limits limits;
	struct fault fault;

	if (speech->tls)
		tls_make(&crowd->server_tls, &crowd->client_tls, speech);
	crowd->calls = speech->expected != NULL || speech->holds ? CALLERS : CALLS;
	crowd->service = (struct service){
		.loop = crowd->loop, .holds = speech->holds, .shown = speech->shown};
	random_seeded_init(&crowd->random, seed);
	http_limits_default(&limits);
	limits.output_bytes_high = 16 * 1024;
	crowd->listener.on_accept = on_accept;
	crowd->listener.on_closed = on_listener_closed;
	assert_int_equal(loop_address_parse(slice_of(where), &address, &fault), 0);
	assert_int_equal(loop_listener_open(crowd->loop, &crowd->listener, &address, &fault), 0);
	loop_listener_address(&crowd->listener, &address);
	assert_int_equal(http_server_new(crowd->loop,
					 &(struct http_server_options){
						 .limits = limits,
						 .events = &service_events,
						 .owner = &crowd->service,
						 .connection_state_bytes = sizeof(struct visitor),
						 .on_tls_peer = on_tls_peer,
						 .exchange_state_bytes = sizeof(struct echo)},
					 &crowd->server, &fault),
			 0);
	assert_int_equal(http_client_new(crowd->loop,
					 &(struct http_client_options){.limits = limits,
								       .events = &caller_events},
					 &crowd->client, &fault),
			 0);
	crowd->origin = http_origin_new(crowd->client,
					&(struct http_origin_options){.address = address,
								      .protocol = speech->protocol,
								      .tls = crowd->client_tls});
	for (int i = 0; i < (speech->holds ? 1 : CALLERS); i++) {
		crowd->callers[i].crowd = crowd;
		caller_start(&crowd->callers[i]);
	}
}

static void crowd_end(struct crowd *crowd)
{
	assert_int_equal(crowd->started, crowd->calls);
	assert_int_equal(crowd->ended + crowd->failed, crowd->calls);
	http_origin_free(crowd->origin);
	http_client_free(crowd->client);
	loop_listener_close(&crowd->listener);
	http_server_close(crowd->server);
	http_tls_unref(crowd->server_tls);
	http_tls_unref(crowd->client_tls);
}

static void run_over(enum loop_io io, const struct speech *speech)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	struct fault fault;

	if (loop_new(&(struct loop_options){.io = io, .receive_buffer_bytes = 4096}, &crowd->loop,
		     &fault) != 0) {
		free(crowd);
		if (io != LOOP_IO_URING)
			fail_msg("%s", fault.text);
		print_message("%s\n", fault.text);
		skip();
	}
	crowd->may_fail = speech->expected != NULL;
	crowd_begin(crowd, "127.0.0.1:0", testing_seed(), speech);
	while (!crowd->over)
		assert_int_equal(loop_turn(crowd->loop, CLOCK_NS_PER_S, &fault), 0);
	if (crowd->may_fail) {
		assert_int_equal(crowd->ended, 0);
		assert_int_equal(crowd->service.requests, 0);
	} else {
		assert_int_equal(crowd->failed, 0);
		assert_in_range(http_origin_connections(crowd->origin), 1, CALLERS);
	}
	crowd_end(crowd);
	while (http_server_connections(crowd->server) > 0 || !crowd->listener_closed)
		assert_int_equal(loop_turn(crowd->loop, CLOCK_NS_PER_S / 100, &fault), 0);
	http_server_free(crowd->server);
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_turn(crowd->loop, 0, &fault), 0);
	loop_free(crowd->loop);
	free(crowd);
}

static void every_answer_carries_its_requests_nonce_over_io_uring(void **state)
{
	run_over(LOOP_IO_URING, *state);
}

static void every_answer_carries_its_requests_nonce_over_epoll(void **state)
{
	run_over(LOOP_IO_EPOLL, *state);
}

static void a_service_of_another_name_is_never_asked(void **state)
{
	struct speech speech = *(const struct speech *)*state;

	speech.expected = "other.test";
	run_over(LOOP_IO_EPOLL, &speech);
}

static void an_answer_that_is_held_does_not_end(void **state)
{
	struct speech speech = *(const struct speech *)*state;

	speech.holds = true;
	run_over(LOOP_IO_EPOLL, &speech);
}

/* Anew or resumed, each connection is the same client's. */
static void a_client_that_shows_a_certificate_is_known(void **state)
{
	struct speech speech = *(const struct speech *)*state;

	speech.shown = true;
	run_over(LOOP_IO_EPOLL, &speech);
}

/* Pieces of any size, delays, resets and refusals, in virtual time. Broken connections fail their
 * calls; no call is forgotten and none gets another's answer. */
static void run_simulated(uint32_t breaks_per_million, const struct speech *speech)
{
	const uint64_t seed = testing_seed();
	const struct simulated_options options = {
		.seed = seed,
		.piece_bytes_max = 700,
		.resets_per_million = breaks_per_million,
		.refused_per_million = breaks_per_million,
	};
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	struct clock_manual clock;
	struct fault fault;

	clock_manual_init(&clock, CLOCK_NS_PER_S, 1785000000 * CLOCK_NS_PER_S);
	struct simulated_network *network = simulated_network_new(&options, &clock);
	assert_int_equal(
		loop_new(&(struct loop_options){.io = LOOP_IO_SIMULATED, .network = network},
			 &crowd->loop, &fault),
		0);
	crowd->may_fail = breaks_per_million > 0;
	crowd_begin(crowd, "10.0.0.1:80", seed, speech);
	/* Until nothing happens any more: idle connections have aged out on both sides. */
	simulated_network_run(network, UINT64_MAX);
	assert_true(crowd->over);
	assert_int_equal(http_origin_connections(crowd->origin), 0);
	assert_int_equal(http_server_connections(crowd->server), 0);
	print_message("%d ended, %d failed\n", crowd->ended, crowd->failed);
	crowd_end(crowd);
	simulated_network_run(network, UINT64_MAX);
	assert_true(crowd->listener_closed);
	http_server_free(crowd->server);
	loop_free(crowd->loop);
	simulated_network_free(network);
	free(crowd);
}

static void every_answer_carries_its_requests_nonce_over_a_simulated_network(void **state)
{
	run_simulated(0, *state);
}

static void breaking_connections_fail_calls_and_never_cross_answers(void **state)
{
	run_simulated(3000, *state);
}

#define NONCE_TEST(test, speech)                                                         \
	{                                                                                \
#test " (" #speech ")", test, NULL, NULL, (void *)(uintptr_t) & (speech) \
	}
#define REAL_TESTS(speech)                                                         \
	NONCE_TEST(every_answer_carries_its_requests_nonce_over_io_uring, speech), \
		NONCE_TEST(every_answer_carries_its_requests_nonce_over_epoll, speech)
#define SIMULATED_TESTS(speech)                                                               \
	NONCE_TEST(every_answer_carries_its_requests_nonce_over_a_simulated_network, speech), \
		NONCE_TEST(breaking_connections_fail_calls_and_never_cross_answers, speech)

/* A session of TLS knows only real sockets. */
int main(void)
{
	const struct CMUnitTest tests[] = {
		REAL_TESTS(plain_1),
		SIMULATED_TESTS(plain_1),
		REAL_TESTS(plain_2),
		SIMULATED_TESTS(plain_2),
		REAL_TESTS(tls_1),
		REAL_TESTS(tls_2),
		NONCE_TEST(a_service_of_another_name_is_never_asked, tls_1),
		NONCE_TEST(a_service_of_another_name_is_never_asked, tls_2),
		NONCE_TEST(an_answer_that_is_held_does_not_end, plain_1),
		NONCE_TEST(an_answer_that_is_held_does_not_end, plain_2),
		NONCE_TEST(an_answer_that_is_held_does_not_end, tls_1),
		NONCE_TEST(an_answer_that_is_held_does_not_end, tls_2),
		NONCE_TEST(a_client_that_shows_a_certificate_is_known, tls_1),
		NONCE_TEST(a_client_that_shows_a_certificate_is_known, tls_2),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
