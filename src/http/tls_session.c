#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "base/check.h"
#include "http/tls_internal.h"

/* As nginx tells it, for whoever typed http:// in place of https://. */
static const char plain_answer[] =
	"HTTP/1.1 400 Bad Request\r\n"
	"Content-Type: application/problem+json\r\n"
	"Content-Length: 140\r\n"
	"Connection: close\r\n"
	"\r\n"
	"{\"type\":\"about:blank\",\"title\":\"Plain HTTP on a TLS port\",\"status\":400,"
	"\"detail\":\"This address speaks TLS only: begin its URL with https://\"}\n";

static struct http_tls_session *of_stream(struct loop_stream *stream)
{
	struct http_wire *wire =
		(struct http_wire *)((uintptr_t)stream - offsetof(struct http_wire, stream));

	return wire->tls;
}

/* ---- life ---- */

void http_tls_kit_fini(struct http_tls_kit *kit)
{
	free(kit->plain);
	kit->plain = NULL;
}

static void shake_later(struct loop_timer *timer);

void http_tls_begin(struct http_wire *wire, struct http_tls *tls, struct http_tls_kit *kit,
		    const struct loop_stream_events *events, SSL_SESSION **resumable)
{
	struct http_tls_session *session = calloc(1, sizeof(*session));

	check(session != NULL);
	check(loop_io_used(wire->loop) != LOOP_IO_SIMULATED);
	if (kit->plain == NULL)
		kit->plain = malloc(HTTP_TLS_PLAIN_BYTES);
	check(kit->plain != NULL);
	session->tls = http_tls_ref(tls);
	session->kit = kit;
	session->wire = wire;
	session->events = events;
	session->later.on_due = shake_later;
	session->ssl = SSL_new(tls->context);
	BIO *bytes = BIO_new(tls->method);
	check(session->ssl != NULL);
	check(bytes != NULL);
	BIO_set_data(bytes, session);
	BIO_set_init(bytes, 1);
	SSL_set_bio(session->ssl, bytes, bytes);
	SSL_set_app_data(session->ssl, session);
	if (tls->is_server) {
		SSL_set_accept_state(session->ssl);
	} else {
		session->resumable = resumable;
		if (tls->server_name[0] != '\0')
			SSL_set_tlsext_host_name(session->ssl, tls->server_name);
		if (resumable != NULL && *resumable != NULL)
			SSL_set_session(session->ssl, *resumable);
		SSL_set_connect_state(session->ssl);
	}
	wire->tls = session;
}

void http_tls_session_free(struct http_tls_session *session)
{
	loop_timer_clear(session->wire->loop, &session->later);
	SSL_free(session->ssl);
	http_chain_clear(&session->output, session->wire->blocks);
	free(session->delayed);
	http_tls_unref(session->tls);
	free(session);
}

/* ---- output ---- */

static void append(struct http_tls_session *session, const char *bytes, size_t length)
{
	http_chain_append(&session->output, session->wire->blocks, slice_make(bytes, length));
}

static int write_bytes(BIO *bio, const char *bytes, size_t length, size_t *ret_written)
{
	append(BIO_get_data(bio), bytes, length);
	*ret_written = length;
	return 1;
}

static int read_bytes(BIO *bio, char *bytes, size_t length, size_t *ret_read)
{
	struct http_tls_session *session = BIO_get_data(bio);
	const size_t part = length < session->input.length ? length : session->input.length;

	BIO_clear_retry_flags(bio);
	*ret_read = part;
	if (part == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	memcpy(bytes, session->input.data, part);
	session->input.data += part;
	session->input.length -= part;
	return 1;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *http_tls_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");

	if (method == NULL)
		return NULL;
	BIO_meth_set_write_ex(method, write_bytes);
	BIO_meth_set_read_ex(method, read_bytes);
	BIO_meth_set_ctrl(method, control);
	return method;
}

/* As much of what the wire has as one send takes. */
static void encrypt(struct http_wire *wire)
{
	struct http_tls_session *session = wire->tls;

	for (struct http_block *block = wire->output.first;
	     block != NULL && wire->sending_bytes < HTTP_SEND_MAX; block = block->next) {
		const size_t length = block->used - block->sent;
		size_t written;
		if (length == 0)
			continue;
		ERR_clear_error();
		if (SSL_write_ex(session->ssl, block->bytes + block->sent, length, &written) != 1)
			return;
		check_equal(written, length);
		block->sent = block->used;
		wire->sending_bytes += length;
	}
}

void http_tls_flush(struct http_wire *wire, uint64_t idle_timeout_ns)
{
	struct http_tls_session *session = wire->tls;
	struct iovec parts[LOOP_SEND_PARTS_MAX];
	uint32_t count = 0;
	size_t bytes = 0;

	if (loop_stream_sending(&wire->stream) || loop_stream_closing(&wire->stream) ||
	    session->failed)
		return;
	if (session->established && !wire->held && !session->said_end)
		encrypt(wire);
	for (struct http_block *block = session->output.first;
	     block != NULL && count < LOOP_SEND_PARTS_MAX; block = block->next) {
		const size_t length = block->used - block->sent;
		if (length == 0)
			continue;
		parts[count++] = (struct iovec){block->bytes + block->sent, length};
		block->sent = block->used;
		bytes += length;
	}
	if (count > 0)
		http_wire_hand_over(wire, parts, count, bytes, idle_timeout_ns);
}

void http_tls_say_end(struct http_tls_session *session)
{
	if (session->said_end || !session->established || session->failed)
		return;
	session->said_end = true;
	ERR_clear_error();
	SSL_shutdown(session->ssl);
}

void http_tls_last_words(struct http_tls_session *session)
{
	const int descriptor = session->wire->stream.descriptor;

	if (loop_stream_sending(&session->wire->stream) || descriptor < 0)
		return;
	for (struct http_block *block = session->output.first; block != NULL; block = block->next) {
		const size_t length = block->used - block->sent;
		if (length > 0 && send(descriptor, block->bytes + block->sent, length,
				       MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)length)
			break;
		block->sent = block->used;
	}
}

/* ---- failing ---- */

/* The peer is told by what is appended already: an alert, where one fits. */
static void fail(struct http_tls_session *session, const char *why)
{
	struct loop_stream *stream = &session->wire->stream;

	session->failed = true;
	if (session->why == NULL) {
		session->reason = http_tls_reason_of(session);
		session->why = why;
	}
	http_tls_last_words(session);
	if (session->kit->on_refused != NULL)
		session->kit->on_refused(session->kit->owner, why);
	if (!session->tls->is_server && !session->established)
		session->events->on_connected(stream, EPROTO);
	else
		session->events->on_error(stream, EPROTO);
}

/* ---- the handshake ---- */

static bool is_plain_http(const struct http_tls_session *session)
{
	const char first = (char)(session->input.length > 0 ? session->input.data[0] : '\0');

	return session->tls->is_server && !session->any && first >= 'A' && first <= 'Z';
}

/* Of the server that a client asks. RFC 8446 5.1: a handshake or an alert comes first. */
static bool is_no_record(const struct http_tls_session *session)
{
	return !session->tls->is_server && !session->any && session->input.length > 0 &&
	       session->input.data[0] != 0x16 && session->input.data[0] != 0x15;
}

static void refuse_plain(struct http_tls_session *session)
{
	append(session, plain_answer, sizeof(plain_answer) - 1);
	fail(session, "http request");
}

/* Whether the turn has room for another step; else the input waits. */
static bool may_shake(struct http_tls_session *session)
{
	struct http_tls_kit *kit = session->kit;
	struct http_wire *wire = session->wire;
	const uint64_t now_ns = loop_now_ns(wire->loop);

	if (kit->turn_ns != now_ns) {
		kit->turn_ns = now_ns;
		kit->shakes = 0;
	}
	if (kit->shakes < HTTP_TLS_SHAKES_TURN && session->delayed == NULL) {
		kit->shakes++;
		return true;
	}
	const size_t before = session->delayed_bytes;
	if (session->input.length > 0) {
		session->delayed = realloc(session->delayed, before + session->input.length);
		check(session->delayed != NULL);
		memcpy(session->delayed + before, session->input.data, session->input.length);
		session->delayed_bytes += session->input.length;
		loop_stream_read(&wire->stream, false);
	}
	loop_timer_set(wire->loop, &session->later, now_ns + HTTP_TLS_LATER_NS);
	return false;
}

/* True once it is established. */
static bool shake(struct http_tls_session *session)
{
	ERR_clear_error();
	const int result = SSL_do_handshake(session->ssl);

	if (result != 1 && SSL_get_error(session->ssl, result) != SSL_ERROR_WANT_READ) {
		fail(session, http_tls_why(session->ssl));
		return false;
	}
	if (result == 1) {
		const unsigned char *protocol = NULL;
		unsigned length = 0;
		SSL_get0_alpn_selected(session->ssl, &protocol, &length);
		if (!session->tls->is_server && session->tls->http_2 &&
		    (length != 2 || memcmp(protocol, "h2", 2) != 0)) {
			session->reason = HTTP_TLS_PROTOCOL;
			session->why = "the peer does not choose HTTP/2";
			fail(session, session->why);
			return false;
		}
		session->established = true;
		if (session->tls->is_server)
			http_tls_tell_peer(session);
	}
	http_tls_flush(session->wire, 0);
	if (result == 1 && !session->tls->is_server)
		session->events->on_connected(&session->wire->stream, 0);
	return result == 1 && !loop_stream_closing(&session->wire->stream);
}

/* ---- input ---- */

static void ended(struct http_tls_session *session)
{
	if (session->ended)
		return;
	session->ended = true;
	session->events->on_end(&session->wire->stream);
}

/* Everything that has come, in plain. */
static void read_all(struct http_tls_session *session)
{
	struct loop_stream *stream = &session->wire->stream;
	char *plain = session->kit->plain;
	int error = SSL_ERROR_NONE;

	while (error == SSL_ERROR_NONE) {
		size_t length = 0, part = 0;
		while (length < HTTP_TLS_PLAIN_BYTES) {
			ERR_clear_error();
			if (SSL_read_ex(session->ssl, plain + length, HTTP_TLS_PLAIN_BYTES - length,
					&part) != 1) {
				error = SSL_get_error(session->ssl, 0);
				break;
			}
			length += part;
		}
		const char *why = error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL
					  ? http_tls_why(session->ssl)
					  : NULL;
		if (length > 0)
			session->events->on_data(stream, slice_make(plain, length));
		if (loop_stream_closing(stream))
			return;
		if (error == SSL_ERROR_ZERO_RETURN) {
			ended(session);
			return;
		}
		if (why != NULL) {
			fail(session, why);
			return;
		}
	}
	http_tls_flush(session->wire, 0);
}

static void take_input(struct http_tls_session *session)
{
	if (session->failed || session->ended)
		return;
	if (!session->established) {
		if (is_plain_http(session)) {
			refuse_plain(session);
			return;
		}
		if (is_no_record(session)) {
			session->reason = HTTP_TLS_PLAIN;
			session->why = "what the peer sends is no TLS";
			fail(session, session->why);
			return;
		}
		session->any = session->any || session->input.length > 0;
		if (!shake(session))
			return;
	}
	read_all(session);
}

static void shake_later(struct loop_timer *timer)
{
	struct http_tls_session *session =
		(struct http_tls_session *)((uintptr_t)timer -
					    offsetof(struct http_tls_session, later));
	char *bytes = session->delayed;

	session->input = slice_make(NULL, 0);
	session->delayed = NULL;
	if (loop_stream_closing(&session->wire->stream) || !may_shake(session)) {
		session->delayed = bytes;
		return;
	}
	session->input = slice_make(bytes, session->delayed_bytes);
	session->delayed_bytes = 0;
	loop_stream_read(&session->wire->stream, true);
	take_input(session);
	free(bytes);
}

/* ---- what the stream tells ---- */

static void tls_connected(struct loop_stream *stream, int error)
{
	struct http_tls_session *session = of_stream(stream);

	if (error != 0) {
		session->events->on_connected(stream, error);
		return;
	}
	session->reached = true;
	loop_stream_read(stream, true);
	session->input = slice_make(NULL, 0);
	shake(session);
}

static void tls_data(struct loop_stream *stream, struct slice bytes)
{
	struct http_tls_session *session = of_stream(stream);

	session->input = bytes;
	if (!session->established && session->tls->is_server && !is_plain_http(session) &&
	    !may_shake(session))
		return;
	take_input(session);
}

static void note_end(struct http_tls_session *session)
{
	session->reason = HTTP_TLS_ENDED;
	session->why = "the peer ended the connection within the handshake";
}

static void tls_end(struct loop_stream *stream)
{
	struct http_tls_session *session = of_stream(stream);

	if (session->ended || session->failed)
		return;
	session->wire->cut = true;
	if (!session->established && !session->tls->is_server) {
		note_end(session);
		session->events->on_connected(stream, ECONNRESET);
	} else {
		ended(session);
	}
}

static void tls_sent(struct loop_stream *stream)
{
	struct http_tls_session *session = of_stream(stream);

	while (session->output.first != NULL &&
	       session->output.first->sent == session->output.first->used)
		http_chain_drop_first(&session->output, session->wire->blocks);
	if (session->established)
		session->events->on_sent(stream);
	else
		http_tls_flush(session->wire, 0);
}

static void tls_error(struct loop_stream *stream, int error)
{
	struct http_tls_session *session = of_stream(stream);

	if (session->failed)
		return;
	session->failed = true;
	if (!session->established && !session->tls->is_server) {
		note_end(session);
		session->events->on_connected(stream, error);
	} else {
		session->events->on_error(stream, error);
	}
}

static void tls_closed(struct loop_stream *stream)
{
	of_stream(stream)->events->on_closed(stream);
}

const struct loop_stream_events http_tls_events = {
	.on_connected = tls_connected,
	.on_data = tls_data,
	.on_end = tls_end,
	.on_sent = tls_sent,
	.on_error = tls_error,
	.on_closed = tls_closed,
};
