#include "loop/loop.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static int parse_path(struct slice path, struct loop_address *address, struct fault *fault)
{
	const size_t most = sizeof(address->path.sun_path) - 1;

	if (path.length == 0)
		return fault_set(fault, FAULT_INPUT, "address \"unix:\" lacks a path");
	if (path.length > most || slice_find_byte(path, '\0', 0) != path.length)
		return fault_set(fault, FAULT_INPUT,
				 "socket path \"%.*s\" is not allowed: at most %zu bytes, no NUL",
				 SLICE_ARGS(path), most);
	address->path.sun_family = AF_UNIX;
	memcpy(address->path.sun_path, path.data, path.length);
	address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.length + 1);
	return 0;
}

static bool parse_host(struct slice host, uint16_t port, struct loop_address *address)
{
	char text[INET6_ADDRSTRLEN];
	const bool bracketed =
		host.length >= 2 && host.data[0] == '[' && host.data[host.length - 1] == ']';

	if (bracketed)
		host = slice_part(host, 1, host.length - 1);
	else if (slice_equal(host, slice_of("localhost")))
		host = slice_of("127.0.0.1");
	if (!slice_to_text(host, text, sizeof(text)))
		return false;
	if (bracketed) {
		address->ip6.sin6_family = AF_INET6;
		address->ip6.sin6_port = htons(port);
		address->length = sizeof(address->ip6);
		return inet_pton(AF_INET6, text, &address->ip6.sin6_addr) == 1;
	}
	address->ip4.sin_family = AF_INET;
	address->ip4.sin_port = htons(port);
	address->length = sizeof(address->ip4);
	return inet_pton(AF_INET, text, &address->ip4.sin_addr) == 1;
}

int loop_address_parse(struct slice text, struct loop_address *ret_address, struct fault *fault)
{
	struct loop_address address = {0};
	const struct slice scheme = slice_of("unix:");
	uint64_t port;
	size_t colon = text.length;

	if (slice_starts_with(text, scheme)) {
		const int result =
			parse_path(slice_part(text, scheme.length, text.length), &address, fault);
		if (result == 0)
			*ret_address = address;
		return result;
	}
	while (colon > 0 && text.data[colon - 1] != ':')
		colon--;
	if (colon == 0 || !slice_to_u64(slice_part(text, colon, text.length), UINT16_MAX, &port) ||
	    !parse_host(slice_part(text, 0, colon - 1), (uint16_t)port, &address))
		return fault_set(fault, FAULT_INPUT,
				 "address \"%.*s\" is none of 127.0.0.1:8080, [::1]:8080, "
				 "localhost:8080, unix:/path",
				 SLICE_ARGS(text));
	*ret_address = address;
	return 0;
}

void loop_address_format(const struct loop_address *address, char text[LOOP_ADDRESS_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "?";

	switch (address->any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &address->ip4.sin_addr, host, sizeof(host));
		snprintf(text, LOOP_ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(address->ip4.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &address->ip6.sin6_addr, host, sizeof(host));
		snprintf(text, LOOP_ADDRESS_TEXT_MAX, "[%s]:%u", host,
			 ntohs(address->ip6.sin6_port));
		break;
	case AF_UNIX:
		/* A path that fills the field has no NUL. */
		snprintf(text, LOOP_ADDRESS_TEXT_MAX, "unix:%.*s",
			 (int)sizeof(address->path.sun_path), address->path.sun_path);
		break;
	default:
		snprintf(text, LOOP_ADDRESS_TEXT_MAX, "unknown");
	}
}

bool loop_address_equal(const struct loop_address *a, const struct loop_address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	switch (a->any.sa_family) {
	case AF_INET:
		return a->ip4.sin_port == b->ip4.sin_port &&
		       a->ip4.sin_addr.s_addr == b->ip4.sin_addr.s_addr;
	case AF_INET6:
		return a->ip6.sin6_port == b->ip6.sin6_port &&
		       a->ip6.sin6_scope_id == b->ip6.sin6_scope_id &&
		       memcmp(&a->ip6.sin6_addr, &b->ip6.sin6_addr, sizeof(struct in6_addr)) == 0;
	case AF_UNIX:
		return strncmp(a->path.sun_path, b->path.sun_path, sizeof(a->path.sun_path)) == 0;
	default:
		return false;
	}
}
