/*
 * http: HTTP/1.1 and HTTP/2 (RFC 9110, 9112, 9113) as exchanges, on the server's and the client's
 * side. Whether an exchange has its connection for itself or is a stream of many makes no
 * difference to who handles it, but where it is said below.
 *
 * Messages are parsed strictly (llhttp in its strict mode and our own limits), handed on as
 * parts, and rebuilt on the way out; no byte of framing is ever copied through. On any doubt
 * about framing the message is refused and its connection closed. No policy lives here: what
 * a request means, who may send it and where it goes is the caller's.
 *
 * Output: respond, send and finish only append to the connection's buffer; it is handed to
 * the kernel by a deferred task at the end of the loop's turn. So what an event's callbacks
 * append leaves in one piece, and nothing leaves before the callback has returned.
 *
 * Input: heads and body pieces are slices of receive memory. They live until the callback
 * that brought them returns, but a client's response head and the pieces that came with it
 * live until on_end or on_more, whichever comes first.
 *
 * Memory: bounded per connection by struct http_limits; buffers come from a free list of the
 * server or client, so that a call allocates nothing.
 * Threads: all of it belongs to the thread of the loop.
 * Errors: a refused request is answered (400, 408, 413, 414, 431, 501, 505) with
 * application/problem+json through the `refuse` hook and its connection closed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/slice.h"
#include "loop/loop.h"

/* Header names that somebody in Stoa asks for; the parser classifies once.
 * One that ends with '-' is the class of all others that begin so; in it, and in x-real-ip, '_' is
 * as good as '-'. name, text, hop: 1 where RFC 9110 7.6.1 forbids to forward it. */
#define HTTP_NAMES(X)                                         \
	X(HTTP_OTHER, "", 0)                                  \
	X(HTTP_ACCEPT, "accept", 0)                           \
	X(HTTP_AUTHORIZATION, "authorization", 0)             \
	X(HTTP_CONNECTION, "connection", 1)                   \
	X(HTTP_CONTENT_LENGTH, "content-length", 0)           \
	X(HTTP_CONTENT_TYPE, "content-type", 0)               \
	X(HTTP_DATE, "date", 0)                               \
	X(HTTP_EXPECT, "expect", 0)                           \
	X(HTTP_FORWARDED, "forwarded", 0)                     \
	X(HTTP_HOST, "host", 0)                               \
	X(HTTP_HTTP2_SETTINGS, "http2-settings", 1)           \
	X(HTTP_KEEP_ALIVE, "keep-alive", 1)                   \
	X(HTTP_PROXY_AUTHENTICATE, "proxy-authenticate", 1)   \
	X(HTTP_PROXY_AUTHORIZATION, "proxy-authorization", 1) \
	X(HTTP_PROXY_CONNECTION, "proxy-connection", 1)       \
	X(HTTP_SERVER, "server", 0)                           \
	X(HTTP_SIGNATURE, "signature", 0)                     \
	X(HTTP_SIGNATURE_INPUT, "signature-input", 0)         \
	X(HTTP_TE, "te", 1)                                   \
	X(HTTP_TRACEPARENT, "traceparent", 0)                 \
	X(HTTP_TRACESTATE, "tracestate", 0)                   \
	X(HTTP_TRAILER, "trailer", 1)                         \
	X(HTTP_TRANSFER_ENCODING, "transfer-encoding", 1)     \
	X(HTTP_UPGRADE, "upgrade", 1)                         \
	X(HTTP_WEBSOCKET_ACCEPT, "sec-websocket-accept", 0)   \
	X(HTTP_WEBSOCKET_KEY, "sec-websocket-key", 0)         \
	X(HTTP_X_API_KEY, "x-api-key", 0)                     \
	X(HTTP_X_REAL_IP, "x-real-ip", 0)                     \
	X(HTTP_X_FORWARDED, "x-forwarded-", 0)                \
	X(HTTP_STOA_UNITS, "stoa-units", 0)                   \
	X(HTTP_STOA_RESERVED, "stoa-", 0)

enum http_name {
#define X(name, text, hop) name,
	HTTP_NAMES(X)
#undef X
};

bool http_name_is_hop_by_hop(enum http_name name);

struct http_header {
	struct slice name;  /* as received */
	struct slice value; /* without the white space around it */
	enum http_name known;
	bool hop_by_hop; /* set by the parser: hop by hop by its name, or named by Connection */
	/* The name is a token and of the class `known`, the value holds no control character: set
	 * by the parser, and by who wrote the value itself, of parts that can hold none. So it goes
	 * out without being looked at; whoever changes a field that the parser made clears it. */
	bool sound;
};

#define HTTP_PROTOCOL_BYTES_MAX 64 /* of an Upgrade field that is passed on */

#define HTTP_HEADERS_MAX 100 /* fields of one head, and of one trailer section */

enum { HTTP_LENGTH_UNKNOWN = -1 }; /* chunked, or until the connection ends */

struct http_request {
	struct slice method;
	struct slice target;    /* origin form, or "*"; of an absolute form what follows its host */
	struct slice authority; /* Host, with its port; an absolute form must agree with it */
	struct slice path;      /* of the target, begins with '/' */
	struct slice query;     /* of the target after '?', may be empty */
	bool has_query;
	const struct http_header *headers;
	size_t header_count;
	int64_t body_bytes; /* 0: no body; HTTP_LENGTH_UNKNOWN: chunked */
	bool http_1_0;
	bool http_2;
	bool idempotent;       /* RFC 9110 9.2.2: GET, HEAD, OPTIONS, TRACE, PUT, DELETE */
	bool head_only;        /* HEAD */
	bool accepts_trailers; /* TE: trailers */
	bool expects_continue;
	/* Connection: upgrade with an Upgrade field. Like any other request unless both sides are
	 * switched: http_call_request.upgrade, then http_exchange_switch. */
	bool upgrade;
};

struct http_response {
	unsigned status; /* 200..599, or 101 where it was asked for; other 1xx are consumed */
	const struct http_header *headers;
	size_t header_count;
	int64_t body_bytes; /* of an answer to HEAD: as announced, though none comes */
	bool http_2;        /* of 101: a stream was switched, without a field that says so */
};

/* A timeout of 0 never comes. */
struct http_limits {
	uint32_t head_bytes_max;        /* request line and fields; default 32 KiB */
	uint32_t target_bytes_max;      /* default 8 KiB */
	uint64_t body_bytes_max;        /* default 1 GiB; a request beyond it gets 413 */
	uint32_t output_bytes_high;     /* default 256 KiB: above it http_*_writable says no */
	uint64_t head_timeout_ns;       /* from the first byte to the whole head; default 10 s */
	uint64_t body_idle_timeout_ns;  /* between pieces of a body; default 30 s */
	uint64_t keep_alive_timeout_ns; /* between requests; default 60 s */
	uint64_t send_idle_timeout_ns;  /* the peer takes nothing; default 30 s */
	uint64_t connect_timeout_ns;    /* client; default 1 s */
	uint64_t answer_timeout_ns;     /* client: request sent, no head yet; default 60 s */
};

void http_limits_default(struct http_limits *limits);

/* ------------------------------- TLS ------------------------------- */

#define HTTP_TLS_IDENTITIES_MAX 32 /* certificates of one listener */
#define HTTP_TLS_TICKET_KEYS    3

/* Who one is: certificates in PEM, its own first, and the private key of that one. */
struct http_tls_identity {
	struct slice certificates, key;
	const char *certificates_name, *key_name; /* for faults: their files */
};

/* What seals the tickets by which sessions are resumed. */
struct http_tls_ticket_key {
	uint8_t name[16], cipher[32], seal[32];
};

struct http_tls_ticket_keys {
	struct http_tls_ticket_key of[HTTP_TLS_TICKET_KEYS]; /* the first seals, all open */
	size_t count;
};

struct http_tls_options {
	bool is_server;
	/* A server's: the first that names the host which a client asks for, else the first of
	 * all. A client's: none or one. */
	const struct http_tls_identity *identities;
	size_t identity_count;
	/* Who vouches for the peer, certificates in PEM. Empty: a server asks clients for none; a
	 * client believes whom the system believes. */
	struct slice authorities;
	const char *authorities_name;
	bool client_required;                    /* a server's: no connection without one */
	bool http_2;                             /* a server offers it; a client insists on it */
	const struct http_tls_ticket_keys *keys; /* a server's; NULL: each start has its own */
	/* A server's, may be NULL: a certificate in DER for a host that none of them names, over
	 * the key of the last. Returns its length, 0: there is none. Called by any thread. */
	size_t (*certify)(void *owner, const char *host, uint8_t *der, size_t der_bytes_max);
	void *owner;
	const char *server_name; /* a client's: a host's name, or an address */
};

/* How connections of a listener, or to an origin, are encrypted: TLS 1.2 and 1.3, without
 * renegotiation, compression and early data; a client always checks chain and name. It never
 * changes: another takes its place for connections to come, and those that stand keep theirs. What
 * the options point to is copied. Threads: any; counted. */
struct http_tls;

/* A fault names the file and what is wrong with it. */
int http_tls_new(const struct http_tls_options *options, struct http_tls **ret_tls,
		 struct fault *fault);
struct http_tls *http_tls_ref(struct http_tls *tls);
void http_tls_unref(struct http_tls *tls); /* NULL is allowed */

/* Why a client could not agree with a peer by TLS: reason, name in logs, what it means. */
#define HTTP_TLS_REASONS(X)                                                                      \
	X(HTTP_TLS_BROKEN, "handshake", "the handshake failed")                                  \
	X(HTTP_TLS_UNTRUSTED, "untrusted", "no authority that is believed vouches for the peer") \
	X(HTTP_TLS_EXPIRED, "expired", "its certificate is not valid now")                       \
	X(HTTP_TLS_WRONG_NAME, "wrong-name", "its certificate names somebody else")              \
	X(HTTP_TLS_CLIENT_REFUSED, "client-certificate",                                         \
	  "it wants a certificate of the client, or refuses the one it has")                     \
	X(HTTP_TLS_VERSION, "version", "it speaks neither TLS 1.2 nor 1.3")                      \
	X(HTTP_TLS_PROTOCOL, "protocol", "it does not choose the HTTP that was asked for")       \
	X(HTTP_TLS_PLAIN, "plain", "what it sends is no TLS")                                    \
	X(HTTP_TLS_ENDED, "ended", "it ended the connection within the handshake")               \
	X(HTTP_TLS_STALLED, "stalled", "the handshake was not over in time")

enum http_tls_reason {
#define X(reason, name, text) reason,
	HTTP_TLS_REASONS(X)
#undef X
};

/* Static. */
const char *http_tls_reason_name(enum http_tls_reason reason);

#define HTTP_TLS_PEER_NAMES_MAX 16

struct http_tls_name {
	bool is_uri;       /* else a DNS name */
	struct slice text; /* any bytes: the authority that signed them may have been careless */
};

/* Who a client is by its certificate, which one of the listener's authorities vouches for. */
struct http_tls_peer {
	uint8_t fingerprint[32]; /* SHA-256 of the certificate in DER */
	uint64_t ends_ns;        /* its last second, Unix; 0: not known */
	/* The first of its subject alternative names that are DNS names or URIs. */
	size_t name_count;
	struct http_tls_name names[HTTP_TLS_PEER_NAMES_MAX];
};

/* ------------------------------- server side ------------------------------- */

struct http_server;
struct http_exchange;

enum http_abort {
	HTTP_ABORT_PEER_CLOSED,  /* the client went away */
	HTTP_ABORT_PEER_INVALID, /* its body broke the rules; it was or will be told */
	HTTP_ABORT_TIMEOUT,
	HTTP_ABORT_SHUTDOWN
};

/* Why a request was refused by the parser; `status` and a sentence. */
struct http_refusal {
	unsigned status;
	const char *title;  /* static */
	const char *detail; /* static */
};

struct http_server_events {
	/* The head is whole. The state is zeroed. From here the exchange lives until on_over. */
	void (*on_request)(struct http_exchange *exchange, const struct http_request *request);
	void (*on_body)(struct http_exchange *exchange, struct slice bytes);
	/* The request is whole; at once after on_request where it has no body, paused or not.
	 * `trailers` has hop-by-hop and framing fields removed already. */
	void (*on_request_end)(struct http_exchange *exchange, const struct http_header *trailers,
			       size_t trailer_count);
	/* Output fell below the low mark (half of the high one) after it was above the high. */
	void (*on_writable)(struct http_exchange *exchange);
	/* It ended before its answer was with the kernel, and not by http_exchange_abort. No other
	 * event follows but on_over; what is still called on the exchange does nothing. */
	void (*on_abort)(struct http_exchange *exchange, enum http_abort reason);
	/* The last event. Finished: every byte is with the kernel. The state is gone after it. */
	void (*on_over)(struct http_exchange *exchange);
	/* Composes the body of an answer to a request that the parser refused (no exchange was
	 * begun). Returns the bytes written; may be NULL: a plain problem+json. */
	size_t (*refuse)(struct http_server *server, const struct http_refusal *refusal, char *body,
			 size_t body_bytes_max);
};

struct http_server_options {
	struct http_limits limits;
	const struct http_server_events *events;
	void *owner;                   /* http_server_owner */
	size_t exchange_state_bytes;   /* zeroed for each exchange */
	size_t connection_state_bytes; /* zeroed for each connection, kept between its exchanges */
	/* Both may be NULL. The descriptor of a connection that was adopted is to be looked at. */
	void (*on_connection_opened)(void *owner, void *connection_state, int descriptor,
				     bool encrypted);
	void (*on_connection_closed)(void *owner, void *connection_state);
	uint32_t connections_max; /* more are closed at once; 0: 100,000 */
	/* A client that ends its sending while it waits for an answer is gone (nginx's rule).
	 * False: it still gets its answer, and is gone once writing fails (HAProxy's rule). */
	bool half_close_aborts;
	/* A connection ends since its peer broke TLS, or its handshake's terms; may be NULL. */
	void (*on_tls_refused)(void *owner, const char *why);
	/* The handshake is over and the client has shown a certificate that holds, anew or (in a
	 * session that is resumed) before; between on_connection_opened and any exchange. `peer`
	 * lives until it returns. May be NULL. */
	void (*on_tls_peer)(void *owner, void *connection_state, const struct http_tls_peer *peer);
};

int http_server_new(struct loop *loop, const struct http_server_options *options,
		    struct http_server **ret_server, struct fault *fault);
/* A connection accepted by whichever listener; the descriptor becomes the server's. tls: the
 * listener's, NULL: plain. */
void http_server_adopt(struct http_server *server, int descriptor, struct http_tls *tls);
/* Connections close after the answer to the request that they carry, or to one that comes within
 * idle_ns: a client may have sent it before it could know. Answers say that they are the last.
 * idle_ns 0: idle connections close now. `on_drained` is called once, when none is left. */
void http_server_drain(struct http_server *server, uint64_t idle_ns,
		       void (*on_drained)(void *owner));
/* Closes all at once (on_abort, on_over follow in later turns). */
void http_server_close(struct http_server *server);
uint32_t http_server_connections(const struct http_server *server);
/* After drain or close, when no connection is left. */
void http_server_free(struct http_server *server);
void *http_server_owner(const struct http_server *server);

void *http_exchange_state(struct http_exchange *exchange);
void *http_exchange_connection_state(struct http_exchange *exchange);
struct http_server *http_exchange_server(struct http_exchange *exchange);
/* "HTTP/1.0", "HTTP/1.1" or "HTTP/2"; static. */
const char *http_exchange_protocol(const struct http_exchange *exchange);

/* Request body: no on_body while paused. 100 Continue is sent by the first call that shows the
 * body is wanted: `resume` sends it where the client waits for it. Begins resumed, but for
 * requests that expect 100-continue. */
void http_exchange_pause(struct http_exchange *exchange);
void http_exchange_resume(struct http_exchange *exchange);

/* The answer's head. body_bytes >= 0: Content-Length; HTTP_LENGTH_UNKNOWN: chunked (to an
 * HTTP/1.0 client: until close). Date, Content-Length, Transfer-Encoding and Connection are
 * written here; those among `headers` (by `known`), and all that is hop by hop, are left out.
 * A name or value with CR, LF, NUL or another control character is a bug. A body given for
 * HEAD, 204 or 304 is dropped. Once only. */
void http_exchange_respond(struct http_exchange *exchange, unsigned status,
			   const struct http_header *headers, size_t header_count,
			   int64_t body_bytes);
/* Instead of http_exchange_respond, to a request with `upgrade` whose end was told: 101 (of an
 * extended CONNECT of HTTP/2, RFC 8441: 200, and the stream takes the connection's place), and from
 * then on the connection is a tunnel. What the client sends comes by on_body, without a timeout
 * between its pieces; that it will send no more, by another on_request_end. What is sent goes out
 * as it is, until http_exchange_finish or _abort; after it the connection ends. */
void http_exchange_switch(struct http_exchange *exchange, struct slice protocol,
			  const struct http_header *headers, size_t header_count);
/* Copies. More than the announced length is a bug. */
void http_exchange_send(struct http_exchange *exchange, struct slice bytes);
/* False while more than output_bytes_high waits: stop, on_writable will come. */
bool http_exchange_writable(const struct http_exchange *exchange);
/* The whole answer was appended; fewer bytes than announced is a bug. Trailers only in a
 * chunked answer. If the request's body is not over, its rest is discarded up to a bound,
 * else the connection closes after the answer. */
void http_exchange_finish(struct http_exchange *exchange, const struct http_header *trailers,
			  size_t trailer_count);
/* What has not left yet of the answer, and what is appended from here on, waits for the release:
 * for an answer that may only end once something else is safe. HTTP/2: the head of an answer that
 * has a body may leave. An answer that is aborted meanwhile ends without it. */
void http_exchange_hold(struct http_exchange *exchange);
void http_exchange_release(struct http_exchange *exchange);
/* The answer cannot be completed: what was appended leaves, then the connection closes so that
 * the client sees it is cut. on_over follows at the end of the turn, without on_abort. HTTP/2: what
 * the client's windows let through leaves, then the stream is reset. */
void http_exchange_abort(struct http_exchange *exchange);

/* ------------------------------- client side ------------------------------- */

struct http_client;
struct http_origin; /* one address and its kept-alive connections */
struct http_call;   /* one request and its answer */

enum http_failure {
	HTTP_FAILED_CONNECT,     /* refused, not in time, or over before the request was read */
	HTTP_FAILED_STALE,       /* a kept-alive connection ended before the answer's first byte */
	HTTP_FAILED_CLOSED,      /* ended within the answer or after the request */
	HTTP_FAILED_INVALID,     /* the answer broke the rules */
	HTTP_FAILED_TIMEOUT,     /* no answer, or a pause within it, or it takes no request body */
	HTTP_FAILED_REFUSED,     /* the service has not looked at the request, by HTTP/2, or by a
				  * kept-alive connection that ended before it was read */
	HTTP_FAILED_UNSUPPORTED, /* the service takes no upgrade: nothing was sent; HTTP/2 only */
	HTTP_FAILED_TLS /* no agreement by TLS: the service has not looked at the request */
};

struct http_client_events {
	/* The response's head; see "Input" above for how long it lives. */
	void (*on_head)(void *owner, const struct http_response *response);
	void (*on_body)(void *owner, struct slice bytes);
	/* What was received so far is handed over and the answer is not over: slices given since
	 * on_head die now. Also called without new bytes after a head alone. */
	void (*on_more)(void *owner);
	/* The answer is whole. The call is gone, already for a new one that starts from here. It
	 * may come before http_call_finish: then the rest of the request is not wanted. */
	void (*on_end)(void *owner, const struct http_header *trailers, size_t trailer_count);
	/* The call is gone after it. */
	void (*on_failed)(void *owner, enum http_failure failure);
	/* Request output fell below the low mark after http_call_writable said no. */
	void (*on_writable)(void *owner);
};

struct http_client_options {
	struct http_limits limits;
	const struct http_client_events *events;
	uint32_t idle_per_origin_max; /* default 64; LIFO, so that surplus ages out */
	/* A connection to an origin ends for lack of an agreement by TLS; before on_failed of its
	 * calls. `why` is static. May be NULL. */
	void (*on_tls_failed)(void *owner, void *origin_owner, enum http_tls_reason reason,
			      const char *why);
	void *owner;
};

int http_client_new(struct loop *loop, const struct http_client_options *options,
		    struct http_client **ret_client, struct fault *fault);
/* All origins must be freed before. */
void http_client_free(struct http_client *client);

enum http_protocol {
	HTTP_PROTOCOL_1, /* HTTP/1.1: a connection carries one call at a time */
	HTTP_PROTOCOL_2  /* HTTP/2, begun at once: many calls share a connection */
};

/* How a service is reached. */
struct http_origin_options {
	struct loop_address address;
	enum http_protocol protocol;
	struct http_tls *tls; /* a client's, with http_2 as `protocol` is; NULL: plain */
	void *owner;          /* for on_tls_failed */
};

/* The options are copied, and tls is counted. */
struct http_origin *http_origin_new(struct http_client *client,
				    const struct http_origin_options *options);
/* Idle connections close now; calls under way go on; memory goes with the last of them. */
void http_origin_free(struct http_origin *origin);
/* Connections open to it: calls under way and idle. */
uint32_t http_origin_connections(const struct http_origin *origin);

struct http_call_request {
	struct slice method;
	struct slice target;
	const struct http_header *headers; /* with Host; framing and hop by hop are left out */
	size_t header_count;
	int64_t body_bytes;         /* 0 none, n, or HTTP_LENGTH_UNKNOWN: chunked */
	bool head_only;             /* HEAD: the answer has no body */
	bool accepts_trailers;      /* HTTP/2: the service is told so, by "te: trailers" */
	struct slice upgrade;       /* the protocol to ask for; with it there is no body */
	uint64_t answer_timeout_ns; /* 0: the client's limit */
};

/* Where `upgrade` was given the answer may be 101 by on_head, whose Upgrade field the caller
 * looks at: the connection is a tunnel then. HTTP/2 has extended CONNECT for it (RFC 8441): a
 * service that takes it says so by any 2xx, which is told as a 101 with `http_2`, and the stream is
 * the tunnel; a service whose settings do not allow it is not asked. http_call_send sends on, as it
 * is, until http_call_finish says that no more will come; the peer's bytes come by on_body, without
 * a timeout between them, and on_end when it will send no more.
 *
 * Never calls back from within. Everything is copied into the connection's output. */
struct http_call *http_call_start(struct http_origin *origin,
				  const struct http_call_request *request, void *owner);
void http_call_send(struct http_call *call, struct slice bytes); /* copies */
bool http_call_writable(const struct http_call *call);
/* The request is whole; without effect where body_bytes was 0, for it was whole at once. */
void http_call_finish(struct http_call *call, const struct http_header *trailers,
		      size_t trailer_count);
/* No on_body while paused, and no on_end of an answer that has a body. */
void http_call_pause(struct http_call *call);
void http_call_resume(struct http_call *call);
/* The caller lost interest; no event follows. HTTP/1: the connection closes, for its state is
 * unknown; HTTP/2: the call's stream is reset. */
void http_call_cancel(struct http_call *call);
/* Whether any byte of the request may have reached the peer. */
bool http_call_sent_any(const struct http_call *call);

/* ------------------------------- for any side ------------------------------- */

#define HTTP_WEBSOCKET_KEY_BYTES    24
#define HTTP_WEBSOCKET_ACCEPT_BYTES 28

/* What a server answers in Sec-WebSocket-Accept to such a key (RFC 6455, 4.2.2), and a NUL. */
void http_websocket_accept(struct slice key, char accept[HTTP_WEBSOCKET_ACCEPT_BYTES + 1]);

#define HTTP_DATE_BYTES 29 /* "Tue, 24 Nov 2026 04:24:35 GMT" */

/* The time as Date says it (RFC 9110, 5.6.7), kept for the rest of its second. */
struct http_date {
	uint64_t second;
	char text[HTTP_DATE_BYTES];
};

/* Formats only when the second has changed. */
void http_date_update(struct http_date *date, uint64_t wall_ns);

/* The standard phrase, "" where there is none. */
const char *http_status_reason(unsigned status);
/* The field's class, whatever the case of its letters. */
enum http_name http_name_classify(struct slice name);
/* NULL when absent. */
const struct http_header *http_header_find(const struct http_header *headers, size_t count,
					   enum http_name known);
/* Percent-decoding of a path or query part; false on a broken escape or a decoded NUL. */
bool http_percent_decode(struct slice text, char *decoded, size_t decoded_bytes_max,
			 size_t *ret_length);
/* A host, with a port or without: letters, digits, '-', '.', '_', or an IPv6 address in
 * brackets; a port from 1 to 65535. */
bool http_is_authority(struct slice text);
/* True for a non-empty RFC 9110 token. */
bool http_is_token(struct slice text);
