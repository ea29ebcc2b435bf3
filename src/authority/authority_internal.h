/* authority: what its files share. */
#pragma once

#include <openssl/x509v3.h>

#include "authority/authority.h"

#define AUTHORITY_PATH_MAX 4200

struct authority {
	char folder[AUTHORITY_PATH_MAX];
	X509 *certificate;
	EVP_PKEY *key;
	EVP_PKEY *server_key; /* NULL before authority_server_ensure */
};

/* authority.c: the first certificate of a file. */
int authority_certificate_load(const char *path, X509 **ret_certificate, struct fault *fault);

/* ---- certificate.c: making one ---- */

enum authority_use { AUTHORITY_USE_AUTHORITY, AUTHORITY_USE_SERVER, AUTHORITY_USE_CLIENT };

struct authority_request {
	enum authority_use use;
	const char *common_name;
	/* Subject alternative names: a server's hosts and addresses, a client's URIs. */
	const char *const *names;
	size_t name_count;
	EVP_PKEY *subject; /* the key that it is about */
	uint64_t now_ns;
	uint64_t ends_ns; /* to the second */
};

EVP_PKEY *authority_key_new(void);
/* Signed by the issuer; `issuer` NULL: by itself. NULL: a name cannot stand in one. */
X509 *authority_certificate_new(const struct authority_request *request, X509 *issuer,
				EVP_PKEY *issuer_key);
/* Whether its names are just these. */
bool authority_certificate_names(X509 *certificate, const char *const *names, size_t count);
/* Seconds until it ends, negative after. */
int64_t authority_certificate_left_s(const X509 *certificate, uint64_t now_ns);
