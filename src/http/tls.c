#include "http/tls_internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"

static int refuse(struct fault *fault, const char *name, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	const int code = fault_set(fault, FAULT_INPUT, "%s: %s%s%s", name, what,
				   reason != NULL ? ": " : "", reason != NULL ? reason : "");

	ERR_clear_error();
	return code;
}

/* A key that is locked by a pass phrase is refused, not asked for. */
static int no_phrase(char *phrase, int bytes_max, int writing, void *context)
{
	(void)phrase, (void)bytes_max, (void)writing, (void)context;
	return 0;
}

static BIO *open_text(struct slice text)
{
	BIO *bio = BIO_new_mem_buf(text.data, (int)text.length);

	check(bio != NULL);
	return bio;
}

/* ---- certificates and keys ---- */

/* The end of the file is no error of it. */
static bool is_at_end(void)
{
	const unsigned long error = ERR_peek_last_error();
	const bool at_end =
		ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;

	if (at_end)
		ERR_clear_error();
	return at_end;
}

static int read_chain(const struct http_tls_identity *identity, BIO *text,
		      struct http_tls_identity_kept *kept, struct fault *fault)
{
	X509 *certificate;

	kept->certificate = PEM_read_bio_X509(text, NULL, no_phrase, NULL);
	if (kept->certificate == NULL)
		return refuse(fault, identity->certificates_name, "holds no certificate in PEM");
	kept->chain = sk_X509_new_null();
	check(kept->chain != NULL);
	while ((certificate = PEM_read_bio_X509(text, NULL, no_phrase, NULL)) != NULL) {
		check(sk_X509_push(kept->chain, certificate) > 0);
		if (sk_X509_num(kept->chain) > HTTP_TLS_CHAIN_DEPTH)
			return refuse(fault, identity->certificates_name,
				      "holds too long a chain of certificates");
	}
	return is_at_end() ? 0
			   : refuse(fault, identity->certificates_name,
				    "a certificate behind the first cannot be read");
}

static int read_identity(const struct http_tls_identity *identity,
			 struct http_tls_identity_kept *kept, struct fault *fault)
{
	BIO *text = open_text(identity->certificates);
	int code = read_chain(identity, text, kept, fault);

	BIO_free(text);
	if (code < 0)
		return code;
	text = open_text(identity->key);
	kept->key = PEM_read_bio_PrivateKey(text, NULL, no_phrase, NULL);
	BIO_free(text);
	if (kept->key == NULL)
		return refuse(fault, identity->key_name,
			      "holds no private key in PEM without a pass phrase");
	if (X509_check_private_key(kept->certificate, kept->key) != 1)
		return refuse(fault, identity->key_name,
			      "is not the key of the first certificate beside it");
	return 0;
}

static int read_authorities(SSL_CTX *context, const struct http_tls_options *options,
			    struct fault *fault)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	BIO *text = open_text(options->authorities);
	int code = 0, count = 0;
	X509 *authority;

	while (code == 0 && (authority = PEM_read_bio_X509(text, NULL, no_phrase, NULL)) != NULL) {
		if (X509_STORE_add_cert(store, authority) != 1 ||
		    (options->is_server && SSL_CTX_add_client_CA(context, authority) != 1))
			code = refuse(fault, options->authorities_name, "a certificate is refused");
		X509_free(authority);
		count++;
	}
	BIO_free(text);
	if (code == 0 && count == 0)
		return refuse(fault, options->authorities_name, "holds no certificate in PEM");
	if (code == 0 && !is_at_end())
		return refuse(fault, options->authorities_name, "a certificate cannot be read");
	return code;
}

/* ---- what a server's sessions ask ---- */

static X509 *certify(const struct http_tls *tls, const char *host)
{
	uint8_t der[HTTP_TLS_DER_BYTES];
	const unsigned char *at = der;
	const size_t length =
		tls->certify != NULL ? tls->certify(tls->owner, host, der, sizeof(der)) : 0;

	return length > 0 ? d2i_X509(NULL, &at, (long)length) : NULL;
}

static int choose_identity(SSL *ssl, void *argument)
{
	const struct http_tls *tls = argument;
	const struct http_tls_identity_kept *first = &tls->identities[0];
	const struct http_tls_identity_kept *last = &tls->identities[tls->identity_count - 1];
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	for (size_t i = 0; host != NULL && i < tls->identity_count; i++) {
		const struct http_tls_identity_kept *one = &tls->identities[i];
		if (X509_check_host(one->certificate, host, 0, 0, NULL) == 1)
			return SSL_use_cert_and_key(ssl, one->certificate, one->key, one->chain, 1);
	}
	X509 *made = host != NULL ? certify(tls, host) : NULL;
	const int used = made != NULL ? SSL_use_cert_and_key(ssl, made, last->key, NULL, 1)
				      : SSL_use_cert_and_key(ssl, first->certificate, first->key,
							     first->chain, 1);
	X509_free(made);
	return used;
}

static int choose_protocol(SSL *ssl, const unsigned char **ret_protocol, unsigned char *ret_length,
			   const unsigned char *offered, unsigned offered_bytes, void *argument)
{
	static const unsigned char both[] = "\x02h2\x08http/1.1";
	const struct http_tls *tls = argument;
	const unsigned skipped = tls->http_2 ? 0 : 3;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, ret_length, both + skipped,
				  (unsigned)sizeof(both) - 1 - skipped, offered,
				  offered_bytes) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret_protocol = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* The first key seals tickets; one that only the others open is sealed anew. */
static int use_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			  EVP_MAC_CTX *mac, int sealing)
{
	const struct http_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const struct http_tls_ticket_key *key = &tls->keys.of[0];
	size_t place = 0;

	if (sealing) {
		memcpy(name, key->name, sizeof(key->name));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
	} else {
		while (place < tls->keys.count &&
		       memcmp(name, tls->keys.of[place].name, sizeof(key->name)) != 0)
			place++;
		if (place == tls->keys.count)
			return 0;
		key = &tls->keys.of[place];
	}
	char digest[] = "SHA256";
	uint8_t seal[sizeof(key->seal)];
	memcpy(seal, key->seal, sizeof(seal));
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, seal, sizeof(seal)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end()};
	const bool done =
		EVP_MAC_CTX_set_params(mac, params) == 1 &&
		EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, sealing) == 1;
	OPENSSL_cleanse(seal, sizeof(seal));
	return !done ? -1 : place == 0 ? 1 : 2;
}

/* A ticket is good for listeners that ask the same of clients, and no others. */
static void mark_sessions(SSL_CTX *context, const struct http_tls_options *options)
{
	unsigned char mark[HTTP_TLS_SERVER_MARKS];
	unsigned length = 0;

	check(EVP_Digest(options->authorities.data, options->authorities.length, mark, &length,
			 EVP_sha256(), NULL) == 1);
	mark[0] = options->client_required;
	check(SSL_CTX_set_session_id_context(context, mark, length) == 1);
}

static int prepare_server(struct http_tls *tls, const struct http_tls_options *options,
			  struct fault *fault)
{
	SSL_CTX *context = tls->context;

	if (tls->identity_count == 0)
		return fault_set(fault, FAULT_INPUT, "TLS needs a certificate and its key");
	tls->certify = options->certify;
	tls->owner = options->owner;
	SSL_CTX_set_cert_cb(context, choose_identity, tls);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, tls);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (options->keys != NULL) {
		tls->keys = *options->keys;
		check(tls->keys.count >= 1 && tls->keys.count <= HTTP_TLS_TICKET_KEYS);
		SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use_ticket_key);
	}
	mark_sessions(context, options);
	if (options->authorities.length == 0)
		return 0;
	SSL_CTX_set_verify(context,
			   SSL_VERIFY_PEER |
				   (options->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
			   NULL);
	return read_authorities(context, options, fault);
}

/* ---- what a client's sessions ask ---- */

static int keep_session(SSL *ssl, SSL_SESSION *resumable)
{
	const struct http_tls_session *session = SSL_get_app_data(ssl);

	if (session->resumable == NULL)
		return 0;
	SSL_SESSION_free(*session->resumable);
	*session->resumable = resumable;
	return 1;
}

static int expect_server(struct http_tls *tls, const char *name, struct fault *fault)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls->context);

	if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
		return 0; /* RFC 6066 3: no address is sent as a server's name */
	if (strlen(name) >= sizeof(tls->server_name) ||
	    X509_VERIFY_PARAM_set1_host(param, name, 0) != 1)
		return refuse(fault, name, "is no name of a server");
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	memcpy(tls->server_name, name, strlen(name) + 1);
	return 0;
}

static int prepare_client(struct http_tls *tls, const struct http_tls_options *options,
			  struct fault *fault)
{
	static const unsigned char http_1[] = "\x08http/1.1", http_2[] = "\x02h2";
	SSL_CTX *context = tls->context;

	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_alpn_protos(context, options->http_2 ? http_2 : http_1,
				(unsigned)(options->http_2 ? sizeof(http_2) : sizeof(http_1)) - 1);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	SSL_CTX_set_cert_cb(context, http_tls_cert_asked, NULL);
	if (tls->identity_count > 0 &&
	    SSL_CTX_use_cert_and_key(context, tls->identities[0].certificate,
				     tls->identities[0].key, tls->identities[0].chain, 1) != 1)
		return refuse(fault, options->identities[0].certificates_name, "cannot be used");
	const int code = expect_server(tls, options->server_name, fault);
	if (code < 0)
		return code;
	if (options->authorities.length > 0)
		return read_authorities(context, options, fault);
	return SSL_CTX_set_default_verify_paths(context) == 1
		       ? 0
		       : refuse(fault, options->server_name,
				"the system's certificate authorities cannot be read");
}

/* ---- life ---- */

int http_tls_new(const struct http_tls_options *options, struct http_tls **ret_tls,
		 struct fault *fault)
{
	struct http_tls *tls = calloc(1, sizeof(*tls));
	int code = 0;

	check(tls != NULL);
	check_at_most(options->identity_count, HTTP_TLS_IDENTITIES_MAX);
	ERR_clear_error();
	atomic_init(&tls->references, 1);
	tls->is_server = options->is_server;
	tls->http_2 = options->http_2;
	tls->method = http_tls_method_new();
	tls->context = SSL_CTX_new(options->is_server ? TLS_server_method() : TLS_client_method());
	check(tls->method != NULL);
	check(tls->context != NULL);
	SSL_CTX_set_app_data(tls->context, tls);
	SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
	SSL_CTX_set_options(tls->context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
						  SSL_OP_CIPHER_SERVER_PREFERENCE |
						  SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_max_cert_list(tls->context, HTTP_TLS_CHAIN_BYTES);
	SSL_CTX_set_verify_depth(tls->context, HTTP_TLS_CHAIN_DEPTH);
	check(SSL_CTX_set_cipher_list(tls->context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1);
	for (size_t i = 0; code == 0 && i < options->identity_count; i++) {
		tls->identity_count++;
		code = read_identity(&options->identities[i], &tls->identities[i], fault);
	}
	if (code == 0)
		code = options->is_server ? prepare_server(tls, options, fault)
					  : prepare_client(tls, options, fault);
	if (code < 0) {
		http_tls_unref(tls);
		return code;
	}
	*ret_tls = tls;
	return 0;
}

struct http_tls *http_tls_ref(struct http_tls *tls)
{
	atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
	return tls;
}

void http_tls_unref(struct http_tls *tls)
{
	if (tls == NULL ||
	    atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < tls->identity_count; i++) {
		X509_free(tls->identities[i].certificate);
		sk_X509_pop_free(tls->identities[i].chain, X509_free);
		EVP_PKEY_free(tls->identities[i].key);
	}
	SSL_CTX_free(tls->context);
	BIO_meth_free(tls->method);
	OPENSSL_cleanse(&tls->keys, sizeof(tls->keys));
	free(tls);
}
