/* `stoa config check` and `stoa config show`. */
#include <jansson.h>
#include <stdio.h>

#include "node/command.h"
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

int node_config_show_main(int argc, char **argv)
{
	struct command command;
	struct fault fault;
	const int status = command_parse(&command, "config show", 0, 1, argc, argv);

	if (status != COMMAND_DONE)
		return status;
	const char *path = command.word_count > 0 ? command.words[0] : command.folder;
	json_t *list = json_array();
	if (config_check(path, add_setting, list, &fault) < 0) {
		json_decref(list);
		return command_fail(&command, &fault);
	}
	if (command.json) {
		json_t *answer = json_pack("{s:o}", "settings", list);
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(answer);
		return COMMAND_DONE;
	}
	json_decref(list);
	/* Again, since what is printed would else stand there before a complaint. */
	return config_check(path, print_setting, NULL, &fault) < 0 ? command_fail(&command, &fault)
								   : COMMAND_DONE;
}

int node_config_check_main(int argc, char **argv)
{
	struct command command;
	struct fault fault;
	const int status = command_parse(&command, "config check", 0, 1, argc, argv);

	if (status != COMMAND_DONE)
		return status;
	const char *path = command.word_count > 0 ? command.words[0] : command.folder;
	if (config_check(path, NULL, NULL, &fault) < 0)
		return command_fail(&command, &fault);
	if (command.json)
		puts("{\"valid\":true}");
	else
		printf("%s: every setting is known and within its bounds\n", path);
	return COMMAND_DONE;
}
