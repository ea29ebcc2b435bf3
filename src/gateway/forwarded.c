#include "gateway/forwarded.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "gateway/own_field.h"

static_assert(INET6_ADDRSTRLEN <= UINT8_MAX, "its length fits");

static void set_address(struct forwarded_peer *peer, int family, const void *address)
{
	check(inet_ntop(family, address, peer->address, sizeof(peer->address)) != NULL);
	peer->address_bytes = (uint8_t)strlen(peer->address);
	peer->ip6 = family == AF_INET6;
}

void forwarded_peer_read(struct forwarded_peer *peer, int descriptor)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ip4;
		struct sockaddr_in6 ip6;
		struct sockaddr_storage most;
	} from;
	socklen_t length = sizeof(from);

	if (getpeername(descriptor, &from.any, &length) < 0)
		from.any.sa_family = AF_UNSPEC;
	if (from.any.sa_family == AF_INET) {
		set_address(peer, AF_INET, &from.ip4.sin_addr);
	} else if (from.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&from.ip6.sin6_addr)) {
		set_address(peer, AF_INET, &from.ip6.sin6_addr.s6_addr[12]);
	} else if (from.any.sa_family == AF_INET6) {
		set_address(peer, AF_INET6, &from.ip6.sin6_addr);
	} else { /* RFC 7239, 6.2 */
		static const char unknown[] = "unknown";
		memcpy(peer->address, unknown, sizeof(unknown));
		peer->address_bytes = sizeof(unknown) - 1;
		peer->ip6 = false;
	}
}

/* for="[2001:db8::1]";host="thumbs.localhost:8080";proto=http */
char *forwarded_element_put(char *at, struct slice address, bool ip6, struct slice authority,
			    struct slice protocol)
{
	at = own_put(at, ip6 ? slice_of("for=\"[") : slice_of("for="));
	at = own_put(at, address);
	at = own_put(at, ip6 ? slice_of("]\";") : slice_of(";"));
	if (authority.length > 0) {
		at = own_put(at, slice_of("host=\""));
		at = own_put(at, authority);
		at = own_put(at, slice_of("\";"));
	}
	at = own_put(at, slice_of("proto="));
	return own_put(at, protocol);
}

size_t forwarded_put(const struct forwarded_peer *peer, struct slice authority, bool encrypted,
		     struct http_header headers[FORWARDED_FIELDS], char text[FORWARDED_TEXT_MAX])
{
	const struct slice protocol = slice_of(encrypted ? "https" : "http");
	size_t count = 0;

	if (authority.length > FORWARDED_AUTHORITY_MAX)
		authority = (struct slice){0};
	const char *end = forwarded_element_put(text, forwarded_peer_text(peer), peer->ip6,
						authority, protocol);
	headers[count++] =
		own_header(HTTP_FORWARDED, "Forwarded", slice_make(text, (size_t)(end - text)));
	headers[count++] =
		own_header(HTTP_X_FORWARDED, "X-Forwarded-For", forwarded_peer_text(peer));
	if (authority.length > 0)
		headers[count++] = own_header(HTTP_X_FORWARDED, "X-Forwarded-Host", authority);
	headers[count++] = own_header(HTTP_X_FORWARDED, "X-Forwarded-Proto", protocol);
	return count;
}
