#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/check.h"
#include "http/http.h"

void http_websocket_accept(struct slice key, char accept[HTTP_WEBSOCKET_ACCEPT_BYTES + 1])
{
	static const char of_every_server[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char text[HTTP_WEBSOCKET_KEY_BYTES + sizeof(of_every_server)];
	unsigned char digest[SHA_DIGEST_LENGTH];

	check_equal(key.length, HTTP_WEBSOCKET_KEY_BYTES);
	memcpy(text, key.data, key.length);
	memcpy(text + key.length, of_every_server, sizeof(of_every_server) - 1);
	check(SHA1(text, sizeof(text) - 1, digest) != NULL);
	check_equal(EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest)),
		    HTTP_WEBSOCKET_ACCEPT_BYTES);
}
