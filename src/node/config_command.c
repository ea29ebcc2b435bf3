/* `stoa config check` and `stoa config show`. */
#include <jansson.h>
#include <stdio.h>

#include "node/config.h"
#include "node/node.h"

#define ORIGIN_MAX 64

static void origin_text(unsigned line, char text[ORIGIN_MAX])
{
	if (line == 0)
		snprintf(text, ORIGIN_MAX, "default");
	else
		snprintf(text, ORIGIN_MAX, "line %u", line);
}

static void print_setting(void *context, const char *name, const char *value, unsigned line)
{
	char origin[ORIGIN_MAX];

	(void)context;
	origin_text(line, origin);
	printf("%-24s  %-16s  %s\n", name, value[0] != '\0' ? value : "-", origin);
}

static void add_setting(void *context, const char *name, const char *value, unsigned line)
{
	json_t *list = context;

	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i}", "name", name, "value", value,
					      "origin", line == 0 ? "default" : "file", "line",
					      (int)line));
}

int node_config_show(const char *path, bool json, struct fault *fault)
{
	json_t *list = json_array();
	const int code = config_check(path, add_setting, list, fault);

	if (code == 0 && json) {
		json_t *answer = json_pack("{s:O}", "settings", list);
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(answer);
	}
	json_decref(list);
	/* Again, since what is printed would else stand there before a complaint. */
	return code == 0 && !json ? config_check(path, print_setting, NULL, fault) : code;
}

int node_config_check(const char *path, bool json, struct fault *fault)
{
	const int code = config_check(path, NULL, NULL, fault);

	if (code < 0)
		return code;
	if (json)
		puts("{\"valid\":true}");
	else
		printf("%s: every setting is known and within its bounds\n", path);
	return 0;
}
