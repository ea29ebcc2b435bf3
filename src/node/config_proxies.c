#include "base/check.h"
#include "node/config.h"

static int read_proxy(const struct yaml *yaml, const struct yaml_node *item, struct config *config,
		      struct fault *fault)
{
	struct gateway_trust *trust = &config->trust;
	struct fault why = {0};

	if (item->kind != YAML_SCALAR)
		return yaml_fault(
			yaml, item, fault,
			"trusted_proxies: an address, a block such as 10.0.0.0/8, or unix "
			"is needed");
	if (config->trusted_count == GATEWAY_TRUSTED_MAX)
		return yaml_fault(yaml, item, fault, "trusted_proxies: at most %d",
				  GATEWAY_TRUSTED_MAX);
	if (slice_equal(item->scalar, slice_of("unix")))
		trust->unix_sockets = true;
	else if (network_parse(item->scalar, &trust->networks[trust->network_count], &why) == 0)
		trust->network_count++;
	else
		return yaml_fault(yaml, item, fault, "trusted_proxies: %s", why.text);
	check(slice_to_text(item->scalar, config->trusted[config->trusted_count++],
			    NETWORK_TEXT_MAX));
	return 0;
}

int config_read_proxies(const struct yaml *yaml, const struct yaml_node *list,
			struct config *config, struct fault *fault)
{
	int code = 0;

	if (list == NULL)
		return 0;
	if (list->kind != YAML_SEQUENCE)
		return yaml_fault(yaml, list, fault,
				  "trusted_proxies: a list is needed, such as [10.0.0.0/8]");
	for (const struct yaml_node *item = list->first; code == 0 && item != NULL;
	     item = item->next)
		code = read_proxy(yaml, item, config, fault);
	return code;
}
