#include <openssl/err.h>

#include "http/tls_internal.h"

const char *http_tls_reason_name(enum http_tls_reason reason)
{
	static const char *const names[] = {
#define X(reason, name, text) [reason] = name,
		HTTP_TLS_REASONS(X)
#undef X
	};

	return names[reason];
}

int http_tls_cert_asked(SSL *ssl, void *argument)
{
	struct http_tls_session *session = SSL_get_app_data(ssl);

	(void)argument;
	session->cert_asked = true;
	return 1;
}

const char *http_tls_why(const SSL *ssl)
{
	const long verified = SSL_get_verify_result(ssl);
	const unsigned long error = ERR_peek_error();
	const char *reason = ERR_reason_error_string(error);

	if (verified != X509_V_OK)
		return X509_verify_cert_error_string(verified);
	return reason != NULL ? reason : "the handshake broke the rules of TLS";
}

/* RFC 8446 6.2. With TLS 1.3 the peer looks at the client's certificate when the client has the
 * handshake behind it: its alert comes in place of an answer. */
static enum http_tls_reason of_alert(const struct http_tls_session *session, int reason)
{
	switch (reason) {
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
		return HTTP_TLS_CLIENT_REFUSED;
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE: /* so TLS 1.2 says that one is missing */
		return session->cert_asked ? HTTP_TLS_CLIENT_REFUSED : HTTP_TLS_BROKEN;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
		return HTTP_TLS_VERSION;
	case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
		return HTTP_TLS_PROTOCOL;
	default:
		return HTTP_TLS_BROKEN;
	}
}

enum http_tls_reason http_tls_reason_of(const struct http_tls_session *session)
{
	const unsigned long error = ERR_peek_error();

	switch (SSL_get_verify_result(session->ssl)) {
	case X509_V_OK:
		return ERR_GET_LIB(error) == ERR_LIB_SSL ? of_alert(session, ERR_GET_REASON(error))
							 : HTTP_TLS_BROKEN;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return HTTP_TLS_EXPIRED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return HTTP_TLS_WRONG_NAME;
	default:
		return HTTP_TLS_UNTRUSTED;
	}
}
