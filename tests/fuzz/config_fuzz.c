/* cloud.yaml: it is refused with file, line and column, or its values are within their bounds. */
#include "replay.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "node/config.h"

static void count_setting(void *context, const char *name, const char *value, unsigned line)
{
	unsigned *shown = context;

	check(name[0] != '\0' && value != NULL);
	(void)line;
	++*shown;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config = {0};
	unsigned shown = 0;
	struct fault fault = {0};

	const int code = config_read("cloud.yaml", slice_make(data, size), count_setting, &shown,
				     &config, &fault);
	if (code < 0) {
		check_equal(code, FAULT_INPUT);
		check(strncmp(fault.text, "cloud.yaml:", strlen("cloud.yaml:")) == 0);
		return 0;
	}
	check(shown > 10);
	check_equal(strspn(config.currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 3);
	check_at_most(config.gateway_count, CONFIG_LISTENERS_MAX);
	check_at_most(config.fee_ppm, 1000000);
	return 0;
}
