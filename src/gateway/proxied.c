#include "gateway/proxied.h"

#include <string.h>

#include "base/check.h"
#include "gateway/own_field.h"

/* ---- who is trusted ---- */

static bool is_trusted(const struct gateway_trust *trust, struct network_address address)
{
	for (uint32_t i = 0; i < trust->network_count; i++)
		if (network_holds(&trust->networks[i], address))
			return true;
	return false;
}

bool proxied_is_trusted(const struct gateway_trust *trust, const struct forwarded_peer *peer)
{
	struct network_address address;

	return network_address_parse(forwarded_peer_text(peer), &address)
		       ? is_trusted(trust, address)
		       : trust->unix_sockets;
}

/* ---- the hops ---- */

/* The rightmost of those that were found, the latest at [count - 1 modulo the most]. */
struct hops {
	struct slice of[PROXIED_HOPS_MAX];
	uint32_t count, kept;
};

static void put_hop(struct hops *hops, struct slice hop)
{
	hop = slice_trim(hop);
	if (hop.length == 0)
		return;
	hops->of[hops->count++ % PROXIED_HOPS_MAX] = hop;
	hops->kept += hops->kept < PROXIED_HOPS_MAX;
}

/* 0 is the rightmost. */
static struct slice hop_at(const struct hops *hops, uint32_t from_right)
{
	return hops->of[(hops->count - 1 - from_right) % PROXIED_HOPS_MAX];
}

/* Where the text ends, or the separator stands outside of quotes; longer than the text: a quote is
 * not closed. */
static size_t find_unquoted(struct slice text, char separator, size_t from)
{
	bool quoted = false;
	size_t at = from;

	for (; at < text.length; at++) {
		if (quoted && text.data[at] == '\\')
			at++;
		else if (text.data[at] == '"')
			quoted = !quoted;
		else if (text.data[at] == separator && !quoted)
			return at;
	}
	return quoted ? text.length + 1 : text.length;
}

/* A line with an open quote says nothing, nor does what stands before it. */
static void put_line(struct hops *hops, struct slice line, bool quotes)
{
	size_t end;

	for (size_t at = 0; at <= line.length; at = end + 1) {
		end = quotes ? find_unquoted(line, ',', at) : slice_find_byte(line, ',', at);
		if (end > line.length) {
			*hops = (struct hops){0};
			return;
		}
		put_hop(hops, slice_part(line, at, end));
	}
}

/* As many of the rightmost as there is room for. */
static void put_chain(struct proxied *proxied, const struct hops *hops)
{
	const struct slice between = slice_of(", ");
	size_t at = sizeof(proxied->text);

	for (uint32_t i = 0; i < hops->kept; i++) {
		const struct slice hop = hop_at(hops, i);
		const size_t bytes = hop.length + (i > 0 ? between.length : 0);
		if (bytes > at)
			break;
		at -= bytes;
		char *end = own_put(proxied->text + at, hop);
		if (i > 0)
			own_put(end, between);
	}
	proxied->chain = slice_make(proxied->text + at, sizeof(proxied->text) - at);
}

/* ---- an address ---- */

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". False: none. */
static bool take_address(struct slice text, struct slice *ret_text, struct network_address *ret)
{
	const size_t colon = slice_find_byte(text, ':', 0);

	if (text.length > 0 && text.data[0] == '[')
		text = slice_part(text, 1, slice_find_byte(text, ']', 0));
	else if (slice_find_byte(text, ':', colon + 1) >= text.length)
		text = slice_part(text, 0, colon);
	if (!network_address_parse(text, ret))
		return false;
	*ret_text = text;
	return true;
}

/* ---- Forwarded ---- */

static struct slice unquoted(struct slice value)
{
	const bool is_quoted =
		value.length >= 2 && value.data[0] == '"' && value.data[value.length - 1] == '"';

	/* An escape is in none of the values that are looked for. */
	return is_quoted ? slice_part(value, 1, value.length - 1) : value;
}

/* The value of an element's one parameter of that name; empty: there is none, or several. */
static struct slice parameter(struct slice element, const char *name)
{
	struct slice found = {0};
	uint32_t count = 0;
	size_t end;

	for (size_t at = 0; at <= element.length; at = end + 1) {
		end = find_unquoted(element, ';', at);
		const struct slice pair = slice_trim(slice_part(element, at, end));
		const size_t equals = slice_find_byte(pair, '=', 0);
		if (equals == pair.length ||
		    !slice_equal_ignore_case(slice_part(pair, 0, equals), slice_of(name)))
			continue;
		found = unquoted(slice_part(pair, equals + 1, pair.length));
		count++;
	}
	return count == 1 ? found : (struct slice){0};
}

/* ---- what is said ---- */

static struct slice valid_protocol(struct slice text)
{
	static const char *const known[] = {"http", "https"};

	for (size_t i = 0; i < 2; i++)
		if (slice_equal_ignore_case(text, slice_of(known[i])))
			return slice_of(known[i]);
	return (struct slice){0};
}

static struct slice valid_host(struct slice text)
{
	return text.length <= FORWARDED_AUTHORITY_MAX && http_is_authority(text)
		       ? text
		       : (struct slice){0};
}

static struct slice valid_port(struct slice text)
{
	uint64_t port;

	return slice_to_u64(text, UINT16_MAX, &port) && port > 0 ? text : (struct slice){0};
}

/* The value of the one field of that name. */
static struct slice only_field(const struct http_header *headers, size_t count, const char *name)
{
	struct slice value = {0};
	uint32_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (headers[i].known == HTTP_X_FORWARDED &&
		    slice_equal_ignore_case(headers[i].name, slice_of(name))) {
			value = headers[i].value;
			found++;
		}
	}
	return found == 1 ? value : (struct slice){0};
}

/* Passes over the proxies; returns the hop that names the client, NULL: the peer is it. */
static const struct slice *find_client(const struct gateway_trust *trust, const struct hops *hops,
				       struct slice *hop, struct proxied *proxied)
{
	const struct slice *found = NULL;
	struct network_address address;

	for (uint32_t i = 0; i < hops->kept; i++) {
		const struct slice next = hop_at(hops, i);
		if (!take_address(trust->by_forwarded ? parameter(next, "for") : next,
				  &proxied->client, &address))
			break; /* "unknown", or a name that only its proxy understands */
		*hop = next;
		found = hop;
		proxied->ip6 = slice_find_byte(proxied->client, ':', 0) < proxied->client.length;
		if (!is_trusted(trust, address))
			break;
	}
	return found;
}

void proxied_read(const struct gateway_trust *trust, const struct forwarded_peer *peer,
		  const struct http_header *headers, size_t count, struct proxied *ret_proxied)
{
	struct proxied *proxied = ret_proxied;
	struct hops hops = {0};
	struct slice hop;

	proxied->client = forwarded_peer_text(peer);
	proxied->ip6 = peer->ip6;
	proxied->host = proxied->protocol = proxied->port = (struct slice){0};
	for (size_t i = 0; i < count; i++) {
		const struct http_header *header = &headers[i];
		if (trust->by_forwarded && header->known == HTTP_FORWARDED)
			put_line(&hops, header->value, true);
		else if (!trust->by_forwarded && header->known == HTTP_X_FORWARDED &&
			 slice_equal_ignore_case(header->name, slice_of("X-Forwarded-For")))
			put_line(&hops, header->value, false);
	}
	put_chain(proxied, &hops);
	const struct slice *client_hop = find_client(trust, &hops, &hop, proxied);
	if (!trust->by_forwarded) {
		proxied->host = valid_host(only_field(headers, count, "X-Forwarded-Host"));
		proxied->protocol = valid_protocol(only_field(headers, count, "X-Forwarded-Proto"));
		proxied->port = valid_port(only_field(headers, count, "X-Forwarded-Port"));
	} else if (client_hop != NULL) {
		proxied->host = valid_host(parameter(*client_hop, "host"));
		proxied->protocol = valid_protocol(parameter(*client_hop, "proto"));
	}
}

/* ---- what goes on ---- */

static char *put_list(char *at, struct slice chain)
{
	if (chain.length == 0)
		return at;
	at = own_put(at, chain);
	return own_put(at, slice_of(", "));
}

size_t proxied_put(const struct gateway_trust *trust, const struct proxied *proxied,
		   const struct forwarded_peer *peer, struct slice authority, bool encrypted,
		   struct http_header headers[PROXIED_FIELDS], char text[PROXIED_TEXT_MAX])
{
	const struct slice here = slice_of(encrypted ? "https" : "http");
	struct slice forwarded, addresses = proxied->client;
	size_t count = 0;
	char *at = text;

	if (authority.length > FORWARDED_AUTHORITY_MAX)
		authority = (struct slice){0};
	const struct slice host = proxied->host.length > 0 ? proxied->host : authority;
	const struct slice protocol = proxied->protocol.length > 0 ? proxied->protocol : here;
	if (trust->by_forwarded) {
		at = put_list(at, proxied->chain);
		at = forwarded_element_put(at, forwarded_peer_text(peer), peer->ip6, authority,
					   here);
		forwarded = slice_make(text, (size_t)(at - text));
	} else {
		at = forwarded_element_put(at, proxied->client, proxied->ip6, host, protocol);
		forwarded = slice_make(text, (size_t)(at - text));
		char *list = at;
		at = own_put(put_list(at, proxied->chain), forwarded_peer_text(peer));
		addresses = slice_make(list, (size_t)(at - list));
	}
	check_at_most(at - text, PROXIED_TEXT_MAX);
	headers[count++] = own_header(HTTP_FORWARDED, "Forwarded", forwarded);
	headers[count++] = own_header(HTTP_X_FORWARDED, "X-Forwarded-For", addresses);
	if (host.length > 0)
		headers[count++] = own_header(HTTP_X_FORWARDED, "X-Forwarded-Host", host);
	headers[count++] = own_header(HTTP_X_FORWARDED, "X-Forwarded-Proto", protocol);
	if (proxied->port.length > 0)
		headers[count++] = own_header(HTTP_X_FORWARDED, "X-Forwarded-Port", proxied->port);
	return count;
}
