#include "base/testing.h"

#include <string.h>

#include "base/client_name.h"

static void names_are_read_as_they_are_compared(void **unused)
{
	(void)unused;
	static const struct {
		const char *text, *name; /* NULL: refused */
	} rows[] = {
		{"dns:shop.partner.example", "dns:shop.partner.example"},
		{"dns:Shop.PARTNER.example", "dns:shop.partner.example"},
		{"dns:_a.x-1", "dns:_a.x-1"},
		{"uri:spiffe://partner.example/Shop", "uri:spiffe://partner.example/Shop"},
		{"uri:urn:uuid:1", "uri:urn:uuid:1"},
		{"shop.partner.example", NULL},
		{"dns:", NULL},
		{"dns:*.partner.example", NULL},
		{"dns:a..b", NULL},
		{"dns:.a", NULL},
		{"dns:a.", NULL},
		{"dns:-a", NULL},
		{"dns:a-.b", NULL},
		{"dns:a-", NULL},
		{"dns:a b", NULL},
		{"DNS:a", NULL},
		{"uri:", NULL},
		{"uri:x", NULL},
		{"uri::x", NULL},
		{"uri:1x:y", NULL},
		{"uri:x:", NULL},
		{"uri:x:a b", NULL},
		{"uri:stoa://acme/shop", NULL},
		{"uri:STOA://acme/shop", NULL},
		{"", NULL},
	};
	char name[CLIENT_NAME_MAX];
	struct fault fault;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const int code = client_name_read(slice_of(rows[i].text), name, &fault);
		assert_int_equal(code, rows[i].name != NULL ? 0 : FAULT_INPUT);
		if (code == 0)
			assert_string_equal(name, rows[i].name);
		else
			assert_non_null(strstr(fault.text, "is allowed"));
	}
}

static void a_name_has_a_longest_length(void **unused)
{
	(void)unused;
	char text[CLIENT_NAME_MAX + 1], name[CLIENT_NAME_MAX];
	struct fault fault;

	memset(text, 'a', sizeof(text));
	memcpy(text, "dns:", 4);
	assert_int_equal(client_name_read(slice_make(text, CLIENT_NAME_MAX - 1), name, &fault), 0);
	assert_int_equal(strlen(name), CLIENT_NAME_MAX - 1);
	assert_int_equal(client_name_read(slice_make(text, CLIENT_NAME_MAX), name, &fault),
			 FAULT_INPUT);
}

static void what_a_certificate_holds_is_found_by_the_name_that_was_mapped(void **unused)
{
	(void)unused;
	const struct api_key_digest mapped = api_key_digest(slice_of("dns:shop.partner.example"));
	struct api_key_digest digest;

	assert_true(client_name_digest(CLIENT_NAME_DNS, slice_of("SHOP.partner.example"), &digest));
	assert_true(api_key_digest_equal(&digest, &mapped));
	/* The same text as another kind of name is another name. */
	assert_true(client_name_digest(CLIENT_NAME_URI, slice_of("dns:shop"), &digest));
	const struct api_key_digest other = api_key_digest(slice_of("dns:shop"));
	assert_false(api_key_digest_equal(&digest, &other));
	assert_false(client_name_digest(CLIENT_NAME_URI, slice_of("stoa://acme/shop"), &digest));
	assert_false(client_name_digest(CLIENT_NAME_DNS, slice_of("*.partner.example"), &digest));
	assert_false(client_name_digest(CLIENT_NAME_DNS, slice_make("shop\0.evil", 10), &digest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read_as_they_are_compared),
		cmocka_unit_test(a_name_has_a_longest_length),
		cmocka_unit_test(what_a_certificate_holds_is_found_by_the_name_that_was_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
