/* What a trusted proxy passes on of the way: whatever it is, the client is an address, what goes on
 * is within its bounds, and the proxy's own address stands behind it. The first byte chooses the
 * kind of fields; a line each is a field's value. */
#include "replay.h"

#include <string.h>

#include "base/check.h"
#include "gateway/proxied.h"

#define FIELDS_MAX 8
#define PEER       "10.0.0.1"

static const char *const names[] = {"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
				    "X-Forwarded-Port"};

static void check_field(const struct http_header *field, struct slice list_end)
{
	for (size_t i = 0; i < field->value.length; i++)
		check((unsigned char)field->value.data[i] >= ' ' || field->value.data[i] == '\t');
	if (field->known == HTTP_FORWARDED)
		check(slice_starts_with(field->value, slice_of("for=")) || list_end.length > 0);
}

static void check_way(const struct gateway_trust *trust, const struct http_header *fields,
		      size_t count)
{
	const struct forwarded_peer peer = {.address = PEER, .address_bytes = strlen(PEER)};
	struct http_header put[PROXIED_FIELDS];
	struct network_address address;
	char text[PROXIED_TEXT_MAX];
	struct proxied proxied;

	proxied_read(trust, &peer, fields, count, &proxied);
	check(network_address_parse(proxied.client, &address));
	check_equal(proxied.ip6, memchr(proxied.client.data, ':', proxied.client.length) != NULL);
	check_at_most(proxied.chain.length, PROXIED_CHAIN_MAX);
	const size_t put_count =
		proxied_put(trust, &proxied, &peer, slice_of("a.localhost"), true, put, text);
	check_at_most(put_count, PROXIED_FIELDS);
	for (size_t i = 0; i < put_count; i++)
		check_field(&put[i], proxied.chain);
	if (trust->by_forwarded)
		check(slice_ends_with(put[0].value,
				      slice_of("for=" PEER ";host=\"a.localhost\";proto=https")));
	else
		check(slice_ends_with(put[1].value, slice_of(PEER)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gateway_trust trust = {.network_count = 1};
	struct http_header fields[FIELDS_MAX];
	struct fault fault;
	size_t count = 0;

	if (size == 0)
		return 0;
	check_equal(network_parse(slice_of("10.0.0.0/8"), &trust.networks[0], &fault), 0);
	trust.by_forwarded = data[0] % 2 == 1;
	struct slice rest = slice_make(data + 1, size - 1), value;
	while (count < FIELDS_MAX && slice_cut(&rest, '\n', &value)) {
		const char *name = trust.by_forwarded ? "Forwarded" : names[count % 4];
		for (size_t i = 0; i < value.length; i++)
			if (((unsigned char)value.data[i] < ' ' && value.data[i] != '\t') ||
			    value.data[i] == 0x7f)
				return 0; /* the parser lets none of these pass */
		fields[count++] = (struct http_header){.name = slice_of(name),
						       .value = slice_trim(value),
						       .known = http_name_classify(slice_of(name))};
	}
	check_way(&trust, fields, count);
	return 0;
}
