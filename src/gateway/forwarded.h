/*
 * forwarded: what a service is told of the way that a call came: Forwarded (RFC 7239), and
 * X-Forwarded-For, -Host and -Proto for what does not read it. Private to the gateway.
 *
 * They are written anew, from the connection and from the request's own authority; what a caller
 * sent of them never goes on, unless it is a proxy that is trusted: proxied.h. So a service may
 * believe them.
 *
 * Threads: the connection's worker. Memory: the connection's state.
 */
#pragma once

#include <netinet/in.h>

#include "base/slice.h"
#include "http/http.h"

#define FORWARDED_FIELDS        4
#define FORWARDED_AUTHORITY_MAX 261 /* a domain name, a colon, a port; longer is left out */
#define FORWARDED_TEXT_MAX      (INET6_ADDRSTRLEN + FORWARDED_AUTHORITY_MAX + 48)

/* The other end of a connection. */
struct forwarded_peer {
	uint8_t address_bytes;
	char address[INET6_ADDRSTRLEN]; /* "192.0.2.1", "2001:db8::1"; "unknown": a Unix socket */
	bool ip6;
};

/* Asks the kernel who is at the descriptor's other end. */
void forwarded_peer_read(struct forwarded_peer *peer, int descriptor);
static inline struct slice forwarded_peer_text(const struct forwarded_peer *peer)
{
	return slice_make(peer->address, peer->address_bytes);
}

/* Puts an element of Forwarded; returns its end. `authority`: "": none; else letters, digits and
 * "-._:[]". */
char *forwarded_element_put(char *at, struct slice address, bool ip6, struct slice authority,
			    struct slice protocol);

/* The fields of a request, with slices into `peer` and `text`; returns how many. `authority`: the
 * request's, of letters, digits and "-._:[]"; "": it has none. `encrypted`: it came by TLS. */
size_t forwarded_put(const struct forwarded_peer *peer, struct slice authority, bool encrypted,
		     struct http_header headers[FORWARDED_FIELDS], char text[FORWARDED_TEXT_MAX]);
