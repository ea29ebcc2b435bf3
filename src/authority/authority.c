#include "authority/authority_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/disk.h"

#define DAY_S     86400
#define DAY_NS    (DAY_S * CLOCK_NS_PER_S)
#define LABEL_MAX 63
#define ON_DEMAND ".localhost" /* RFC 6761 6.3: always this machine */

/* ---- files ---- */

static void path_of(const struct authority *authority, const char *file,
		    char path[AUTHORITY_PATH_MAX])
{
	check((size_t)snprintf(path, AUTHORITY_PATH_MAX, "%s/%s", authority->folder, file) <
	      AUTHORITY_PATH_MAX);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0 || errno != ENOENT;
}

int authority_key_read(const char *path, char **ret_text, size_t *ret_length, struct fault *fault)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return fault_set_errno(fault, errno, "read the private key %s", path);
	if (status.st_mode & (S_IRWXO | S_IWGRP | S_IXGRP))
		return fault_set(fault, FAULT_REFUSED,
				 "the private key %s can be read by others; chmod 600 it", path);
	return disk_read_file(path, AUTHORITY_TEXT_MAX, ret_text, ret_length, fault);
}

static int load_key(const char *path, EVP_PKEY **ret_key, struct fault *fault)
{
	char *text;
	size_t length;
	const int code = authority_key_read(path, &text, &length, fault);

	if (code < 0)
		return code;
	BIO *bio = BIO_new_mem_buf(text, (int)length);
	check(bio != NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (char *)(uintptr_t) "");
	BIO_free(bio);
	OPENSSL_cleanse(text, length);
	free(text);
	ERR_clear_error();
	if (key == NULL)
		return fault_set(fault, FAULT_INPUT, "%s holds no private key in PEM", path);
	*ret_key = key;
	return 0;
}

int authority_certificate_load(const char *path, X509 **ret_certificate, struct fault *fault)
{
	char *text;
	size_t length;
	const int code = disk_read_file(path, AUTHORITY_TEXT_MAX, &text, &length, fault);

	if (code < 0)
		return code;
	BIO *bio = BIO_new_mem_buf(text, (int)length);
	check(bio != NULL);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	free(text);
	ERR_clear_error();
	if (certificate == NULL)
		return fault_set(fault, FAULT_INPUT, "%s holds no certificate in PEM", path);
	*ret_certificate = certificate;
	return 0;
}

/* The file is there whole or not at all; `put` is disk_write_file or disk_replace_file. */
static int save(const char *path, unsigned mode, BIO *text,
		int (*put)(const char *, unsigned, const void *, size_t, struct fault *),
		struct fault *fault)
{
	char *bytes;
	const long length = BIO_get_mem_data(text, &bytes);
	const int code = put(path, mode, bytes, (size_t)length, fault);

	OPENSSL_cleanse(bytes, (size_t)length);
	BIO_free(text);
	return code;
}

static int save_key(const char *path, EVP_PKEY *key, struct fault *fault)
{
	BIO *text = BIO_new(BIO_s_mem());

	check(text != NULL);
	check(PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) == 1);
	return save(path, 0600, text, disk_write_file, fault);
}

static int save_certificate(const char *path, X509 *certificate, struct fault *fault)
{
	BIO *text = BIO_new(BIO_s_mem());

	check(text != NULL);
	check(PEM_write_bio_X509(text, certificate) == 1);
	return save(path, 0644, text, disk_replace_file, fault);
}

/* ---- the authority ---- */

static int make(struct authority *authority, const char *cloud, uint64_t now_ns,
		struct fault *fault)
{
	char path[AUTHORITY_PATH_MAX], name[64];

	snprintf(name, sizeof(name), "%.48s Stoa CA", cloud);
	authority->key = authority_key_new();
	authority->certificate = authority_certificate_new(
		&(struct authority_request){.use = AUTHORITY_USE_AUTHORITY,
					    .common_name = name,
					    .subject = authority->key,
					    .now_ns = now_ns,
					    .ends_ns = now_ns + AUTHORITY_OWN_DAYS * DAY_NS},
		NULL, authority->key);
	if (authority->certificate == NULL)
		return fault_set(fault, FAULT_INPUT,
				 "the cloud's name \"%s\" cannot stand in a certificate", cloud);
	path_of(authority, "ca.key", path);
	const int code = save_key(path, authority->key, fault);
	path_of(authority, "ca.pem", path);
	return code < 0 ? code : save_certificate(path, authority->certificate, fault);
}

static int load(struct authority *authority, uint64_t now_ns, struct fault *fault)
{
	char path[AUTHORITY_PATH_MAX];

	path_of(authority, "ca.key", path);
	int code = load_key(path, &authority->key, fault);
	path_of(authority, "ca.pem", path);
	if (code == 0)
		code = authority_certificate_load(path, &authority->certificate, fault);
	if (code < 0)
		return code;
	ERR_clear_error();
	if (X509_check_private_key(authority->certificate, authority->key) != 1)
		return fault_set(fault, FAULT_DAMAGED,
				 "%s and ca.key beside it do not belong "
				 "together",
				 path);
	if (authority_certificate_left_s(authority->certificate, now_ns) <= 0)
		return fault_set(fault, FAULT_INPUT,
				 "%s has expired; remove ca.pem and ca.key, and a new authority is "
				 "made that clients must be given",
				 path);
	return 0;
}

int authority_open(const char *folder, const char *cloud, uint64_t now_ns,
		   struct authority **ret_authority, struct fault *fault)
{
	struct authority *authority = calloc(1, sizeof(*authority));
	char certificate[AUTHORITY_PATH_MAX], key[AUTHORITY_PATH_MAX];

	check(authority != NULL);
	snprintf(authority->folder, sizeof(authority->folder), "%s", folder);
	path_of(authority, "ca.pem", certificate);
	path_of(authority, "ca.key", key);
	/* A key alone is what a start left that was ended between the two. */
	if (is_there(key) && !is_there(certificate))
		unlink(key);
	const int code = is_there(key) || is_there(certificate)
				 ? load(authority, now_ns, fault)
				 : make(authority, cloud, now_ns, fault);
	if (code < 0) {
		authority_close(authority);
		return code;
	}
	*ret_authority = authority;
	return 0;
}

void authority_close(struct authority *authority)
{
	X509_free(authority->certificate);
	EVP_PKEY_free(authority->key);
	EVP_PKEY_free(authority->server_key);
	free(authority);
}

/* ---- what it issues ---- */

static X509 *issue(const struct authority *authority, const char *const *names, size_t count,
		   unsigned days, uint64_t now_ns)
{
	return authority_certificate_new(
		&(struct authority_request){.use = AUTHORITY_USE_SERVER,
					    .common_name = "Stoa",
					    .names = names,
					    .name_count = count,
					    .subject = authority->server_key,
					    .now_ns = now_ns,
					    .ends_ns = now_ns + days * DAY_NS},
		authority->certificate, authority->key);
}

static int server_key_ensure(struct authority *authority, struct fault *fault)
{
	char path[AUTHORITY_PATH_MAX];

	if (authority->server_key != NULL)
		return 0;
	path_of(authority, "server.key", path);
	if (is_there(path))
		return load_key(path, &authority->server_key, fault);
	authority->server_key = authority_key_new();
	return save_key(path, authority->server_key, fault);
}

static bool is_good(const struct authority *authority, const char *path, const char *const *names,
		    size_t count, uint64_t now_ns)
{
	struct fault unread;
	X509 *held = NULL;

	if (authority_certificate_load(path, &held, &unread) < 0)
		return false;
	const bool good = X509_check_private_key(held, authority->server_key) == 1 &&
			  X509_verify(held, authority->key) == 1 &&
			  authority_certificate_names(held, names, count) &&
			  authority_certificate_left_s(held, now_ns) > AUTHORITY_RENEW_DAYS * DAY_S;
	ERR_clear_error();
	X509_free(held);
	return good;
}

int authority_server_ensure(struct authority *authority, const char *const *names, size_t count,
			    uint64_t now_ns, bool *ret_issued, struct fault *fault)
{
	char path[AUTHORITY_PATH_MAX];
	int code = server_key_ensure(authority, fault);

	check(count >= 1 && count <= AUTHORITY_NAMES_MAX);
	if (code < 0)
		return code;
	path_of(authority, "server.pem", path);
	*ret_issued = !is_good(authority, path, names, count, now_ns);
	if (!*ret_issued)
		return 0;
	X509 *certificate = issue(authority, names, count, AUTHORITY_SERVER_DAYS, now_ns);
	check(certificate != NULL);
	code = save_certificate(path, certificate, fault);
	X509_free(certificate);
	return code;
}

/* One label, of letters, digits and inner hyphens, below localhost. */
static bool is_on_demand(const char *host)
{
	const size_t length = strlen(host), suffix = sizeof(ON_DEMAND) - 1;

	if (length <= suffix || length - suffix > LABEL_MAX ||
	    strcasecmp(host + length - suffix, ON_DEMAND) != 0)
		return false;
	for (size_t i = 0; i < length - suffix; i++) {
		const char byte = (char)(host[i] | 0x20);
		const bool plain =
			(byte >= 'a' && byte <= 'z') || (host[i] >= '0' && host[i] <= '9');
		if (!plain && (host[i] != '-' || i == 0 || i == length - suffix - 1))
			return false;
	}
	return true;
}

size_t authority_certify(const struct authority *authority, const char *host, uint64_t now_ns,
			 uint8_t *der, size_t der_bytes_max)
{
	if (authority->server_key == NULL || !is_on_demand(host))
		return 0;
	X509 *certificate = issue(authority, &host, 1, AUTHORITY_HOST_DAYS, now_ns);
	check(certificate != NULL);
	const int length = i2d_X509(certificate, NULL);
	unsigned char *at = der;
	const bool fits = length > 0 && (size_t)length <= der_bytes_max;
	if (fits)
		i2d_X509(certificate, &at);
	X509_free(certificate);
	return fits ? (size_t)length : 0;
}
