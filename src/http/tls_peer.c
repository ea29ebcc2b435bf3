/* Who a client is by its certificate. */
#include <openssl/x509v3.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/tls_internal.h"

static uint64_t end_of(const X509 *certificate)
{
	struct tm time;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1)
		return 0;
	const time_t second = timegm(&time);
	return second < 0 ? 0 : (uint64_t)second * CLOCK_NS_PER_S;
}

static bool read_name(const GENERAL_NAME *general, struct http_tls_name *name)
{
	const ASN1_IA5STRING *text = general->type == GEN_DNS ? general->d.dNSName
				     : general->type == GEN_URI
					     ? general->d.uniformResourceIdentifier
					     : NULL;

	if (text == NULL)
		return false;
	name->is_uri = general->type == GEN_URI;
	name->text = slice_make((const char *)ASN1_STRING_get0_data(text),
				(size_t)ASN1_STRING_length(text));
	return true;
}

static void read_names(const GENERAL_NAMES *names, struct http_tls_peer *peer)
{
	for (int i = 0;
	     i < sk_GENERAL_NAME_num(names) && peer->name_count < HTTP_TLS_PEER_NAMES_MAX; i++) {
		if (read_name(sk_GENERAL_NAME_value(names, i), &peer->names[peer->name_count]))
			peer->name_count++;
	}
}

void http_tls_tell_peer(struct http_tls_session *session)
{
	const struct http_tls_kit *kit = session->kit;
	X509 *certificate = SSL_get0_peer_certificate(session->ssl);
	struct http_tls_peer peer = {.name_count = 0};
	unsigned length = 0;

	/* A handshake ends in failure where it is not verified. */
	if (kit->on_peer == NULL || certificate == NULL ||
	    SSL_get_verify_result(session->ssl) != X509_V_OK)
		return;
	check(X509_digest(certificate, EVP_sha256(), peer.fingerprint, &length) == 1);
	check_equal(length, sizeof(peer.fingerprint));
	peer.ends_ns = end_of(certificate);
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	if (names != NULL)
		read_names(names, &peer);
	kit->on_peer(session->wire, &peer);
	GENERAL_NAMES_free(names);
}
