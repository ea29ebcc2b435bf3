#include "gateway/identity.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "gateway/own_field.h"

#define COVERED                                                                                   \
	"(\"@method\" \"@path\" \"@query\" \"date\" \"stoa-call\" \"stoa-app\" \"stoa-account\" " \
	"\"stoa-plan\")"

static_assert(sizeof("stoa=" COVERED ";created=;keyid=\"\";alg=\"hmac-sha256\"") + 20 +
			      GATEWAY_IDENTITY_KEY_ID_MAX + sizeof("stoa=::") +
			      sodium_base64_ENCODED_LEN(IDENTITY_MAC,
							sodium_base64_VARIANT_ORIGINAL) <=
		      IDENTITY_TEXT_MAX,
	      "both values fit");

void identity_signer_init(struct identity_signer *signer, const struct gateway_identity *identity)
{
	*signer = (struct identity_signer){.identity = *identity};
	crypto_auth_hmacsha256_init(&signer->keyed, identity->secret, sizeof(identity->secret));
}

/* ---- the signature base ---- */

static void feed(crypto_auth_hmacsha256_state *state, struct slice bytes)
{
	if (bytes.length > 0)
		crypto_auth_hmacsha256_update(state, (const unsigned char *)bytes.data,
					      bytes.length);
}

static void feed_line(crypto_auth_hmacsha256_state *state, struct slice name, struct slice value)
{
	feed(state, slice_of("\""));
	feed(state, name);
	feed(state, slice_of("\": "));
	feed(state, value);
}

void identity_mac(const crypto_auth_hmacsha256_state *keyed,
		  const struct identity_component *components, size_t count,
		  struct slice parameters, uint8_t mac[IDENTITY_MAC])
{
	crypto_auth_hmacsha256_state state = *keyed;

	for (size_t i = 0; i < count; i++) {
		feed_line(&state, components[i].name, components[i].value);
		feed(&state, slice_of("\n"));
	}
	feed_line(&state, slice_of("@signature-params"), parameters);
	crypto_auth_hmacsha256_final(&state, mac);
}

/* ---- a call's ---- */

/* RFC 9421, 2.2.6 and 2.2.7. The target "*" has neither path nor query; no path is "/", and no
 * query is "?". */
static void split_target(struct slice target, struct slice *ret_path, struct slice *ret_query)
{
	const size_t mark = slice_find_byte(target, '?', 0);

	*ret_path = slice_part(target, 0, mark);
	*ret_query = slice_part(target, mark, target.length);
	if (ret_path->length == 0 || slice_equal(*ret_path, slice_of("*")))
		*ret_path = slice_of("/");
	if (ret_query->length == 0)
		*ret_query = slice_of("?");
}

#define LABEL "stoa="

/* Signature-Input: the label, what is covered, and how. */
static struct slice put_input(const struct identity_signer *signer, uint64_t wall_ns, char *text)
{
	char *at = own_put(text, slice_of(LABEL COVERED ";created="));

	at = text_decimal(wall_ns / CLOCK_NS_PER_S, at);
	at = own_put(at, slice_of(";keyid=\""));
	at = own_put(at, slice_of(signer->identity.key_id));
	at = own_put(at, slice_of("\";alg=\"hmac-sha256\""));
	return slice_make(text, (size_t)(at - text));
}

static struct slice put_signature(const uint8_t mac[IDENTITY_MAC], char *text)
{
	const size_t most = sodium_base64_ENCODED_LEN(IDENTITY_MAC, sodium_base64_VARIANT_ORIGINAL);
	char *at = own_put(text, slice_of(LABEL ":"));

	sodium_bin2base64(at, most, mac, IDENTITY_MAC, sodium_base64_VARIANT_ORIGINAL);
	at = own_put(at + most - 1, slice_of(":"));
	return slice_make(text, (size_t)(at - text));
}

size_t identity_put(const struct identity_signer *signer, const struct identity_call *call,
		    struct http_header headers[IDENTITY_FIELDS], char text[IDENTITY_TEXT_MAX])
{
	struct slice path, query;
	uint8_t mac[IDENTITY_MAC];

	split_target(call->target, &path, &query);
	const struct identity_component components[] = {
		{slice_of("@method"), call->method},
		{slice_of("@path"), path},
		{slice_of("@query"), query},
		{slice_of("date"), call->date},
		{slice_of("stoa-call"), call->call},
		{slice_of("stoa-app"), call->app},
		{slice_of("stoa-account"), call->account},
		{slice_of("stoa-plan"), call->plan},
	};
	const struct slice input = put_input(signer, call->wall_ns, text);
	identity_mac(&signer->keyed, components, sizeof(components) / sizeof(components[0]),
		     slice_part(input, sizeof(LABEL) - 1, input.length), mac);
	headers[0] = own_header(HTTP_DATE, "Date", call->date);
	headers[1] = own_header(HTTP_SIGNATURE_INPUT, "Signature-Input", input);
	headers[2] =
		own_header(HTTP_SIGNATURE, "Signature", put_signature(mac, text + input.length));
	return IDENTITY_FIELDS;
}
