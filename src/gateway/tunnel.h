/*
 * tunnel: a call whose connections were switched to another protocol, such as WebSocket (RFC 9110
 * 7.8, RFC 6455). Private to the gateway.
 *
 * The request is a call like any other until the service answers 101. From then on bytes go both
 * ways as they come, with the back-pressure and the bounds of bodies, and are metered as request
 * and answer bytes. The call settles when either side has ended: it is one call, of so many bytes,
 * that held its share of the instance for so long. It is cut when nothing moved for the idle
 * timeout, when its time is over (the plan's timeout, and at most tunnel.lifetime), when its
 * account's money does not cover more bytes, and when the node stops. However it ended, it is
 * billed, unless the service's connection broke.
 *
 * What is passed on is one protocol, asked for by a GET without a body. Other wishes for an
 * upgrade are left out, as RFC 9110 allows: several protocols, and HTTP/2 (h2c) and TLS, which
 * would carry requests past the gateway. A service that speaks HTTP/2 is asked by extended CONNECT
 * (RFC 8441) where its settings allow it. Of WebSocket the key is looked at, and the answer to it:
 * who does not know it by that has not agreed to speak WebSocket.
 *
 * Threads: the worker's.
 */
#pragma once

#include "gateway/call.h"

enum tunnel_wish {
	TUNNEL_NONE,    /* nothing that is passed on */
	TUNNEL_WANTED,  /* and the request is one that may */
	TUNNEL_REFUSED, /* another method than GET, a body, or WebSocket without a key */
};

enum tunnel_wish tunnel_wish(const struct http_request *request);
/* The one protocol that an Upgrade field names; empty where there is none, or several fields. */
struct slice tunnel_protocol(const struct http_header *headers, size_t header_count);

/* The service answered 101. The call may be over after it. */
void tunnel_begin(struct call *call, const struct http_response *response);
/* Bytes went one way or the other. */
void tunnel_moved(struct call *call);
/* When it will have been idle for too long; UINT64_MAX for a call that is no tunnel. */
uint64_t tunnel_due_ns(const struct call *call);
bool tunnel_is_idle(const struct call *call);
