/* Whether a request comes from the cloud, and who calls: docs/identity.md, with libsodium.
 *
 *	verify [SECONDS] < head
 *
 * reads a request's head on standard input and the secrets from STOA_IDENTITY_KEYS, and says who
 * calls, or why the request is refused. SECONDS is the Unix time; now, where it is left out. */
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define HEAD_MAX   65536
#define KEY_ID_MAX 40 /* bytes with the NUL */
#define WINDOW_S   60 /* that a signature may be old, or ahead of a clock that runs behind */

/* All of it, in this order and nothing else: what is not covered, nobody vouches for. */
#define COVERED                                                                                   \
	"(\"@method\" \"@path\" \"@query\" \"date\" \"stoa-call\" \"stoa-app\" \"stoa-account\" " \
	"\"stoa-plan\")"

static const char *const covered_fields[] = {"date", "stoa-call", "stoa-app", "stoa-account",
					     "stoa-plan"};
enum { DATE, CALL, APP, ACCOUNT, PLAN, FIELDS };

struct request {
	char *method, *target;
	char *lines; /* behind the first one, each ended by a NUL, then an empty one */
};

struct parameters {
	const char *text; /* behind "stoa=" */
	long long created;
	char key_id[KEY_ID_MAX];
};

static int refuse(const char *reason)
{
	printf("refused: %s\n", reason);
	return 1;
}

/* ---- the head ---- */

/* Ends each line with a NUL. False where it is no head. */
static bool split_head(char *head, struct request *request)
{
	char *end = strstr(head, "\r\n\r\n");

	if (end == NULL)
		return false;
	end[2] = '\0';
	for (char *at = head; (at = strstr(at, "\r\n")) != NULL; at += 2)
		memset(at, 0, 2);
	request->lines = head + strlen(head) + 2;
	request->method = head;
	request->target = strchr(head, ' ');
	if (request->target == NULL)
		return false;
	*request->target++ = '\0';
	char *version = strchr(request->target, ' ');
	if (version == NULL)
		return false;
	*version = '\0';
	return true;
}

/* The value of a field that must be there once: two are two stories. NULL too where white space is
 * behind it, which the cloud does not write. */
static char *only_field(const struct request *request, const char *name)
{
	const size_t length = strlen(name);
	char *value = NULL;

	for (char *line = request->lines; *line != '\0'; line += strlen(line) + 2) {
		if (strncasecmp(line, name, length) != 0 || line[length] != ':')
			continue;
		if (value != NULL)
			return NULL;
		value = line + length + 1;
	}
	if (value == NULL)
		return NULL;
	value += strspn(value, " \t");
	const size_t bytes = strlen(value);
	return bytes > 0 && strchr(" \t", value[bytes - 1]) == NULL ? value : NULL;
}

/* ---- what it says about its signature ---- */

static bool read_parameters(const char *input, struct parameters *parameters)
{
	static const char begin[] = "stoa=" COVERED ";created=";
	static const char middle[] = ";keyid=\"", last[] = "\";alg=\"hmac-sha256\"";
	const char *at = input;

	if (strncmp(at, begin, sizeof(begin) - 1) != 0)
		return false;
	at += sizeof(begin) - 1;
	const size_t digits = strspn(at, "0123456789");
	if (digits == 0 || digits > 12)
		return false;
	parameters->created = strtoll(at, NULL, 10);
	at += digits;
	if (strncmp(at, middle, sizeof(middle) - 1) != 0)
		return false;
	at += sizeof(middle) - 1;
	const size_t length = strcspn(at, "\"");
	if (length == 0 || length >= KEY_ID_MAX || strcmp(at + length, last) != 0)
		return false;
	memcpy(parameters->key_id, at, length);
	parameters->key_id[length] = '\0';
	parameters->text = input + strlen("stoa=");
	return true;
}

static bool read_signature(const char *text, unsigned char mac[crypto_auth_hmacsha256_BYTES])
{
	static const char begin[] = "stoa=:";
	const char *end;
	size_t bytes;

	return strncmp(text, begin, sizeof(begin) - 1) == 0 &&
	       sodium_base642bin(mac, crypto_auth_hmacsha256_BYTES, text + sizeof(begin) - 1,
				 strlen(text) - (sizeof(begin) - 1), NULL, &bytes, &end,
				 sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       bytes == crypto_auth_hmacsha256_BYTES && strcmp(end, ":") == 0;
}

/* Of "ID:HEX ID:HEX". */
static bool find_key(const char *keys, const char *key_id,
		     unsigned char secret[crypto_auth_hmacsha256_KEYBYTES])
{
	const size_t length = strlen(key_id);

	while (keys != NULL && *keys != '\0') {
		const size_t entry = strcspn(keys, " ");
		size_t bytes = 0;
		if (entry > length && strncmp(keys, key_id, length) == 0 && keys[length] == ':')
			return sodium_hex2bin(secret, crypto_auth_hmacsha256_KEYBYTES,
					      keys + length + 1, entry - length - 1, NULL, &bytes,
					      NULL) == 0 &&
			       bytes == crypto_auth_hmacsha256_KEYBYTES;
		keys += entry + strspn(keys + entry, " ");
	}
	return false;
}

/* ---- the signature ---- */

static void feed(crypto_auth_hmacsha256_state *state, const char *text)
{
	crypto_auth_hmacsha256_update(state, (const unsigned char *)text, strlen(text));
}

static void feed_line(crypto_auth_hmacsha256_state *state, const char *name, const char *value)
{
	feed(state, "\"");
	feed(state, name);
	feed(state, "\": ");
	feed(state, value);
	feed(state, "\n");
}

/* RFC 9421, 2.5. */
static void sign(const unsigned char *secret, const struct request *request,
		 char *const values[FIELDS], const char *parameters,
		 unsigned char mac[crypto_auth_hmacsha256_BYTES])
{
	crypto_auth_hmacsha256_state state;
	char path[HEAD_MAX];
	const char *query = strchr(request->target, '?');
	const size_t length = strcspn(request->target, "?");

	memcpy(path, request->target, length);
	path[length] = '\0';
	crypto_auth_hmacsha256_init(&state, secret, crypto_auth_hmacsha256_KEYBYTES);
	feed_line(&state, "@method", request->method);
	feed_line(&state, "@path", length == 0 || strcmp(path, "*") == 0 ? "/" : path);
	feed_line(&state, "@query", query != NULL ? query : "?");
	for (size_t i = 0; i < FIELDS; i++)
		feed_line(&state, covered_fields[i], values[i]);
	feed(&state, "\"@signature-params\": ");
	feed(&state, parameters);
	crypto_auth_hmacsha256_final(&state, mac);
}

static int verify(const struct request *request, const char *keys, long long now)
{
	unsigned char secret[crypto_auth_hmacsha256_KEYBYTES];
	unsigned char given[crypto_auth_hmacsha256_BYTES], wanted[crypto_auth_hmacsha256_BYTES];
	struct parameters parameters;
	char *values[FIELDS];
	const char *input = only_field(request, "signature-input");
	const char *signature = only_field(request, "signature");

	if (input == NULL || signature == NULL)
		return refuse("there is not one signature and one signature-input");
	if (!read_parameters(input, &parameters))
		return refuse("signature-input: does not cover what it must, or not as it must");
	if (!read_signature(signature, given))
		return refuse("signature: is not one of 32 bytes under the label stoa");
	if (!find_key(keys, parameters.key_id, secret))
		return refuse("signature-input: the key is not known");
	for (size_t i = 0; i < FIELDS; i++) {
		values[i] = only_field(request, covered_fields[i]);
		if (values[i] == NULL)
			return refuse("a covered field is not there once");
	}
	sign(secret, request, values, parameters.text, wanted);
	if (sodium_memcmp(given, wanted, sizeof(given)) != 0)
		return refuse("signature: is not that of this request");
	/* Only now: what is not signed has no time either. */
	if (now - parameters.created > WINDOW_S || parameters.created - now > WINDOW_S)
		return refuse("signature-input: created too long ago, or in the future");
	printf("call %s of %s, account %s, plan %s\n", values[CALL], values[APP], values[ACCOUNT],
	       values[PLAN]);
	return 0;
}

int main(int argc, char **argv)
{
	static char head[HEAD_MAX];
	struct request request;
	const size_t length = fread(head, 1, sizeof(head) - 1, stdin);
	const long long now = argc > 1 ? strtoll(argv[1], NULL, 10) : (long long)time(NULL);

	if (sodium_init() < 0)
		return refuse("libsodium does not start");
	if (strlen(head) != length || !split_head(head, &request))
		return refuse("this is not the head of a request");
	return verify(&request, getenv("STOA_IDENTITY_KEYS"), now);
}
