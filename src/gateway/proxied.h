/*
 * proxied: what a proxy that is trusted says of the way on which a call came. Private to the
 * gateway.
 *
 * It is read from one kind of fields, X-Forwarded-* or Forwarded (RFC 7239): whoever believed both
 * would believe the caller about the one that its proxy does not write. Of the addresses named,
 * those of trusted proxies are passed over from the right; the one before them is the client, for
 * what stands further left is the client's own word.
 *
 * Threads: any. Memory: the caller's; slices point into the fields, the trust's peer and `text`.
 */
#pragma once

#include "base/network.h"
#include "gateway/forwarded.h"
#include "gateway/gateway.h"
#include "http/http.h"

#define PROXIED_HOPS_MAX  32   /* of the rightmost; what stands further left does not go on */
#define PROXIED_CHAIN_MAX 1024 /* bytes; the same */

#define PROXIED_FIELDS   5
#define PROXIED_TEXT_MAX (PROXIED_CHAIN_MAX + FORWARDED_TEXT_MAX + INET6_ADDRSTRLEN)

struct proxied {
	struct slice client; /* its address: the peer's own where none is named */
	bool ip6;
	struct slice host, protocol, port; /* what it says; empty: nothing, or nothing valid */
	struct slice chain;                /* the list as it came, joined; may be empty */
	char text[PROXIED_CHAIN_MAX];
};

/* Of a peer that is trusted. */
void proxied_read(const struct gateway_trust *trust, const struct forwarded_peer *peer,
		  const struct http_header *headers, size_t count, struct proxied *ret_proxied);

/* The fields of a request, with slices into all that is given: the list, with the peer behind it;
 * of the other kind of fields the client alone; host, protocol and port as the proxies say them,
 * else as they are here. Returns how many. */
size_t proxied_put(const struct gateway_trust *trust, const struct proxied *proxied,
		   const struct forwarded_peer *peer, struct slice authority, bool encrypted,
		   struct http_header headers[PROXIED_FIELDS], char text[PROXIED_TEXT_MAX]);

/* Whether it is one of the proxies. */
bool proxied_is_trusted(const struct gateway_trust *trust, const struct forwarded_peer *peer);
