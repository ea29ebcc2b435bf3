/*
 * grpc: what Stoa has to know of gRPC (over HTTP/2, and as well over HTTP/1.1), which is HTTP with
 * an outcome of its own behind the body. Private to the gateway.
 *
 * A call is gRPC by the content type of its request. Then Stoa's own answers are gRPC's: HTTP 200
 * without a body, and the outcome in the fields (Trailers-Only); the caller's grpc-timeout bounds
 * it; and what the service says in grpc-status counts as the HTTP status that means the same.
 *
 * Sources: the specification's PROTOCOL-HTTP2 (Trailers-Only, Timeout, Status-Message) and
 * google/rpc/code.proto (codes and their HTTP statuses).
 * Threads: any. Nothing is kept.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gateway/problem.h"
#include "http/http.h"

#define GRPC_MESSAGE_MAX (3 * PROBLEM_BODY_MAX) /* bytes, percent-encoded */
#define GRPC_OK          0u
#define GRPC_UNKNOWN     2u

/* Whether these are the fields of a gRPC message: `application/grpc`, with a format behind '+'.
 * gRPC-Web, which browsers speak, is none: it is HTTP whose body holds the outcome. */
bool grpc_is_message(const struct http_header *headers, size_t count);

/* The code for Stoa's own answer of that HTTP status, and what HTTP says for a service's code;
 * 200 for GRPC_OK, 500 for one that does not exist. */
unsigned grpc_code_of_status(unsigned status);
unsigned grpc_status_of_code(unsigned code);

/* The service's outcome: false where the fields have none. One that is no code is GRPC_UNKNOWN,
 * as clients take it. */
bool grpc_code_read(const struct http_header *headers, size_t count, unsigned *ret_code);

/* How long the caller waits. False where it does not say, or not as the specification does. */
bool grpc_timeout_read(const struct http_header *headers, size_t count, uint64_t *ret_ns);

/* What a problem is as grpc-message: title and what to do, percent-encoded. */
struct slice grpc_message(enum problem problem, char text[GRPC_MESSAGE_MAX]);
