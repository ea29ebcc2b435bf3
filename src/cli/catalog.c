#include "cli/cli_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/amount.h"
#include "cli/routes.h"

/* ---- the list ---- */

static void print_services(const json_t *items)
{
	static const struct cli_column columns[] = {
		{"SERVICE", CLI_LEFT, "service"},
		{"VERSION", CLI_LEFT, "version"},
		{"PROVIDER", CLI_LEFT, "account"},
		{"SUMMARY", CLI_LEFT, "summary"},
	};

	cli_table_print(items, columns, sizeof(columns) / sizeof(columns[0]));
}

static int list(struct cli *cli, const char *words)
{
	json_t *answer = NULL;
	const int status = cli_ask_list(
		cli, route_services_list((struct route_services_list){.search = words}), "items",
		&answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_services(json_object_get(answer, "items"));
	if (status == CLI_DONE && words != NULL && !cli->json &&
	    json_array_size(json_object_get(answer, "items")) == 0)
		cli_fail(cli, "nothing matches \"%s\"", words);
	json_decref(answer);
	return status;
}

int cli_catalog_list(struct cli *cli)
{
	return list(cli, NULL);
}

int cli_catalog_search(struct cli *cli)
{
	struct text words;

	text_init(&words, 1024);
	for (size_t i = 0; i < cli->argument_count; i++)
		text_printf(&words, "%s%s", i > 0 ? " " : "", cli->arguments[i]);
	const int status =
		words.failed ? cli_misuse(cli, "the words are too long") : list(cli, words.data);
	text_fini(&words);
	return status;
}

/* ---- one service ---- */

static void print_rate(const json_t *rate, const char *currency)
{
	const int64_t per = cli_number(rate, "per");

	printf("%s %s", cli_text(rate, "price"), currency);
	if (per > 1)
		printf(" per %" PRId64, per);
}

static void print_price(const json_t *price, const char *currency)
{
	const int64_t free_units = cli_number(price, "free");
	const json_t *tiers = json_object_get(price, "tiers");
	const json_t *tier;
	size_t i;

	printf("    %-16s %s", cli_text(price, "meter"), cli_text(price, "model"));
	if (cli_text(price, "price")[0] != '\0') {
		fputs(", ", stdout);
		print_rate(price, currency);
	}
	if (free_units > 0)
		printf(", the first %" PRId64 " free", free_units);
	if (json_object_get(price, "minimum") != NULL)
		printf(", at least %s %s in a month of use", cli_text(price, "minimum"), currency);
	putchar('\n');
	json_array_foreach(tiers, i, tier)
	{
		printf("    %-16s   ", "");
		print_rate(tier, currency);
		if (json_is_integer(json_object_get(tier, "up_to")))
			printf(" up to %" PRId64, cli_number(tier, "up_to"));
		putchar('\n');
	}
}

static void print_limits(const json_t *limits)
{
	const int64_t rate = cli_number(limits, "rate_calls");
	const int64_t concurrency = cli_number(limits, "concurrency");
	const json_t *quota = json_object_get(limits, "quota_calls_month");

	fputs("    limits           ", stdout);
	if (rate > 0)
		printf("%" PRId64 " calls per %s, bursts of %" PRId64 "; ", rate,
		       cli_text(limits, "rate_per"), cli_number(limits, "burst"));
	if (json_is_integer(quota))
		printf("%" PRId64 " calls a month; ", (int64_t)json_integer_value(quota));
	if (concurrency > 0)
		printf("%" PRId64 " at once; ", concurrency);
	printf("answered within %s\n", cli_text(limits, "timeout"));
}

static void print_discounts(const json_t *plan, const char *currency)
{
	const int64_t ppm = cli_number(plan, "discount_ppm");
	char percent[AMOUNT_TEXT_MAX];

	amount_format(amount_nano(ppm * (AMOUNT_NANO_PER_UNIT / 10000)), percent);
	if (ppm > 0)
		printf("    discount         %s%% off a month's usage\n", percent);
	if (json_object_get(plan, "discount") != NULL)
		printf("    discount         %s %s off %s\n", cli_text(plan, "discount"), currency,
		       ppm > 0 ? "what is left of it" : "a month's usage");
}

static void print_plan(const json_t *plan, const char *currency)
{
	const json_t *price;
	size_t i;

	printf("  plan %s, version %" PRId64 "\n", cli_text(plan, "name"),
	       cli_number(plan, "version"));
	json_array_foreach(json_object_get(plan, "prices"), i, price) print_price(price, currency);
	print_discounts(plan, currency);
	printf("    a call costs     at most %s %s; billed when %s\n", cli_text(plan, "call_most"),
	       currency,
	       strcmp(cli_text(plan, "bill_on"), "always") == 0 ? "it was forwarded"
								: "answered below 500");
	print_limits(json_object_get(plan, "limits"));
	printf("    gets dearer      with %s notice at least, at a month's start\n",
	       cli_text(plan, "notice"));
	if (cli_text(plan, "effective")[0] != '\0')
		printf("    for who has an earlier version from %.10s on\n",
		       cli_text(plan, "effective"));
}

static void print_tls(const json_t *tls)
{
	const json_t *names = json_object_get(tls, "verified_as");
	const json_t *name;
	size_t i;

	if (tls == NULL)
		return;
	fputs("  tls: yes, verified as ", stdout);
	json_array_foreach(names, i, name)
		printf("%s%s", i > 0 ? " or " : "", json_string_value(name));
	printf(", by %s authorities%s\n", cli_text(tls, "authorities"),
	       json_is_true(json_object_get(tls, "client_certificate"))
		       ? "; the cloud shows a certificate"
		       : "");
}

static void print_service(const json_t *service)
{
	const json_t *plan;
	size_t i;

	printf("%s %s by %s\n", cli_text(service, "service"), cli_text(service, "version"),
	       cli_text(service, "account"));
	if (cli_text(service, "summary")[0] != '\0')
		printf("%s\n", cli_text(service, "summary"));
	print_tls(json_object_get(service, "tls"));
	json_array_foreach(json_object_get(service, "plans"), i, plan)
		print_plan(plan, cli_text(service, "currency"));
}

int cli_catalog_show(struct cli *cli)
{
	json_t *answer = NULL;
	const int status = cli_ask(
		cli, route_services_show((struct route_services_show){.name = cli->arguments[0]}),
		&answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		print_service(answer);
	json_decref(answer);
	return status;
}
