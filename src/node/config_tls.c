#include <stdio.h>
#include <string.h>

#include "node/config.h"
#include "node/node.h"

#define TLS_PREFIX  "tls:"
#define CLIENTS     "clients="
#define AUTHORITIES "ca="

const char *const config_clients_texts[] = {"none", "optional", "required"};

/* "clients=required" or "ca=FILE", each once. */
static int read_demand(struct slice text, struct config_listener *listener, struct fault *fault)
{
	const struct slice clients = slice_of(CLIENTS), authorities = slice_of(AUTHORITIES);
	char shown[TEXT_SHOWN_MAX];

	if ((slice_starts_with(text, clients) && listener->clients != CONFIG_CLIENTS_NONE) ||
	    (slice_starts_with(text, authorities) && listener->authorities[0] != '\0'))
		return fault_set(fault, FAULT_INPUT,
				 "\"%s\" is the second of its kind; one is allowed",
				 text_show(text, shown));
	if (slice_starts_with(text, clients)) {
		const struct slice value = slice_part(text, clients.length, text.length);
		for (int i = CONFIG_CLIENTS_OPTIONAL; i <= CONFIG_CLIENTS_REQUIRED; i++) {
			if (slice_equal(value, slice_of(config_clients_texts[i]))) {
				listener->clients = (enum config_clients)i;
				return 0;
			}
		}
	}
	const struct slice file = slice_starts_with(text, authorities)
					  ? slice_part(text, authorities.length, text.length)
					  : slice_make(NULL, 0);
	if (file.length > 0 && slice_to_text(file, listener->authorities, CONFIG_ADDRESS_MAX))
		return 0;
	return fault_set(fault, FAULT_INPUT,
			 "\"%s\" behind a tls: address: clients=optional, clients=required and "
			 "ca=FILE are allowed",
			 text_show(text, shown));
}

static bool is_demand(struct slice text)
{
	return slice_starts_with(text, slice_of(CLIENTS)) ||
	       slice_starts_with(text, slice_of(AUTHORITIES));
}

/* What is meant for TLS stands behind a tls: address, in one word with it. */
static int check_plain(struct slice text, struct fault *fault)
{
	const size_t comma = slice_find_byte(text, ',', 0);
	char shown[TEXT_SHOWN_MAX];

	if (is_demand(text))
		return fault_set(fault, FAULT_INPUT,
				 "\"%s\" has no address before it; in a list between brackets both "
				 "stand in quotes: [\"" TLS_PREFIX "127.0.0.1:8443," CLIENTS
				 "optional\"]",
				 text_show(text, shown));
	if (comma < text.length && is_demand(slice_part(text, comma + 1, text.length)))
		return fault_set(fault, FAULT_INPUT,
				 "\"%s\" asks for certificates, which only a " TLS_PREFIX
				 " address can",
				 text_show(text, shown));
	return 0;
}

int config_listener_parse(struct slice text, struct config_listener *ret_listener,
			  struct fault *fault)
{
	const struct slice prefix = slice_of(TLS_PREFIX);
	struct config_listener listener = {.tls = slice_starts_with(text, prefix)};
	struct slice address = text, demands = slice_make(NULL, 0), demand;
	int code = listener.tls ? 0 : check_plain(text, fault);

	if (listener.tls) {
		const size_t comma = slice_find_byte(text, ',', 0);
		address = slice_part(text, prefix.length, comma);
		demands = slice_part(text, comma < text.length ? comma + 1 : comma, text.length);
	}
	if (code == 0)
		code = loop_address_parse(address, &listener.address, fault);
	if (code == 0 && listener.tls && slice_ends_with(text, slice_of(",")))
		code = read_demand(demands, &listener, fault);
	while (code == 0 && slice_cut(&demands, ',', &demand))
		code = read_demand(demand, &listener, fault);
	if (code == 0 && listener.authorities[0] != '\0' && listener.clients == CONFIG_CLIENTS_NONE)
		code = fault_set(fault, FAULT_INPUT,
				 "ca=%s needs clients=optional or clients=required beside it",
				 listener.authorities);
	if (code == 0)
		*ret_listener = listener;
	return code;
}

int node_listener_check(const char *text, struct fault *fault)
{
	struct config_listener listener;

	return config_listener_parse(slice_of(text), &listener, fault);
}

/* ---- certificates ---- */

static int read_file_name(const struct yaml *yaml, const struct yaml_node *identity,
			  const char *key, char name[CONFIG_ADDRESS_MAX], struct fault *fault)
{
	const struct yaml_node *file = yaml_find(identity, key);

	if (file == NULL || file->kind != YAML_SCALAR || file->scalar.length == 0)
		return yaml_fault(yaml, file != NULL ? file : identity, fault,
				  "tls.certificates: %s: a file's name is needed", key);
	if (!slice_to_text(file->scalar, name, CONFIG_ADDRESS_MAX))
		return yaml_fault(yaml, file, fault, "tls.certificates: the name is too long");
	return 0;
}

static int read_identity(const struct yaml *yaml, const struct yaml_node *item,
			 struct config *config, struct fault *fault)
{
	struct config_identity *identity = &config->identities[config->identity_count];

	if (item->kind != YAML_MAPPING)
		return yaml_fault(yaml, item, fault,
				  "tls.certificates: {certificate: FILE, key: FILE} is needed");
	for (const struct yaml_node *member = item->first; member != NULL; member = member->next) {
		if (!slice_equal(member->key, slice_of("certificate")) &&
		    !slice_equal(member->key, slice_of("key")))
			return yaml_fault(yaml, member, fault,
					  "tls.certificates: %.*s is unknown here; certificate "
					  "and key are known",
					  (int)member->key.length, member->key.data);
	}
	if (config->identity_count == CONFIG_IDENTITIES_MAX)
		return yaml_fault(yaml, item, fault, "tls.certificates: at most %d",
				  CONFIG_IDENTITIES_MAX);
	config->identity_count++;
	const int code = read_file_name(yaml, item, "certificate", identity->certificate, fault);
	return code < 0 ? code : read_file_name(yaml, item, "key", identity->key, fault);
}

/* ---- names ---- */

/* A host's name, one with a first label "*", or an address as text. */
static bool is_name(struct slice text)
{
	if (text.length == 0 || text.length >= AUTHORITY_NAME_MAX)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		const char byte = text.data[i];
		const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
				   (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' ||
				   byte == ':';
		if (!plain && (byte != '*' || i > 0))
			return false;
	}
	return true;
}

static int read_name(const struct yaml *yaml, const struct yaml_node *item, struct config *config,
		     struct fault *fault)
{
	if (item->kind != YAML_SCALAR || !is_name(item->scalar))
		return yaml_fault(
			yaml, item, fault,
			"tls.names: a host's name such as api.example.com, or an address");
	if (config->tls_name_count == CONFIG_TLS_NAMES_MAX)
		return yaml_fault(yaml, item, fault, "tls.names: at most %d", CONFIG_TLS_NAMES_MAX);
	slice_to_text(item->scalar, config->tls_names[config->tls_name_count++],
		      AUTHORITY_NAME_MAX);
	return 0;
}

static int read_list(const struct yaml *yaml, const struct yaml_node *list, const char *name,
		     int (*read_item)(const struct yaml *, const struct yaml_node *,
				      struct config *, struct fault *),
		     struct config *config, struct fault *fault)
{
	int code = 0;

	if (list == NULL)
		return 0;
	if (list->kind != YAML_SEQUENCE)
		return yaml_fault(yaml, list, fault, "%s: a list is needed", name);
	for (const struct yaml_node *item = list->first; code == 0 && item != NULL;
	     item = item->next)
		code = read_item(yaml, item, config, fault);
	return code;
}

int config_read_tls(const struct yaml *yaml, const struct yaml_node *certificates,
		    const struct yaml_node *names, struct config *config, struct fault *fault)
{
	const int code =
		read_list(yaml, certificates, "tls.certificates", read_identity, config, fault);

	return code < 0 ? code : read_list(yaml, names, "tls.names", read_name, config, fault);
}
