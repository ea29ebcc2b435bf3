#include "base/network.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t ip4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool network_address_parse(struct slice text, struct network_address *ret_address)
{
	struct network_address address;
	char copy[NETWORK_TEXT_MAX];

	if (!slice_to_text(text, copy, sizeof(copy)))
		return false;
	memcpy(address.bytes, ip4_prefix, sizeof(ip4_prefix));
	if (inet_pton(AF_INET, copy, address.bytes + sizeof(ip4_prefix)) != 1 &&
	    inet_pton(AF_INET6, copy, address.bytes) != 1)
		return false;
	*ret_address = address;
	return true;
}

bool network_address_is_ip4(struct network_address address)
{
	return memcmp(address.bytes, ip4_prefix, sizeof(ip4_prefix)) == 0;
}

/* Whether nothing is set behind the first `bits`. */
static bool is_first(struct network_address address, uint8_t bits)
{
	for (unsigned i = bits; i < 128; i++)
		if ((address.bytes[i / 8] & (0x80 >> i % 8)) != 0)
			return false;
	return true;
}

int network_parse(struct slice text, struct network *ret_network, struct fault *fault)
{
	const size_t slash = slice_find_byte(text, '/', 0);
	struct network network = {.bits = 128};
	const int shown = text.length < NETWORK_TEXT_MAX ? (int)text.length : NETWORK_TEXT_MAX;
	uint64_t bits;

	if (!network_address_parse(slice_part(text, 0, slash), &network.first))
		return fault_set(fault, FAULT_INPUT,
				 "\"%.*s\" is no address such as 10.0.0.0/8, 192.0.2.7 or fd00::/8",
				 shown, text.data);
	/* By how it is written: a block of ::ffff:0:0/96 counts as IPv6 does. */
	const bool is_ip4 = slice_find_byte(text, ':', 0) == text.length;
	if (slash < text.length) {
		if (!slice_to_u64(slice_part(text, slash + 1, text.length), is_ip4 ? 32 : 128,
				  &bits))
			return fault_set(fault, FAULT_INPUT, "\"%.*s\": behind / 0 to %d is needed",
					 shown, text.data, is_ip4 ? 32 : 128);
		network.bits = (uint8_t)(is_ip4 ? bits + 96 : bits);
	}
	if (!is_first(network.first, network.bits))
		return fault_set(
			fault, FAULT_INPUT,
			"\"%.*s\": the address has bits set behind its /%d, so it names no "
			"block",
			shown, text.data, network.bits - (is_ip4 ? 96 : 0));
	*ret_network = network;
	return 0;
}

bool network_holds(const struct network *network, struct network_address address)
{
	const unsigned whole = network->bits / 8, rest = network->bits % 8;

	if (memcmp(network->first.bytes, address.bytes, whole) != 0)
		return false;
	return rest == 0 || ((network->first.bytes[whole] ^ address.bytes[whole]) &
			     (0xff00 >> rest) & 0xff) == 0;
}
