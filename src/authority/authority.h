/*
 * authority: the cloud's own certificate authority (X.509, RFC 5280).
 *
 * A cloud that has no certificates from elsewhere is its own authority: a key and a certificate
 * that vouches for what it issues, made at the first start. Whoever trusts that one certificate
 * can call the cloud over TLS from then on.
 *
 *   server certificate   the node's, for names and addresses; renewed before it ends
 *   host certificate     for one host, over the same key, made when a client asks for it: no
 *                        certificate can stand for all of *.localhost (a wildcard directly below
 *                        the top is believed by nobody), and services come and go
 *   client certificate   an app's, over a key that its owner made and keeps; it names the app by
 *                        the URI stoa://ACCOUNT/APP
 *
 * Invariants: the authority signs servers and clients and nothing that signs in turn; a serial
 * number is 127 random bits and never used twice; private keys are P-256, are written with mode
 * 0600, are never told, and are refused where others may read them.
 *
 * Threads: authority_certify may be called by any thread, the rest by one at a time.
 * Time:    Unix nanoseconds, handed in.
 * Errors:  a file that cannot be used is a fault that names it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/slice.h"

#define AUTHORITY_NAMES_MAX   32
#define AUTHORITY_NAME_MAX    254 /* with NUL */
#define AUTHORITY_CERT_MAX    4096
#define AUTHORITY_OWN_DAYS    3650
#define AUTHORITY_SERVER_DAYS 90
#define AUTHORITY_RENEW_DAYS  30 /* before its end a certificate is renewed */
#define AUTHORITY_HOST_DAYS   7
#define AUTHORITY_TEXT_MAX    (64 * 1024) /* of a file of certificates or a key */
#define AUTHORITY_REQUEST_MAX (8 * 1024)  /* of a client's request, in PEM */
#define AUTHORITY_PEM_MAX     8192        /* of one certificate, with NUL */
#define AUTHORITY_SERIAL_MAX  33          /* hexadecimal, with NUL */

struct authority;

/* From FOLDER/ca.pem and FOLDER/ca.key; where neither is there they are made, in the name of
 * `cloud`. The folder is there. */
int authority_open(const char *folder, const char *cloud, uint64_t now_ns,
		   struct authority **ret_authority, struct fault *fault);
void authority_close(struct authority *authority);

/* FOLDER/server.pem and FOLDER/server.key name just `names` (hosts, and addresses as text) and
 * are good for AUTHORITY_RENEW_DAYS: else they are issued anew, over the same key if there is
 * one. *ret_issued says so. */
int authority_server_ensure(struct authority *authority, const char *const *names, size_t count,
			    uint64_t now_ns, bool *ret_issued, struct fault *fault);

/* A certificate in DER for `host` over the server's key, good from now. Returns its length; 0 where
 * the host is none that this authority vouches for on demand: LABEL.localhost. */
size_t authority_certify(const struct authority *authority, const char *host, uint64_t now_ns,
			 uint8_t *der, size_t der_bytes_max);

/* What an app shows in place of a key. */
struct authority_client {
	char certificate[AUTHORITY_PEM_MAX]; /* in PEM */
	uint8_t fingerprint[32];             /* SHA-256 of it in DER */
	char serial[AUTHORITY_SERIAL_MAX];
	uint64_t ends_ns; /* its last second, Unix; behind now */
};

/* For `app`, "account/app", until ends_ns. `request` is a certificate request (PKCS #10, RFC 2986)
 * in PEM: its signature proves who has the key, and nothing but the public key is taken from it.
 * FAULT_INPUT: a request or a time that is not allowed. Any thread. */
int authority_client_issue(const struct authority *authority, struct slice request, const char *app,
			   uint64_t now_ns, uint64_t ends_ns, struct authority_client *ret_client,
			   struct fault *fault);

#define AUTHORITY_FACT_MAX 512 /* with NUL; longer ones are cut */

/* What the first certificate of a file says. Names are whatever its issuer wrote. */
struct authority_facts {
	char subject[AUTHORITY_FACT_MAX], issuer[AUTHORITY_FACT_MAX]; /* RFC 2253 */
	size_t name_count;
	char names[AUTHORITY_NAMES_MAX][AUTHORITY_NAME_MAX];
	uint64_t ends_ns; /* Unix */
};

int authority_facts_read(const char *path, struct authority_facts *ret_facts, struct fault *fault);

/* A private key's file: whole, and of nobody's but its owner's to read. To be freed; wipe it. */
int authority_key_read(const char *path, char **ret_text, size_t *ret_length, struct fault *fault);
