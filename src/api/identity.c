#include "api/api_internal.h"

#include <sodium.h>

#include "base/check.h"
#include "api/schemas.h"

const struct api_member api_identity_members[] = {
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},
	{"signed", API_IS_FLAG, 0, NULL, "whether its manifest asks for signed calls"},
	{"keys", API_IS_OBJECT, API_LIST_OF, "IdentityKey", "the one in use, then the next"},
};

const struct api_member api_identity_key_members[] = {
	{"keyid", API_IS_TEXT, 0, NULL, "as `Signature-Input` says it"},
	{"use", API_IS_CHOICE, 0, "now|next",
	 "calls are signed with it; or will be once it is rotated"},
	{"secret", API_IS_TEXT, API_OR_NULL, NULL,
	 "32 bytes, hexadecimal; null in an answer that is given again"},
};

struct identity {
	struct api_request *request;
	struct service_id service;
};

/* With the secrets, or as it may be given again. */
static json_t *identity_json(const struct api_request *request,
			     const struct catalog_service *service, uint32_t number,
			     bool with_secrets)
{
	static const char *const uses[] = {"now", "next"};
	const struct api_ports *ports = &request->api->options.ports;
	struct api_identity_key key;
	json_t *keys = json_array();

	for (uint32_t i = 0; i < 2; i++) {
		ports->identity_key(ports->context, service->id, number + i, &key);
		json_array_append_new(
			keys,
			json_pack("{s:s, s:s, s:o}", "keyid", key.key_id, "use", uses[i], "secret",
				  with_secrets ? json_string(key.secret) : json_null()));
	}
	sodium_memzero(&key, sizeof(key));
	return json_pack("{s:s, s:b, s:o}", "service", service->description.name, "signed",
			 service->description.signed_calls, "keys", keys);
}

static int find(struct store *store, struct api_request *request,
		struct catalog_service **ret_service, struct fault *fault)
{
	return api_at(request, "name",
		      catalog_service_get(store, api_argument(request, "name")->text, ret_service,
					  fault));
}

static int show(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	struct catalog_service *service = NULL;
	const int code = find(store, request, &service, fault);

	if (code == 0)
		request->answer = identity_json(request, service, service->identity_key, true);
	catalog_service_free(service);
	return code;
}

int api_identity_show(struct api_request *request, struct fault *fault)
{
	request->output.is_secret = true;
	return store_transaction_read(request->api->options.store, show, request, fault);
}

static void tell_rotated(struct api_request *request, const json_t *answer, const char *service)
{
	const json_t *key = json_array_get(json_object_get(answer, "keys"), 0);

	api_changed(request, "service", service,
		    json_pack("{s:O}", "identity", json_object_get(key, "keyid")));
}

static int rotate(struct store *store, void *context, struct fault *fault)
{
	struct identity *identity = context;
	struct api_request *request = identity->request;
	struct catalog_service *service = NULL;
	int code = find(store, request, &service, fault);

	if (code == 0)
		code = catalog_identity_rotate(store, service->id, fault);
	if (code == 0) {
		const uint32_t number = service->identity_key + 1;
		identity->service = service->id;
		request->status = 201;
		request->answer = identity_json(request, service, number, true);
		if (request->idempotency_key.length > 0)
			request->kept = identity_json(request, service, number, false);
		tell_rotated(request, request->answer, service->description.name);
	}
	catalog_service_free(service);
	return code;
}

int api_identity_rotate(struct api_request *request, struct fault *fault)
{
	const struct api_ports *ports = &request->api->options.ports;
	struct identity identity = {.request = request};

	request->output.is_secret = true;
	const int code = api_change(request, rotate, &identity, fault);
	return code < 0 || request->given_again
		       ? code
		       : ports->service_changed(ports->context, identity.service, fault);
}
