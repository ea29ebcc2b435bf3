/* Client certificates, and how the gateway speaks TLS. */
#include <stdlib.h>

#include "api/keys.h"
#include "api/schemas.h"
#include "base/check.h"
#include "base/text.h"

#define EXPIRES_NS (90ull * 24 * 3600 * CLOCK_NS_PER_S) /* where the request does not say */

const struct api_member api_tls_members[] = {
	{"listeners", API_IS_OBJECT, API_LIST_OF, "TlsListener",
	 "those of the gateway that speak TLS"},
	{"certificates", API_IS_OBJECT, API_LIST_OF, "TlsCertificate",
	 "that they show, the first that names the host; the cloud's own is the last"},
	{"authority", API_IS_OBJECT, API_OR_NULL, "TlsCertificate",
	 "the cloud's own; null: no listener speaks TLS"},
};

const struct api_member api_tls_listener_members[] = {
	{"address", API_IS_TEXT, 0, NULL, "where it listens"},
	{"clients", API_IS_CHOICE, 0, "none|optional|required", "what it asks of clients"},
	{"authorities", API_IS_TEXT, API_OR_NULL, NULL,
	 "the file of those who vouch for clients; null: none is asked for"},
};

const struct api_member api_tls_certificate_members[] = {
	{"file", API_IS_TEXT, 0, NULL, "where it stands"},
	{"subject", API_IS_TEXT, 0, NULL, "whose it is (RFC 2253)"},
	{"issuer", API_IS_TEXT, 0, NULL, "who vouches for it"},
	{"names", API_IS_TEXT, API_LIST_OF, NULL, "hosts and addresses that it is for"},
	{"expires", API_IS_TIME, API_OR_NULL, NULL, "its end; null: the file cannot be read now"},
};

const struct api_member api_tls_reloaded_members[] = {
	{"changed", API_IS_FLAG, 0, NULL, "other certificates than before are in force"},
	{"refused", API_IS_TEXT, API_OR_NULL, NULL,
	 "the file that cannot be used, and why; what was in force goes on. Null: all can"},
};

struct issuing {
	struct api_request *request;
	struct account_app app;
	struct account_key key;
	struct api_certificate certificate;
};

static void tell_made(const struct issuing *issuing, const char *what)
{
	const struct account_key *key = &issuing->key;
	char id[ID_TEXT_MAX];

	id_format("key", key->id.value, id);
	api_changed(issuing->request, "key", id,
		    json_pack("{s:s, s:s, s:o}", "app", issuing->app.path, what, key->name,
			      "expires", api_json_time(key->expires_ns)));
}

static json_t *made_json(const struct issuing *issuing)
{
	static const struct api_key_use unused = {0};

	return api_key_json(&issuing->key, issuing->app.path, &unused);
}

static int find_app(struct store *store, struct issuing *issuing, struct fault *fault)
{
	struct api_request *request = issuing->request;

	return api_at(
		request, "app",
		account_app_get(store, api_argument(request, "app")->text, &issuing->app, fault));
}

static int publish(const struct issuing *issuing, struct fault *fault)
{
	const struct api_request *request = issuing->request;
	const struct api_ports *ports = &request->api->options.ports;

	return request->given_again ? 0
				    : ports->keys_changed(ports->context, &issuing->key, 1, fault);
}

/* ---- issuing ---- */

static int issue(struct store *store, void *context, struct fault *fault)
{
	struct issuing *issuing = context;
	struct api_request *request = issuing->request;
	const struct api_ports *ports = &request->api->options.ports;
	struct api_certificate *certificate = &issuing->certificate;
	struct api_key_digest fingerprint;
	int code = find_app(store, issuing, fault);

	if (code == 0)
		code = api_at(request, "request",
			      ports->certificate_issue(
				      ports->context, api_argument(request, "request")->text,
				      issuing->app.path, request->now_ns,
				      api_argument_number(request, "expires",
							  request->now_ns + EXPIRES_NS),
				      certificate, fault));
	if (code < 0)
		return code;
	memcpy(fingerprint.bytes, certificate->fingerprint, sizeof(fingerprint.bytes));
	code = account_certificate_add(store, issuing->app.id, &fingerprint, certificate->serial,
				       certificate->ends_ns, request->now_ns, &issuing->key, fault);
	if (code < 0)
		return code;
	tell_made(issuing, "certificate");
	request->answer = made_json(issuing);
	json_object_set_new(request->answer, "certificate", json_string(certificate->text));
	return 0;
}

int api_certificates_create(struct api_request *request, struct fault *fault)
{
	struct issuing issuing = {.request = request};

	request->status = 201;
	const int code = api_change(request, issue, &issuing, fault);
	return code < 0 ? code : publish(&issuing, fault);
}

/* ---- names in certificates from elsewhere ---- */

static int map(struct store *store, void *context, struct fault *fault)
{
	struct issuing *issuing = context;
	struct api_request *request = issuing->request;
	int code = find_app(store, issuing, fault);

	if (code == 0)
		code = api_at(request, "name",
			      account_name_map(store, issuing->app.id,
					       api_argument(request, "name")->text,
					       api_argument_number(request, "expires", 0),
					       request->now_ns, &issuing->key, fault));
	if (code < 0)
		return code;
	tell_made(issuing, "name");
	request->answer = made_json(issuing);
	return 0;
}

int api_certificates_map(struct api_request *request, struct fault *fault)
{
	struct issuing issuing = {.request = request};

	request->status = 201;
	const int code = api_change(request, map, &issuing, fault);
	return code < 0 ? code : publish(&issuing, fault);
}

int api_certificates_list(struct api_request *request, struct fault *fault)
{
	return api_keys_answer(request, account_certificate_list, fault);
}

/* ---- the gateway's TLS ---- */

int api_tls_show(struct api_request *request, struct fault *fault)
{
	const struct api_ports *ports = &request->api->options.ports;

	(void)fault;
	request->answer = ports->tls_show(ports->context);
	return 0;
}

struct reloading {
	struct api_request *request;
	bool changed; /* by this try of the transaction, or by one before */
};

/* Until when each of the certificates holds. */
static json_t *ends_json(const struct api_ports *ports)
{
	json_t *shown = ports->tls_show(ports->context);
	json_t *ends = json_object();
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(shown, "certificates"), i, one)
		json_object_set(ends, json_string_value(json_object_get(one, "file")),
				json_object_get(one, "expires"));
	json_decref(shown);
	return ends;
}

static int reload(struct store *store, void *context, struct fault *fault)
{
	struct reloading *reloading = context;
	struct api_request *request = reloading->request;
	const struct api_ports *ports = &request->api->options.ports;
	bool changed;
	struct fault refused;
	const int code = ports->tls_reload(ports->context, &changed, &refused);

	(void)store, (void)fault;
	reloading->changed |= changed;
	if (reloading->changed)
		api_changed(request, "tls", "gateway",
			    json_pack("{s:o}", "certificates", ends_json(ports)));
	request->answer =
		json_pack("{s:b, s:o}", "changed", reloading->changed, "refused",
			  code < 0 ? api_json_shown(slice_of(refused.text)) : json_null());
	return 0;
}

int api_tls_reload(struct api_request *request, struct fault *fault)
{
	struct reloading reloading = {.request = request};

	return api_change(request, reload, &reloading, fault);
}
