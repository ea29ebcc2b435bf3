#include "base/testing.h"

#include "base/network.h"

static struct network network_of(const char *text)
{
	struct network network;
	struct fault fault;

	assert_int_equal(network_parse(slice_of(text), &network, &fault), 0);
	return network;
}

static bool holds(const char *network_text, const char *address_text)
{
	const struct network network = network_of(network_text);
	struct network_address address;

	assert_true(network_address_parse(slice_of(address_text), &address));
	return network_holds(&network, address);
}

static void a_block_holds_its_addresses_and_no_other(void **state)
{
	(void)state;
	assert_true(holds("10.0.0.0/8", "10.255.0.1"));
	assert_false(holds("10.0.0.0/8", "11.0.0.0"));
	assert_true(holds("192.0.2.128/25", "192.0.2.128"));
	assert_false(holds("192.0.2.128/25", "192.0.2.127"));
	assert_true(holds("192.0.2.6/31", "192.0.2.7"));
	assert_false(holds("192.0.2.6/31", "192.0.2.8"));
	assert_true(holds("192.0.2.7", "192.0.2.7"));
	assert_false(holds("192.0.2.7", "192.0.2.6"));
	assert_true(holds("fd00::/8", "fdff::1"));
	assert_false(holds("fd00::/8", "fe00::"));
	assert_true(holds("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(holds("2001:db8::/33", "2001:db8:8000::"));
	assert_true(holds("0.0.0.0/0", "203.0.113.9"));
	assert_false(holds("0.0.0.0/0", "2001:db8::1"));
	assert_true(holds("::/0", "2001:db8::1"));
}

static void an_ip4_address_is_the_same_in_both_forms(void **state)
{
	struct network_address address;

	(void)state;
	assert_true(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
	assert_true(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
	assert_true(network_address_parse(slice_of("::ffff:10.1.2.3"), &address));
	assert_true(network_address_is_ip4(address));
	assert_true(network_address_parse(slice_of("::1"), &address));
	assert_false(network_address_is_ip4(address));
}

static void what_is_no_block_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/-1",
		"10.0.0.1/8",
		"10.0.0",
		"10.0.0.0/8 ",
		"::/129",
		"::1/64",
		"localhost",
		"1.2.3.4:5",
		"[::1]",
		"fe80::1%eth0",
		"10.0.0.0/8/8",
		"010.0.0.0/8",
		"0x0a.0.0.0/8",
	};
	struct network network;
	struct fault fault;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (network_parse(slice_of(texts[i]), &network, &fault) == 0)
			fail_msg("taken: \"%s\"", texts[i]);
	network_parse(slice_of("10.0.0.1/8"), &network, &fault);
	assert_non_null(strstr(fault.text, "bits set behind its /8"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_holds_its_addresses_and_no_other),
		cmocka_unit_test(an_ip4_address_is_the_same_in_both_forms),
		cmocka_unit_test(what_is_no_block_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
