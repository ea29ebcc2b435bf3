/* What a service is told of the way that a call came. */
#include "base/testing.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/forwarded.h"
#include "loop/loop.h"

static char text[FORWARDED_TEXT_MAX];
static struct http_header headers[FORWARDED_FIELDS];

static struct forwarded_peer peer_of(const char *address, bool ip6)
{
	struct forwarded_peer peer = {.ip6 = ip6, .address_bytes = (uint8_t)strlen(address)};

	snprintf(peer.address, sizeof(peer.address), "%s", address);
	return peer;
}

static void expect_field(size_t index, const char *name, const char *value)
{
	assert_true(slice_equal(headers[index].name, slice_of(name)));
	assert_true(slice_equal(headers[index].value, slice_of(value)));
	assert_int_equal(headers[index].known, http_name_classify(slice_of(name)));
	assert_true(headers[index].sound);
}

static void all_fields_say_the_same(void **unused)
{
	(void)unused;
	const struct forwarded_peer peer = peer_of("192.0.2.43", false);

	assert_int_equal(
		forwarded_put(&peer, slice_of("thumbs.localhost:8080"), false, headers, text), 4);
	expect_field(0, "Forwarded", "for=192.0.2.43;host=\"thumbs.localhost:8080\";proto=http");
	expect_field(1, "X-Forwarded-For", "192.0.2.43");
	expect_field(2, "X-Forwarded-Host", "thumbs.localhost:8080");
	expect_field(3, "X-Forwarded-Proto", "http");
}

static void an_ip6_address_is_bracketed_and_quoted(void **unused)
{
	(void)unused;
	const struct forwarded_peer peer = peer_of("2001:db8:cafe::17", true);

	assert_int_equal(forwarded_put(&peer, slice_of("[::1]:8443"), true, headers, text), 4);
	expect_field(0, "Forwarded", "for=\"[2001:db8:cafe::17]\";host=\"[::1]:8443\";proto=https");
	expect_field(1, "X-Forwarded-For", "2001:db8:cafe::17");
	expect_field(3, "X-Forwarded-Proto", "https");
}

static void a_host_that_is_missing_or_none_is_left_out(void **unused)
{
	(void)unused;
	static char host[FORWARDED_AUTHORITY_MAX + 1];
	const struct forwarded_peer peer = peer_of("::", true);

	assert_int_equal(forwarded_put(&peer, (struct slice){0}, false, headers, text), 3);
	expect_field(0, "Forwarded", "for=\"[::]\";proto=http");
	expect_field(2, "X-Forwarded-Proto", "http");
	memset(host, 'h', sizeof(host));
	assert_int_equal(forwarded_put(&peer, slice_make(host, sizeof(host)), false, headers, text),
			 3);
	assert_int_equal(
		forwarded_put(&peer, slice_make(host, sizeof(host) - 1), false, headers, text), 4);
	/* The longest of all still fits. */
	const struct forwarded_peer longest =
		peer_of("1111:2222:3333:4444:5555:6666:7777:8888", true);
	forwarded_put(&longest, slice_make(host, sizeof(host) - 1), true, headers, text);
	assert_in_range(headers[0].value.length, FORWARDED_AUTHORITY_MAX, FORWARDED_TEXT_MAX);
}

/* ---- the other end ---- */

/* Who the accepting side of a connection to `listening`, made from `from`, sees. */
static struct forwarded_peer seen_by(const char *listening, const char *from)
{
	struct loop_address address;
	struct forwarded_peer peer;
	struct fault fault;

	assert_int_equal(loop_address_parse(slice_of(listening), &address, &fault), 0);
	const int listener = socket(address.any.sa_family, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, &address.any, address.length), 0);
	assert_int_equal(listen(listener, 1), 0);
	socklen_t length = sizeof(address.path);
	assert_int_equal(getsockname(listener, &address.any, &length), 0);
	const in_port_t port = address.ip4.sin_port; /* at the same place in an address of IPv6 */
	assert_int_equal(loop_address_parse(slice_of(from), &address, &fault), 0);
	address.ip4.sin_port = port;
	const int client = socket(address.any.sa_family, SOCK_STREAM, 0);
	assert_int_equal(connect(client, &address.any, address.length), 0);
	const int accepted = accept(listener, NULL, NULL);
	forwarded_peer_read(&peer, accepted);
	close(accepted);
	close(client);
	close(listener);
	return peer;
}

static void expect_peer(struct forwarded_peer peer, const char *address, bool ip6)
{
	assert_true(slice_equal(forwarded_peer_text(&peer), slice_of(address)));
	assert_int_equal(peer.ip6, ip6);
}

static void the_kernel_says_who_called(void **unused)
{
	(void)unused;
	struct forwarded_peer peer;
	int pair[2];

	expect_peer(seen_by("127.0.0.1:0", "127.0.0.1:0"), "127.0.0.1", false);
	expect_peer(seen_by("[::1]:0", "[::1]:0"), "::1", true);
	/* Of IPv4, at a listener for both. */
	expect_peer(seen_by("[::]:0", "127.0.0.1:0"), "127.0.0.1", false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	forwarded_peer_read(&peer, pair[0]);
	expect_peer(peer, "unknown", false);
	close(pair[0]);
	close(pair[1]);
	forwarded_peer_read(&peer, -1);
	expect_peer(peer, "unknown", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_fields_say_the_same),
		cmocka_unit_test(an_ip6_address_is_bracketed_and_quoted),
		cmocka_unit_test(a_host_that_is_missing_or_none_is_left_out),
		cmocka_unit_test(the_kernel_says_who_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
