/* What the API asks of the node's TLS. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "node/node_internal.h"

int tls_issue(void *context, struct slice request, const char *app, uint64_t now_ns,
	      uint64_t ends_ns, struct api_certificate *ret_certificate, struct fault *fault)
{
	const struct node *node = context;
	struct authority_client client;

	if (node->tls.authority == NULL)
		return fault_set(fault, FAULT_REFUSED,
				 "this cloud has no certificate authority, since no listener of it "
				 "speaks TLS: add one to `gateway` in cloud.yaml, such as "
				 "tls:0.0.0.0:8443,clients=optional");
	const int code = authority_client_issue(node->tls.authority, request, app, now_ns, ends_ns,
						&client, fault);
	if (code < 0)
		return code;
	_Static_assert(sizeof(client.certificate) == sizeof(ret_certificate->text), "as long");
	_Static_assert(sizeof(client.serial) == sizeof(ret_certificate->serial), "as long");
	memcpy(ret_certificate->text, client.certificate, sizeof(client.certificate));
	memcpy(ret_certificate->serial, client.serial, sizeof(client.serial));
	memcpy(ret_certificate->fingerprint, client.fingerprint, sizeof(client.fingerprint));
	ret_certificate->ends_ns = client.ends_ns;
	return 0;
}

bool tls_has_authority(void *context)
{
	const struct node *node = context;

	return node->tls.authority != NULL;
}

/* Names in a file are whatever somebody wrote. */
static json_t *shown(const char *text)
{
	return api_json_shown(slice_of(text));
}

static json_t *certificate_json(const char *path)
{
	struct authority_facts *facts = calloc(1, sizeof(*facts));
	char ends[CLOCK_TEXT_MAX];
	struct fault unread;
	json_t *names = json_array();

	check(facts != NULL);
	const bool read = authority_facts_read(path, facts, &unread) == 0;
	for (size_t i = 0; i < facts->name_count; i++)
		json_array_append_new(names, shown(facts->names[i]));
	clock_format_wall(facts->ends_ns, ends);
	json_t *json = json_pack("{s:o, s:o, s:o, s:o, s:o}", "file", shown(path), "subject",
				 shown(facts->subject), "issuer", shown(facts->issuer), "names",
				 names, "expires", read ? json_string(ends) : json_null());
	free(facts);
	return json;
}

static json_t *listeners_json(const struct node *node)
{
	json_t *list = json_array();
	char text[LOOP_ADDRESS_TEXT_MAX];
	struct loop_address address;

	for (uint32_t i = 0; gateway_listener_address(node->gateway, i, &address); i++) {
		const struct node_tls_listener *listener = node->tls.listeners[i];
		if (listener == NULL)
			continue;
		loop_address_format(&address, text);
		json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "address", text, "clients",
						      config_clients_texts[listener->clients],
						      "authorities",
						      listener->clients == CONFIG_CLIENTS_NONE
							      ? json_null()
							      : shown(listener->authorities)));
	}
	return list;
}

json_t *tls_compose(void *context)
{
	const struct node *node = context;
	const struct node_tls *tls = &node->tls;
	json_t *certificates = json_array(), *authority = json_null();
	char path[TLS_FOLDER_MAX];

	for (size_t i = 0; tls->authority != NULL && tls_certificate_path(tls, i, path); i++)
		json_array_append_new(certificates, certificate_json(path));
	if (tls->authority != NULL) {
		tls_place(tls->folder, "ca.pem", path);
		authority = certificate_json(path);
	}
	return json_pack("{s:o, s:o, s:o}", "listeners", listeners_json(node), "certificates",
			 certificates, "authority", authority);
}

int tls_reload_now(void *context, bool *ret_changed, struct fault *fault)
{
	struct node *node = context;

	return tls_reload(&node->tls, ret_changed, fault);
}
