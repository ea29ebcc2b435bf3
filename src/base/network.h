/*
 * network: addresses of IP and blocks of them, as settings name them.
 *
 * An IPv4 address is held as the IPv4-mapped one of IPv6 (RFC 4291, 2.5.5.2), so that both kinds
 * compare alike.
 *
 * Threads: any (values).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/slice.h"

#define NETWORK_TEXT_MAX 64 /* bytes of an address or a block as text, with a NUL */

struct network_address {
	uint8_t bytes[16];
};

struct network {
	struct network_address first; /* nothing behind `bits` is set */
	uint8_t bits;                 /* 0 .. 128, that all of its addresses share */
};

/* "192.0.2.1" or "2001:db8::1", without port or zone. False: it is none. */
bool network_address_parse(struct slice text, struct network_address *ret_address);
bool network_address_is_ip4(struct network_address address);

/* An address, or a block such as 10.0.0.0/8 or fd00::/8. A fault says what is wrong with it. */
int network_parse(struct slice text, struct network *ret_network, struct fault *fault);
bool network_holds(const struct network *network, struct network_address address);
