#include "base/testing.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "catalog/catalog_internal.h"
#include "catalog/tls_rig_internal.h"

#define HEAD "service: a\nversion: 1.0.0\nplans: {free: {}}\nupstream: [https://10.0.0.5]\n"
#define OWN  "tls: {certificate: own.pem, key: own.key}\n"

static struct tls_pair good, other, over;

static struct catalog_files files_of(const char *ca, const char *certificate, const char *key)
{
	return (struct catalog_files){
		.tls_ca = slice_make(ca, ca != NULL ? strlen(ca) : 0),
		.tls_certificate =
			slice_make(certificate, certificate != NULL ? strlen(certificate) : 0),
		.tls_key = slice_make(key, key != NULL ? strlen(key) : 0),
		.now_ns = good.now_ns,
	};
}

static struct catalog_manifest *parsed(const char *text, struct catalog_files files)
{
	struct catalog_manifest *manifest = NULL;
	struct catalog_complaints complaints;
	struct fault fault;

	if (catalog_manifest_parse_with("service.yaml", slice_of(text), &files, &manifest,
					&complaints, &fault) < 0)
		fail_msg("%s", fault.text);
	return manifest;
}

static void assert_complaint(const char *text, struct catalog_files files, const char *expected)
{
	struct catalog_manifest *manifest = NULL;
	struct catalog_complaints complaints;
	struct fault fault;

	assert_int_equal(catalog_manifest_parse_with("service.yaml", slice_of(text), &files,
						     &manifest, &complaints, &fault),
			 FAULT_INPUT);
	assert_int_equal(complaints.count, 1);
	assert_string_equal(complaints.of[0].text, expected);
}

static void contents_stand_in_for_files(void **state)
{
	struct catalog_manifest *manifest =
		parsed(HEAD "tls: {ca: ca.pem, server_name: a.b, certificate: c, key: k}\n",
		       files_of(other.certificate, good.certificate, good.key));
	const struct catalog_description *description = &manifest->description;

	(void)state;
	assert_true(description->upstreams[0].tls);
	assert_int_equal(description->upstreams[0].port, 443);
	assert_false(description->tls->by_cloud);
	assert_string_equal(description->tls->authorities, other.certificate);
	assert_string_equal(description->tls->server_name, "a.b");
	assert_string_equal(description->tls->certificates, good.certificate);
	assert_string_equal(description->tls->key, good.key);
	assert_int_equal(manifest->warning_count, 0);
	catalog_manifest_free(manifest);
}

static void what_is_stored_is_read_back(void **state)
{
	static const char *const texts[] = {
		HEAD, HEAD "tls: {ca: cloud}\n",
		HEAD "tls: {ca: ca.pem, server_name: a.b, certificate: c, key: k}\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct catalog_manifest *manifest =
			parsed(texts[i], files_of(other.certificate, good.certificate, good.key));
		char *content = catalog_description_format(&manifest->description);
		struct catalog_description read = {.name = "a"};
		struct arena arena;
		struct fault fault;
		arena_init(&arena, 1 << 20);
		assert_int_equal(
			catalog_description_parse(slice_of(content), &arena, &read, &fault), 0);
		char *again = catalog_description_format(&read);
		assert_string_equal(again, content);
		assert_true(read.upstreams[0].tls);
		assert_int_equal(read.tls != NULL && read.tls->by_cloud, i == 1);
		arena_fini(&arena);
		free(again);
		free(content);
		catalog_manifest_free(manifest);
	}
}

static void each_mistake_gets_its_one_complaint(void **state)
{
	const struct catalog_files none = files_of(NULL, NULL, NULL);
	const struct catalog_files no_authority = {.no_authority = true};
	static const char upstream[] = "service: a\nversion: 1.0.0\nplans: {free: {}}\nupstream: "
				       "[http://10.0.0.5]\ntls: {}\n";
	static const char run[] =
		"service: a\nversion: 1.0.0\nplans: {free: {}}\nrun: {command: [a]}\ntls: {}\n";

	(void)state;
	assert_complaint(upstream, none,
			 "service.yaml:5:1: tls: no upstream begins with https://, so nothing "
			 "would be encrypted");
	assert_complaint(run, none,
			 "service.yaml:5:1: tls: the cloud reaches what it runs itself in plain, "
			 "on this machine alone; tls is for upstreams with https://");
	assert_complaint(HEAD "tls: {ca: ca.pem}\n", none,
			 "service.yaml:5:11: ca: the file \"ca.pem\" is not there, cannot be read, "
			 "or is larger than 65535 bytes");
	assert_complaint(HEAD "tls: {ca: ca.pem}\n", files_of("", NULL, NULL),
			 "service.yaml:5:11: ca: \"ca.pem\" holds no certificate in PEM, which "
			 "begins with -----BEGIN CERTIFICATE-----");
	assert_complaint(HEAD "tls: {ca: cloud}\n", no_authority,
			 "service.yaml:5:11: ca: this cloud has no authority of its own; it gets "
			 "one with its first listener of TLS, such as `gateway: "
			 "[tls:0.0.0.0:8443]` in cloud.yaml");
	assert_complaint(HEAD "tls: {key: own.key}\n", none,
			 "service.yaml:5:6: tls: \"certificate\" is missing");
	assert_complaint(HEAD "tls: {certificate: own.pem}\n", none,
			 "service.yaml:5:6: tls: \"key\" is missing");
	assert_complaint(HEAD OWN, files_of(NULL, good.certificate, other.key),
			 "service.yaml:5:34: key: \"own.key\" is not the key of the first "
			 "certificate of \"certificate\"");
	assert_complaint(HEAD OWN, files_of(NULL, good.certificate, good.certificate),
			 "service.yaml:5:34: key: \"own.key\" holds no private key in PEM, which "
			 "begins with -----BEGIN PRIVATE KEY-----");
	assert_complaint(HEAD OWN, files_of(NULL, good.certificate, good.locked_key),
			 "service.yaml:5:34: key: \"own.key\" is locked by a pass phrase, which "
			 "nobody is there to give; unlock it with `openssl pkey -in FILE -out "
			 "NEW`");
	assert_complaint(
		HEAD "tls: {server_name: a/b}\n", none,
		"service.yaml:5:20: server_name: \"a/b\" is not allowed; allowed: the name "
		"of a host, as api.internal, or an IP address");
}

static void a_chain_is_bounded_and_whole(void **state)
{
	struct text chain;

	(void)state;
	text_init(&chain, 8 * TLS_TEXT_MAX);
	for (int i = 0; i < CATALOG_CHAIN_MAX; i++)
		text_append_text(&chain, good.certificate);
	catalog_manifest_free(parsed(HEAD OWN, files_of(NULL, chain.data, good.key)));
	text_append_text(&chain, good.certificate);
	assert_complaint(HEAD OWN, files_of(NULL, chain.data, good.key),
			 "service.yaml:5:20: certificate: \"own.pem\" holds more than 5 "
			 "certificates");
	text_fini(&chain);
	text_init(&chain, 8 * TLS_TEXT_MAX);
	text_printf(&chain, "%s-----BEGIN CERTIFICATE-----\nAAAA\n", good.certificate);
	assert_complaint(HEAD OWN, files_of(NULL, chain.data, good.key),
			 "service.yaml:5:20: certificate: the certificate behind the first 1 in "
			 "\"own.pem\" cannot be read");
	text_fini(&chain);
}

static void what_is_over_is_warned_of_and_published(void **state)
{
	struct catalog_manifest *manifest =
		parsed(HEAD OWN, files_of(NULL, over.certificate, over.key));

	(void)state;
	assert_int_equal(manifest->warning_count, 1);
	assert_non_null(strstr(manifest->warnings[0],
			       "service.yaml:5:20: certificate: \"own.pem\" holds a certificate "
			       "that ended on "));
	catalog_manifest_free(manifest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contents_stand_in_for_files),
		cmocka_unit_test(what_is_stored_is_read_back),
		cmocka_unit_test(each_mistake_gets_its_one_complaint),
		cmocka_unit_test(a_chain_is_bounded_and_whole),
		cmocka_unit_test(what_is_over_is_warned_of_and_published),
	};

	tls_pair_make(&good, 1);
	tls_pair_make(&other, 1);
	tls_pair_make(&over, -1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
