/* What trusted proxies say of the way that a call came. */
#include "base/testing.h"

#include <string.h>

#include "gateway/proxied.h"

#define FIELDS_MAX 8

static struct gateway_trust trust;
static struct forwarded_peer peer;
static struct http_header fields[FIELDS_MAX];
static struct proxied proxied;
static struct http_header put[PROXIED_FIELDS];
static size_t put_count;
static char text[PROXIED_TEXT_MAX];

static void trust_in(const char *network)
{
	struct fault fault;

	assert_int_equal(
		network_parse(slice_of(network), &trust.networks[trust.network_count++], &fault),
		0);
}

/* 10.0.0.0/8 and fd00::/8 are proxies, and 10.0.0.1 is the peer. */
static void begin(bool by_forwarded)
{
	trust = (struct gateway_trust){.by_forwarded = by_forwarded};
	trust_in("10.0.0.0/8");
	trust_in("fd00::/8");
	peer = (struct forwarded_peer){.address = "10.0.0.1", .address_bytes = 8};
}

/* Names and values in turn. */
static void say(size_t count, const char *const said[])
{
	assert_true(count <= FIELDS_MAX);
	for (size_t i = 0; i < count; i++)
		fields[i] = (struct http_header){
			.name = slice_of(said[2 * i]),
			.value = slice_of(said[2 * i + 1]),
			.known = http_name_classify(slice_of(said[2 * i])),
		};
	proxied_read(&trust, &peer, fields, count, &proxied);
	put_count = proxied_put(&trust, &proxied, &peer, slice_of("thumbs.localhost"), false, put,
				text);
}

#define SAY(...)                                                        \
	say(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *) / 2, \
	    (const char *[]){__VA_ARGS__})

static void expect_client(const char *address)
{
	if (!slice_equal(proxied.client, slice_of(address)))
		fail_msg("client %.*s, not %s", (int)proxied.client.length, proxied.client.data,
			 address);
}

static void expect_field(const char *name, const char *value)
{
	for (size_t i = 0; i < put_count; i++) {
		if (!slice_equal(put[i].name, slice_of(name)))
			continue;
		if (!slice_equal(put[i].value, slice_of(value)))
			fail_msg("%s: %.*s, not %s", name, (int)put[i].value.length,
				 put[i].value.data, value);
		return;
	}
	fail_msg("no %s", name);
}

static void what_a_proxy_says_goes_on_with_the_proxy_behind_it(void **state)
{
	(void)state;
	begin(false);
	SAY("X-Forwarded-For", "203.0.113.9, 10.9.9.9", "x-forwarded-proto", "https",
	    "X-Forwarded-Host", "api.example.com", "X-Forwarded-Port", "8443", "Forwarded",
	    "for=198.51.100.1;proto=ftp");
	expect_client("203.0.113.9");
	assert_int_equal(put_count, 5);
	expect_field("X-Forwarded-For", "203.0.113.9, 10.9.9.9, 10.0.0.1");
	expect_field("X-Forwarded-Proto", "https");
	expect_field("X-Forwarded-Host", "api.example.com");
	expect_field("X-Forwarded-Port", "8443");
	expect_field("Forwarded", "for=203.0.113.9;host=\"api.example.com\";proto=https");
}

static void a_proxy_that_says_nothing_is_the_client(void **state)
{
	(void)state;
	begin(false);
	SAY("X-Other", "1");
	expect_client("10.0.0.1");
	assert_int_equal(put_count, 4);
	expect_field("X-Forwarded-For", "10.0.0.1");
	expect_field("X-Forwarded-Proto", "http");
	expect_field("X-Forwarded-Host", "thumbs.localhost");
}

/* The rightmost that is not trusted: what stands before it is the client's own word. */
static void the_client_is_found_from_the_right(void **state)
{
	static const struct {
		const char *list, *client;
	} cases[] = {
		{"198.51.100.1, 203.0.113.9", "203.0.113.9"},
		{"198.51.100.1,203.0.113.9,10.1.1.1 ,\t10.1.1.2", "203.0.113.9"},
		{"10.1.1.1, 10.1.1.2", "10.1.1.1"},      /* all trusted: the first of them */
		{"203.0.113.9, 10.300.1.1", "10.0.0.1"}, /* no address: nobody's before it */
		{"203.0.113.9, unknown, 10.1.1.1", "10.1.1.1"},
		{"203.0.113.9, , 10.1.1.1,", "203.0.113.9"}, /* empty elements are none */
		{"203.0.113.9:4711", "203.0.113.9"},
		{"2001:db8::1", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"[2001:db8::1]:443, fd00::7", "2001:db8::1"},
		{"::ffff:10.1.1.1", "::ffff:10.1.1.1"},
		{"203.0.113.9, ::ffff:10.1.1.1", "203.0.113.9"},
		{"\"203.0.113.9\"", "10.0.0.1"},
		{"for=203.0.113.9", "10.0.0.1"},
		{"", "10.0.0.1"},
	};

	(void)state;
	begin(false);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		SAY("X-Forwarded-For", cases[i].list);
		expect_client(cases[i].client);
	}
	SAY("X-Forwarded-For", "198.51.100.1", "X-Forwarded-For", "203.0.113.9");
	expect_client("203.0.113.9");
	expect_field("X-Forwarded-For", "198.51.100.1, 203.0.113.9, 10.0.0.1");
	SAY("X-Forwarded-For", "2001:db8::1");
	expect_field("Forwarded", "for=\"[2001:db8::1]\";host=\"thumbs.localhost\";proto=http");
}

static void what_is_not_valid_is_not_believed(void **state)
{
	(void)state;
	begin(false);
	SAY("X-Forwarded-Proto", "gopher", "X-Forwarded-Host", "a b", "X-Forwarded-Port", "65536");
	expect_field("X-Forwarded-Proto", "http");
	expect_field("X-Forwarded-Host", "thumbs.localhost");
	assert_int_equal(put_count, 4);
	SAY("X-Forwarded-Proto", "https", "X-Forwarded-Proto", "https", "X_Forwarded_Host", "evil",
	    "X-Forwarded-Port", "0");
	expect_field("X-Forwarded-Proto", "http"); /* twice: whose is it? */
	expect_field("X-Forwarded-Host", "thumbs.localhost");
	assert_int_equal(put_count, 4);
}

static void elements_of_forwarded_are_read_as_well(void **state)
{
	static const struct {
		const char *list, *client;
	} cases[] = {
		{"for=203.0.113.9", "203.0.113.9"},
		{"For=\"203.0.113.9:80\";by=10.0.0.9, for=10.1.1.1", "203.0.113.9"},
		{"for=\"[2001:db8::1]:80\"; proto=https", "2001:db8::1"},
		{"for=\"203.0.113.9, for=198.51.100.1\"", "10.0.0.1"}, /* one element, no address */
		{"for=198.51.100.1, x=\"\\\", for=192.0.2.5\", for=203.0.113.9", "203.0.113.9"},
		{"for=203.0.113.9, for=\"10.1.1.1", "10.0.0.1"}, /* a quote without its end */
		{"for=203.0.113.9;for=198.51.100.1", "10.0.0.1"},
		{"for=_hidden, for=10.1.1.1", "10.1.1.1"},
		{"203.0.113.9", "10.0.0.1"},
	};

	(void)state;
	begin(true);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		SAY("Forwarded", cases[i].list, "X-Forwarded-For", "192.0.2.77");
		expect_client(cases[i].client);
		expect_field("X-Forwarded-For", cases[i].client);
	}
	SAY("Forwarded", "for=203.0.113.9;host=\"api.example.com\";proto=https", "Forwarded",
	    "for=10.1.1.1;host=inner;proto=http", "X-Forwarded-Proto", "gopher");
	assert_int_equal(put_count, 4);
	expect_field("Forwarded", "for=203.0.113.9;host=\"api.example.com\";proto=https, "
				  "for=10.1.1.1;host=inner;proto=http, "
				  "for=10.0.0.1;host=\"thumbs.localhost\";proto=http");
	expect_field("X-Forwarded-Proto", "https");
	expect_field("X-Forwarded-Host", "api.example.com");
}

static void of_a_long_list_the_rightmost_go_on(void **state)
{
	static const char hop[] = "198.51.100.1, ", client[] = "203.0.113.9";
	char list[200 * (sizeof(hop) - 1) + sizeof(client)], expected[PROXIED_CHAIN_MAX + 64];

	(void)state;
	begin(false);
	for (size_t i = 0; i < 200; i++)
		memcpy(list + i * (sizeof(hop) - 1), hop, sizeof(hop) - 1);
	memcpy(list + sizeof(list) - sizeof(client), client, sizeof(client));
	SAY("X-Forwarded-For", list);
	expect_client(client);
	snprintf(expected, sizeof(expected), "%s, 10.0.0.1",
		 list + sizeof(list) - sizeof(client) - (PROXIED_HOPS_MAX - 1) * (sizeof(hop) - 1));
	expect_field("X-Forwarded-For", expected);
	/* Each of them may be long, too. */
	memset(list, 'x', PROXIED_CHAIN_MAX);
	snprintf(list + PROXIED_CHAIN_MAX, sizeof(list) - PROXIED_CHAIN_MAX, ", %s", client);
	SAY("X-Forwarded-For", list);
	expect_field("X-Forwarded-For", "203.0.113.9, 10.0.0.1");
}

static void whoever_is_not_named_is_not_trusted(void **state)
{
	struct forwarded_peer other = {.address = "192.0.2.1", .address_bytes = 9};
	struct forwarded_peer local = {.address = "unknown", .address_bytes = 7};

	(void)state;
	begin(false);
	assert_true(proxied_is_trusted(&trust, &peer));
	assert_false(proxied_is_trusted(&trust, &other));
	assert_false(proxied_is_trusted(&trust, &local));
	trust.unix_sockets = true;
	assert_true(proxied_is_trusted(&trust, &local));
	assert_false(proxied_is_trusted(&trust, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_proxy_says_goes_on_with_the_proxy_behind_it),
		cmocka_unit_test(a_proxy_that_says_nothing_is_the_client),
		cmocka_unit_test(the_client_is_found_from_the_right),
		cmocka_unit_test(what_is_not_valid_is_not_believed),
		cmocka_unit_test(elements_of_forwarded_are_read_as_well),
		cmocka_unit_test(of_a_long_list_the_rightmost_go_on),
		cmocka_unit_test(whoever_is_not_named_is_not_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
