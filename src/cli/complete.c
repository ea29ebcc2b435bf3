/* What may stand at the end of a command line, for the shells' completion: by the table of
 * commands, and names by the cloud. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "cli/routes.h"

#define NAMES_MAX        1000 /* of one kind, asked for */
#define NAMES_MS_MAX     2000 /* somebody waits at a prompt */
#define ARGUMENT_MAX     64
#define SUMMARY_OF_GROUP "..."

struct completing {
	struct cli *cli;
	const char *names[CLI_ARGUMENTS_MAX]; /* words before the last that are no options */
	size_t name_count;
	const char *given[CLI_ARGUMENTS_MAX]; /* options before the last word */
	size_t given_count;
	const struct cli_option *open; /* the last word is its value */
	bool only_words;               /* behind "--" */
	struct slice last;
	struct text *lines;
};

/* ---- candidates ---- */

/* Where the word goes on from what is typed. A description ends at what no line may hold. */
static void offer(struct completing *completing, struct slice word, const char *about)
{
	const struct slice whole = slice_of(about);
	size_t end = 0;

	if (!slice_starts_with(word, completing->last))
		return;
	while (end < whole.length && (unsigned char)whole.data[end] >= ' ')
		end++;
	text_append(completing->lines, word);
	text_printf(completing->lines, "\t%.*s\n", (int)end, whole.length > 0 ? about : "");
}

/* "minute|hour|day" */
static void offer_choices(struct completing *completing, struct slice choices)
{
	struct slice choice;

	while (slice_cut(&choices, '|', &choice))
		offer(completing, choice, "");
}

/* Whom nobody answers has nothing to offer. */
static void offer_names(struct completing *completing, struct cli_request list, const char *member,
			const char *about)
{
	json_t *answer = NULL;
	const json_t *item;
	size_t i;

	completing->cli->timeout_ms = NAMES_MS_MAX;
	if (cli_ask(completing->cli, list, &answer) == CLI_DONE) {
		json_array_foreach(json_object_get(answer, "items"), i, item)
			offer(completing, slice_of(cli_text(item, member)), cli_text(item, about));
		json_decref(answer);
	}
}

static struct cli_request accounts(void)
{
	return route_accounts_list((struct route_accounts_list){.limit = NAMES_MAX});
}

static struct cli_request apps(void)
{
	return route_apps_list((struct route_apps_list){.limit = NAMES_MAX});
}

static struct cli_request services(void)
{
	return route_services_list((struct route_services_list){.limit = NAMES_MAX});
}

static struct cli_request keys(void)
{
	return route_keys_list((struct route_keys_list){.limit = NAMES_MAX});
}

static struct cli_request tokens(void)
{
	return route_tokens_list((struct route_tokens_list){.limit = NAMES_MAX});
}

/* By how help calls a value: "ACCOUNT/APP", "auto|uring|epoll". */
static void offer_values(struct completing *completing, struct slice called)
{
	static const struct {
		const char *called;
		struct cli_request (*list)(void);
		const char *member, *about;
	} kinds[] = {
		{"ACCOUNT", accounts, "name", ""},
		{"ACCOUNT/APP", apps, "app", "id"},
		{"SERVICE", services, "service", "summary"},
		{"SERVICE[:PLAN]", services, "service", "summary"},
		{"SERVICE[:METHODS[:PATH]]", services, "service", "summary"},
		{"ID", keys, "id", "app"},
		{"TOKEN", tokens, "id", "account"},
	};

	if (slice_starts_with(called, slice_of("FILE")))
		text_append_text(completing->lines, CLI_COMPLETE_FILES "\n");
	else if (slice_equal(called, slice_of("DIR")) || slice_equal(called, slice_of("BACKUP")))
		text_append_text(completing->lines, CLI_COMPLETE_FOLDERS "\n");
	else if (called.length > 0 && called.data[0] >= 'a' && called.data[0] <= 'z' &&
		 slice_find_byte(called, '|', 0) < called.length)
		offer_choices(completing, called);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (slice_equal(slice_of(kinds[i].called), called))
			offer_names(completing, kinds[i].list(), kinds[i].member, kinds[i].about);
	}
}

/* ---- options ---- */

static bool may_be_given(const struct completing *completing, const struct cli_option *option)
{
	for (size_t i = 0; i < completing->given_count && !option->repeated; i++) {
		if (strcmp(completing->given[i], option->name) == 0)
			return false;
	}
	return true;
}

static void offer_options(struct completing *completing, const struct cli_option *options,
			  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (may_be_given(completing, &options[i]))
			offer(completing, slice_of(options[i].name), options[i].sentence);
	}
}

/* ---- commands and their arguments ---- */

/* The words that go on with the words of a command's name. */
static void offer_commands(struct completing *completing, const char *const *names, size_t count)
{
	struct slice before = {0};

	for (size_t i = 0; i < cli_command_count && count < 2; i++) {
		const struct cli_command *command = &cli_commands[i];
		struct slice rest = slice_of(command->name);
		struct slice first;
		slice_cut(&rest, ' ', &first);
		if (count == 0 && !slice_equal(first, before))
			offer(completing, first,
			      rest.length == 0 ? command->summary : SUMMARY_OF_GROUP);
		if (count == 1 && rest.length > 0 && slice_equal(first, slice_of(names[0])))
			offer(completing, rest, command->summary);
		before = first;
	}
}

/* How help calls the argument: "ACCOUNT AMOUNT", "[FILE|DIR]". */
static void offer_arguments(struct completing *completing, const struct cli_command *command,
			    size_t at)
{
	struct slice rest = slice_of(command->arguments);
	struct slice called = {0};

	for (size_t i = 0; i <= at; i++) {
		if (!slice_cut(&rest, ' ', &called))
			return;
	}
	if (slice_starts_with(called, slice_of("[")) && slice_ends_with(called, slice_of("]")))
		called = slice_part(called, 1, called.length - 1);
	if (!slice_equal(called, slice_of("COMMAND")))
		offer_values(completing, called);
}

static void offer_words(struct completing *completing)
{
	const char *const *names = completing->names;
	const size_t count = completing->name_count;
	const struct cli_command *command = cli_find_command(names, count);

	if (count > 0 && strcmp(names[0], "help") == 0) {
		offer_commands(completing, names + 1, count - 1);
		return;
	}
	offer_commands(completing, names, count);
	if (command != NULL)
		offer_arguments(completing, command, count - cli_name_words(command));
}

/* ---- the command line ---- */

static void take_word(struct completing *completing, const char *word)
{
	const struct cli_option *option = NULL;

	if (completing->open != NULL) {
		if (strcmp(completing->open->name, "--cloud") == 0)
			completing->cli->folder = word;
		completing->open = NULL;
		return;
	}
	if (!completing->only_words && word[0] == '-' && word[1] != '\0') {
		completing->only_words = strcmp(word, "--") == 0;
		option = cli_find_option(slice_of(word));
		if (option == NULL)
			return;
		check(completing->given_count < CLI_ARGUMENTS_MAX);
		completing->given[completing->given_count++] = option->name;
		completing->open = option->value != NULL ? option : NULL;
		return;
	}
	check(completing->name_count < CLI_ARGUMENTS_MAX);
	completing->names[completing->name_count++] = word;
}

void cli_complete(struct cli *cli, const char *const *words, size_t count, struct text *lines)
{
	struct completing completing = {.cli = cli, .lines = lines};

	check(count <= CLI_ARGUMENTS_MAX);
	for (size_t i = 0; i + 1 < count; i++)
		take_word(&completing, words[i]);
	completing.last = slice_of(count > 0 ? words[count - 1] : "");
	const struct cli_command *command =
		cli_find_command(completing.names, completing.name_count);
	if (completing.open != NULL) {
		offer_values(&completing, slice_of(completing.open->value));
	} else if (!completing.only_words && slice_starts_with(completing.last, slice_of("-"))) {
		if (command != NULL)
			offer_options(&completing, command->options, command->option_count);
		offer_options(&completing, cli_global_options, cli_global_option_count);
	} else {
		offer_words(&completing);
	}
}
