/*
 * message: HTTP/1.1 (RFC 9110, 9112) as one service needs it: a request read whole from a
 * connected socket, an answer written whole.
 *
 * Strict: lines end with CRLF, a length is told once and in one way; on any doubt the request
 * is refused and the connection closed. Everything has a limit and every wait a deadline, so
 * that no peer can hold a thread for long.
 *
 * Threads: a connection belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_HEAD_MAX   16384 /* bytes of request line and fields */
#define MESSAGE_FIELDS_MAX 100
#define MESSAGE_TARGET_MAX 2048        /* bytes */
#define MESSAGE_BODY_MAX   (16u << 20) /* bytes */
#define MESSAGE_HEAD_MS    10000       /* from the first byte to the head's end */
#define MESSAGE_BODY_MS    30000
#define MESSAGE_WRITE_MS   30000

struct connection {
	int fd;            /* does not block */
	size_t start, end; /* what was received and not yet consumed */
	char buffer[MESSAGE_HEAD_MAX];
};

/* Why a request gets no other answer. Constant texts. */
struct refusal {
	int status;
	const char *detail; /* a sentence for people, without characters that JSON escapes */
	const char *allow;  /* with 405 */
};

struct request {
	char method[16];
	char path[MESSAGE_TARGET_MAX];
	char query[MESSAGE_TARGET_MAX]; /* after the '?', or empty */
	bool keep_alive;
	bool chunked;
	bool expects_continue;
	int64_t content_length; /* -1: not told */
	char *body;             /* heap; message_request_fini frees it */
	size_t body_length;
};

struct answer {
	int status;
	const char *content_type;
	const void *body;
	size_t body_length;
	const char *fields; /* further fields, each ended by CRLF, or NULL */
	const char *allow;  /* the Allow field, or NULL */
};

enum message_outcome {
	MESSAGE_READ,
	MESSAGE_CLOSED,  /* the peer left; there is nobody to answer */
	MESSAGE_REFUSED, /* answer with the refusal, then close */
};

/* Pure: parses a head, its empty line included. Fills the request but for its body; false with
 * the refusal filled otherwise. */
bool message_head_parse(const char *head, size_t length, struct request *request,
			struct refusal *refusal);

/* Reads the next request with its body. On MESSAGE_READ the request owns the body. */
enum message_outcome message_request_read(struct connection *connection, struct request *request,
					  struct refusal *refusal);
void message_request_fini(struct request *request);

/* Writes an answer; without its body where the method is HEAD. False: the peer left. */
bool message_answer_write(struct connection *connection, const struct request *request,
			  const struct answer *answer);
/* The same with a refusal as application/problem+json (RFC 9457). */
bool message_refusal_write(struct connection *connection, const struct request *request,
			   const struct refusal *refusal);

/* Closes so that the peer can still read the answer, whatever it is sending (RFC 9112, 9.6). */
void message_connection_close(struct connection *connection);
