/* Usage that was not told with a call, reported as one CloudEvent. */
#include "cli/cli_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/random.h"
#include "cli/routes.h"

#define UNIT_NAME_MAX 64
#define ID_MAX        24

/* "jobs=3" */
static int add_unit(struct cli *cli, json_t *units, const char *word)
{
	struct slice quantity = slice_of(word), name;
	char text[UNIT_NAME_MAX];
	uint64_t number;

	slice_cut(&quantity, '=', &name);
	if (name.length == 0 || !slice_to_text(name, text, sizeof(text)) ||
	    !slice_to_u64(quantity, INT64_MAX, &number))
		return cli_misuse(cli,
				  "\"%s\" is no UNIT=QUANTITY such as jobs=3, with a whole "
				  "number",
				  word);
	if (json_object_get(units, text) != NULL)
		return cli_misuse(cli, "%s is given twice", text);
	json_object_set_new(units, text, json_integer((json_int_t)number));
	return CLI_DONE;
}

static json_t *event_of(const struct cli *cli, json_t *units)
{
	const char *id = cli_option(cli, "--id"), *time = cli_option(cli, "--time");
	const char *source = cli_option(cli, "--source");
	char made[ID_MAX];

	snprintf(made, sizeof(made), "%016" PRIx64, random_u64(random_system()));
	json_t *event =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:O}}", "specversion", "1.0", "type",
			  "stoa.usage.v1", "source", source != NULL ? source : "/stoa/cli", "id",
			  id != NULL ? id : made, "subject", cli->arguments[0], "data", "service",
			  cli->arguments[1], "units", units);
	if (time != NULL)
		json_object_set_new(event, "time", json_string(time));
	return event;
}

static void tell(const struct cli *cli, const json_t *answer)
{
	const json_t *result = json_array_get(json_object_get(answer, "results"), 0);
	const char *status = cli_text(result, "status");

	if (cli->json)
		cli_print_json(result);
	else
		printf("%s %s: %s %s of %s, record %s\n", cli_text(result, "id"),
		       status[0] == 'a' ? "is on record" : "was on record already",
		       cli_text(result, "charge"), cli_text(answer, "currency"), cli->arguments[0],
		       cli_text(result, "call"));
}

int cli_usage_report(struct cli *cli)
{
	struct cli_request request;
	json_t *units = json_object(), *answer = NULL;
	int status = CLI_DONE;

	for (size_t i = 2; status == CLI_DONE && i < cli->argument_count; i++)
		status = add_unit(cli, units, cli->arguments[i]);
	if (status == CLI_DONE) {
		request = route_usage_report();
		json_decref(request.body);
		request.body = event_of(cli, units);
		request.type = "Content-Type: application/cloudevents+json";
		status = cli_ask(cli, request, &answer);
	}
	if (status == CLI_DONE)
		tell(cli, answer);
	json_decref(answer);
	json_decref(units);
	return status;
}
