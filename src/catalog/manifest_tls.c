#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/check.h"
#include "catalog/manifest_internal.h"

#define BY_CLOUD      "cloud"
#define SERVER_NAME   129 /* bytes with the NUL: with a port it is the calls' Host */
#define CA_COUNT_MOST 1000

/* One reading of the mapping, handed from value to value. */
struct tls_reading {
	struct reader *reader;
	const struct catalog_files *files;
	struct catalog_manifest *manifest;
};

__attribute__((format(printf, 3, 4))) static void
warn(const struct tls_reading *reading, const struct yaml_node *node, const char *format, ...)
{
	struct catalog_manifest *manifest = reading->manifest;
	char text[CATALOG_COMPLAINT_MAX];
	va_list arguments;

	if (manifest->warning_count == CATALOG_WARNINGS_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	manifest->warnings[manifest->warning_count] =
		arena_printf(reading->reader->arena, "%s:%u:%u: %s",
			     yaml_name(reading->reader->yaml), node->line, node->column, text);
	check(manifest->warnings[manifest->warning_count] != NULL);
	manifest->warning_count++;
}

/* The text of the file that the node names, or NULL after a complaint. */
static const char *file_read(const struct tls_reading *reading, const struct yaml_node *node,
			     const char *what, struct slice held)
{
	struct reader *reader = reading->reader;
	const char *path;

	if (!reader_line(reader, node, CATALOG_VALUE_MAX, &path))
		return NULL;
	if (held.data == NULL) {
		reader_complain(reader, node,
				"%s: the file \"%s\" is not there, cannot be read, or is larger "
				"than %d bytes",
				what, path, CATALOG_PEM_MAX - 1);
		return NULL;
	}
	return reader_copy(reader, held);
}

/* ---- certificates ---- */

static void warn_of_time(const struct tls_reading *reading, const struct yaml_node *node,
			 const char *what, const X509 *certificate)
{
	const time_t now = (time_t)(reading->files->now_ns / CLOCK_NS_PER_S);
	char when[64] = "";
	BIO *bio = BIO_new(BIO_s_mem());
	const bool ended = X509_cmp_time(X509_get0_notAfter(certificate), (time_t[]){now}) < 0;
	const bool begun = X509_cmp_time(X509_get0_notBefore(certificate), (time_t[]){now}) < 0;

	check(bio != NULL);
	if (ended || !begun) {
		ASN1_TIME_print(bio, ended ? X509_get0_notAfter(certificate)
					   : X509_get0_notBefore(certificate));
		BIO_gets(bio, when, sizeof(when));
		warn(reading, node, "%s: \"%.*s\" holds a certificate that %s %s: %s", what,
		     SLICE_ARGS(node->scalar), ended ? "ended on" : "begins on", when,
		     "calls fail until it is replaced and published anew");
	}
	BIO_free(bio);
}

static void complain_of_chain(const struct tls_reading *reading, const struct yaml_node *node,
			      const char *what, size_t count, bool broken, size_t most)
{
	if (count == 0)
		reader_complain(reading->reader, node,
				"%s: \"%.*s\" holds no certificate in PEM, which begins with "
				"-----BEGIN CERTIFICATE-----",
				what, SLICE_ARGS(node->scalar));
	else if (broken)
		reader_complain(reading->reader, node,
				"%s: the certificate behind the first %zu in \"%.*s\" cannot be "
				"read",
				what, count, SLICE_ARGS(node->scalar));
	else
		reader_complain(reading->reader, node,
				"%s: \"%.*s\" holds more than %zu certificates", what,
				SLICE_ARGS(node->scalar), most);
}

/* The first of 1 .. most; NULL after a complaint. */
static X509 *chain_read(const struct tls_reading *reading, const struct yaml_node *node,
			const char *what, const char *text, size_t most)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	X509 *first = NULL, *one;
	size_t count = 0;

	check(bio != NULL);
	ERR_clear_error();
	while (count <= most && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (count++ == 0)
			first = one;
		else
			X509_free(one);
	}
	BIO_free(bio);
	const bool broken =
		count <= most && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
	ERR_clear_error();
	if (count >= 1 && count <= most && !broken)
		return first;
	complain_of_chain(reading, node, what, count, broken, most);
	X509_free(first);
	return NULL;
}

static void ca_read(const struct tls_reading *reading, const struct yaml_node *node,
		    struct catalog_tls *tls)
{
	if (node == NULL)
		return;
	if (node->kind == YAML_SCALAR && slice_equal(node->scalar, slice_of(BY_CLOUD))) {
		tls->by_cloud = true;
		if (reading->files->no_authority)
			reader_complain(reading->reader, node,
					"ca: this cloud has no authority of its own; it gets one "
					"with its first listener of TLS, such as `gateway: "
					"[tls:0.0.0.0:8443]` in cloud.yaml");
		return;
	}
	const char *text = file_read(reading, node, "ca", reading->files->tls_ca);
	X509 *first = text != NULL ? chain_read(reading, node, "ca", text, CA_COUNT_MOST) : NULL;
	if (first == NULL)
		return;
	warn_of_time(reading, node, "ca", first);
	X509_free(first);
	tls->authorities = text;
}

/* ---- the cloud's own ---- */

static int no_phrase(char *phrase, int bytes_max, int writing, void *asked)
{
	(void)phrase, (void)bytes_max, (void)writing;
	*(bool *)asked = true;
	return 0;
}

static void key_read(const struct tls_reading *reading, const struct yaml_node *node, X509 *owner,
		     const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	bool locked = false;

	check(bio != NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_phrase, &locked);
	BIO_free(bio);
	if (locked)
		reader_complain(reading->reader, node,
				"key: \"%.*s\" is locked by a pass phrase, which nobody is there "
				"to give; unlock it with `openssl pkey -in FILE -out NEW`",
				SLICE_ARGS(node->scalar));
	else if (key == NULL)
		reader_complain(reading->reader, node,
				"key: \"%.*s\" holds no private key in PEM, which begins with "
				"-----BEGIN PRIVATE KEY-----",
				SLICE_ARGS(node->scalar));
	else if (X509_check_private_key(owner, key) != 1)
		reader_complain(reading->reader, node,
				"key: \"%.*s\" is not the key of the first certificate of "
				"\"certificate\"",
				SLICE_ARGS(node->scalar));
	EVP_PKEY_free(key);
	ERR_clear_error();
}

static void own_read(const struct tls_reading *reading, const struct yaml_node *mapping,
		     const struct yaml_node *certificate, const struct yaml_node *key,
		     struct catalog_tls *tls)
{
	if (certificate == NULL && key == NULL)
		return;
	if (!reader_need(reading->reader, mapping, "tls", certificate, "certificate") ||
	    !reader_need(reading->reader, mapping, "tls", key, "key"))
		return;
	tls->certificates =
		file_read(reading, certificate, "certificate", reading->files->tls_certificate);
	tls->key = file_read(reading, key, "key", reading->files->tls_key);
	if (tls->certificates == NULL)
		return;
	X509 *first = chain_read(reading, certificate, "certificate", tls->certificates,
				 CATALOG_CHAIN_MAX);
	if (first == NULL)
		return;
	warn_of_time(reading, certificate, "certificate", first);
	if (tls->key != NULL)
		key_read(reading, key, first, tls->key);
	X509_free(first);
}

/* ---- the whole ---- */

static void server_name_read(struct reader *reader, const struct yaml_node *node,
			     const char **ret_name)
{
	uint8_t address[sizeof(struct in6_addr)];
	const char *name;

	if (!reader_line(reader, node, SERVER_NAME, &name))
		return;
	bool good = name[0] != '.' && name[0] != '-';
	for (const char *byte = name; *byte != '\0'; byte++)
		good = good && ((*byte >= 'a' && *byte <= 'z') || (*byte >= 'A' && *byte <= 'Z') ||
				(*byte >= '0' && *byte <= '9') || *byte == '-' || *byte == '.');
	if (good || inet_pton(AF_INET6, name, address) == 1)
		*ret_name = name;
	else
		reader_complain_of_value(reader, node,
					 "the name of a host, as api.internal, or an IP address");
}

void manifest_tls_read(struct reader *reader, const struct yaml_node *node,
		       const struct catalog_files *files, struct catalog_manifest *manifest)
{
	enum { CA, SERVER, CERTIFICATE, KEY, KEYS };
	static const char *const keys[KEYS] = {"ca", "server_name", "certificate", "key"};
	const struct tls_reading reading = {.reader = reader, .files = files, .manifest = manifest};
	struct catalog_description *description = &manifest->description;
	const struct yaml_node *values[KEYS];
	bool any = false;

	if (node == NULL)
		return;
	struct catalog_tls *tls = reader_alloc(reader, 1, sizeof(*tls));
	description->tls = tls;
	if (!reader_mapping(reader, node, "tls", keys, KEYS, values))
		return;
	for (uint32_t i = 0; i < description->upstream_count; i++)
		any = any || description->upstreams[i].tls;
	if (description->run != NULL)
		reader_complain_of_key(reader, node,
				       "tls: the cloud reaches what it runs itself in plain, on "
				       "this machine alone; tls is for upstreams with https://");
	else if (!any && description->upstream_count > 0)
		reader_complain_of_key(reader, node,
				       "tls: no upstream begins with https://, so nothing would "
				       "be encrypted");
	ca_read(&reading, values[CA], tls);
	server_name_read(reader, values[SERVER], &tls->server_name);
	own_read(&reading, node, values[CERTIFICATE], values[KEY], tls);
}
