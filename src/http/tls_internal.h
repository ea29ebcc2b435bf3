/*
 * tls: a wire's bytes between the stream and HTTP, encrypted (OpenSSL).
 *
 * A session stands between the stream and its owner: the stream's events come here, and the
 * owner's own events are called with what they mean in plain. So an owner sees a connection that
 * opens, brings bytes and ends, whether it is encrypted or not; only to open, to flush and to
 * close it goes through the wire. The wire of a plain connection has no session.
 *
 *   shaking       nobody's bytes; a client's owner still waits for on_connected
 *   established   what comes is decrypted all at once, what the wire flushes is encrypted
 *   failed        by a broken record, a bad certificate or an alert: told by on_error
 *
 * An end without close_notify is told as any end is, with wire.cut set: what lasts until the end
 * is not whole then. A peer that says HTTP in plain to a server that speaks TLS is told so.
 *
 * Bounds: of what is received a session keeps at most a record; of handshakes a thread takes
 * HTTP_TLS_SHAKES_TURN a turn, the others wait for the next, so that they stall no call.
 * Threads: a session and a kit belong to the loop's thread; struct http_tls to any.
 */
#pragma once

#include <openssl/ssl.h>

#include "http/wire_internal.h"

#define HTTP_TLS_PLAIN_BYTES  (64 * 1024) /* more than one receive and a record's rest hold */
#define HTTP_TLS_SHAKES_TURN  8           /* steps of handshakes in a turn of the loop */
#define HTTP_TLS_CHAIN_BYTES  (32 * 1024) /* of certificates that a peer may send */
#define HTTP_TLS_CHAIN_DEPTH  4
#define HTTP_TLS_LATER_NS     1000000ull /* until a handshake beyond the bound is looked at again */
#define HTTP_TLS_DER_BYTES    4096
#define HTTP_TLS_NAME_MAX     256
#define HTTP_TLS_SERVER_MARKS 32 /* bytes that tell apart what a ticket may resume */

struct http_tls_identity_kept {
	X509 *certificate;
	STACK_OF(X509) * chain; /* between it and the authority; may be empty */
	EVP_PKEY *key;
};

struct http_tls {
	_Atomic uint32_t references;
	bool is_server, http_2;
	SSL_CTX *context;
	BIO_METHOD *method; /* of the sessions' reading and writing */
	struct http_tls_identity_kept identities[HTTP_TLS_IDENTITIES_MAX];
	size_t identity_count;
	struct http_tls_ticket_keys keys;
	size_t (*certify)(void *owner, const char *host, uint8_t *der, size_t der_bytes_max);
	void *owner;
	char server_name[HTTP_TLS_NAME_MAX];
};

/* What the sessions of one thread share: of a server or a client. Zeroed is empty. */
struct http_tls_kit {
	char *plain;
	uint64_t turn_ns; /* what the next one counts */
	uint32_t shakes;
	void (*on_refused)(void *owner, const char *why); /* NULL: nobody asks */
	/* A server's: the client has shown a certificate that holds; NULL: nobody asks. */
	void (*on_peer)(struct http_wire *wire, const struct http_tls_peer *peer);
	void *owner;
};

void http_tls_kit_fini(struct http_tls_kit *kit);

struct http_tls_session {
	struct http_tls *tls;
	struct http_tls_kit *kit;
	struct http_wire *wire;
	const struct loop_stream_events *events; /* the owner's */
	SSL *ssl;
	SSL_SESSION **resumable;  /* a client's: where the next one finds it */
	struct slice input;       /* received, not yet read by ssl */
	struct http_chain output; /* encrypted */
	char *delayed;            /* input of a handshake beyond the turn's bound */
	size_t delayed_bytes;
	struct loop_timer later;
	bool any; /* byte was received */
	bool established, failed;
	bool ended; /* close_notify came */
	bool said_end;
	/* A client's. */
	bool reached;    /* the peer takes connections */
	bool cert_asked; /* by the peer */
	enum http_tls_reason reason;
	const char *why; /* static; NULL: there is no reason yet */
};

extern const struct loop_stream_events http_tls_events;

/* Before the stream is adopted or connected with http_tls_events. */
void http_tls_begin(struct http_wire *wire, struct http_tls *tls, struct http_tls_kit *kit,
		    const struct loop_stream_events *events, SSL_SESSION **resumable);
void http_tls_session_free(struct http_tls_session *session);
/* As http_wire_flush. */
void http_tls_flush(struct http_wire *wire, uint64_t idle_timeout_ns);
/* Appends close_notify, once; nothing else is appended after it. */
void http_tls_say_end(struct http_tls_session *session);
/* What is appended and not with the kernel, as far as it takes it at once: before a close. */
void http_tls_last_words(struct http_tls_session *session);

/* tls_reason.c: what of OpenSSL's latest error, and of the session's peer, people are told. */
const char *http_tls_why(const SSL *ssl);
enum http_tls_reason http_tls_reason_of(const struct http_tls_session *session);
/* For SSL_CTX_set_cert_cb of a client. */
int http_tls_cert_asked(SSL *ssl, void *argument);

/* tls_peer.c: tells the kit's on_peer, where there is something to tell. Once, after a server's
 * handshake. */
void http_tls_tell_peer(struct http_tls_session *session);

/* How sessions read and write; of a struct http_tls. NULL: no memory. */
BIO_METHOD *http_tls_method_new(void);
