/*
 * certificate: what a client's certificate is looked up by. Private to the gateway.
 *
 * The directory has certificates beside keys, by digest: the fingerprint of one that the cloud
 * issued, a name that was mapped to an app (base/client_name.h). So a certificate ends, is revoked
 * and is counted as a key is. The digests are made once a connection, when its handshake is over; a
 * call looks up the one that was found last, and only where it is gone the others.
 *
 * Memory: the connection's. Threads: the worker's.
 */
#pragma once

#include "gateway/directory.h"
#include "http/http.h"

#define CERTIFICATE_DIGESTS_MAX (1 + HTTP_TLS_PEER_NAMES_MAX)

struct certificate {
	uint64_t ends_us; /* it does itself, Unix */
	uint32_t digest_count;
	uint32_t last; /* which of them was found */
	uint8_t digests[][32];
};

struct certificate *certificate_new(const struct http_tls_peer *peer);
/* NULL is allowed. */
void certificate_free(struct certificate *certificate);
/* What it stands for; NULL: for nothing that the directory knows. */
const struct directory_key *certificate_find(struct certificate *certificate,
					     struct directory *directory);
