#include "gateway/certificate.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/client_name.h"

_Static_assert(sizeof(((struct certificate *)NULL)->digests[0]) == API_KEY_DIGEST_BYTES,
	       "as the directory has them");

struct certificate *certificate_new(const struct http_tls_peer *peer)
{
	struct certificate *certificate =
		malloc(sizeof(*certificate) + (1 + peer->name_count) * API_KEY_DIGEST_BYTES);
	struct api_key_digest digest;
	uint32_t count = 0;

	check(certificate != NULL);
	check(1 + peer->name_count <= CERTIFICATE_DIGESTS_MAX);
	memcpy(certificate->digests[count++], peer->fingerprint, sizeof(peer->fingerprint));
	for (size_t i = 0; i < peer->name_count; i++) {
		const struct http_tls_name *name = &peer->names[i];
		if (client_name_digest(name->is_uri ? CLIENT_NAME_URI : CLIENT_NAME_DNS, name->text,
				       &digest))
			memcpy(certificate->digests[count++], digest.bytes, sizeof(digest.bytes));
	}
	certificate->ends_us = peer->ends_ns / CLOCK_NS_PER_US;
	certificate->digest_count = count;
	certificate->last = 0;
	return certificate;
}

void certificate_free(struct certificate *certificate)
{
	free(certificate);
}

const struct directory_key *certificate_find(struct certificate *certificate,
					     struct directory *directory)
{
	const struct directory_key *key =
		directory_find_key(directory, certificate->digests[certificate->last]);

	for (uint32_t i = 0; key == NULL && i < certificate->digest_count; i++) {
		key = directory_find_key(directory, certificate->digests[i]);
		if (key != NULL)
			certificate->last = i;
	}
	return key;
}
