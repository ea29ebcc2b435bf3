/*
 * The examples of docs/billing.md, recomputed by the code that bills. A table with the mark
 * `<!-- example: KIND .. -->` before it is one; prices are those of the last yaml block, the rate
 * card is the last card's. The document's path is the argument.
 */
#include "billing/billing.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/disk.h"
#include "base/text.h"
#include "base/units.h"
#include "billing/billing_testing.h"
#include "catalog/catalog.h"

#define COLUMNS_MAX 10
#define BYTES_MAX   (1u << 20)
#define MANIFEST_HEAD \
	"service: a\nversion: 1.0.0\nrun: {command: [./a]}\nmeters: {pixels: {}}\nplans:\n  p:\n"

static const char *document_path;

struct row {
	struct slice cells[COLUMNS_MAX];
	size_t count;
};

struct example {
	struct slice kind;
	struct slice arguments;
	struct row head;
	size_t line;
	/* What rows add up to. */
	struct rating_quantities used;
	struct rating_cloud_quantities cloud_used;
	struct testing *world;
};

static struct rating_plan plan;
static struct rating_card card;
static size_t rows_checked;

/* ---- reading ---- */

static void read_plan(struct slice block)
{
	struct catalog_manifest *manifest = NULL;
	struct catalog_complaints complaints;
	struct fault fault;
	struct slice line;
	struct text text;

	text_init(&text, BYTES_MAX);
	text_append_text(&text, MANIFEST_HEAD);
	while (slice_cut(&block, '\n', &line))
		text_printf(&text, "    %.*s\n", SLICE_ARGS(line));
	/* No call in the examples is dearer than this. */
	if (strstr(text.data, "max_charge") == NULL)
		text_append_text(&text, "    max_charge: 1000000.00\n");
	if (catalog_manifest_parse("billing.md", text_slice(&text), &manifest, &complaints,
				   &fault) < 0)
		fail_msg("%s\n%s", fault.text, text.data);
	plan = manifest->plans[0].terms.rating;
	catalog_manifest_free(manifest);
	text_fini(&text);
}

static struct row read_row(struct slice line)
{
	struct row row = {0};
	struct slice cell;

	slice_cut(&line, '|', &cell);
	while (slice_cut(&line, '|', &cell)) {
		assert_true(row.count < COLUMNS_MAX);
		row.cells[row.count++] = slice_trim(cell);
	}
	return row;
}

static int64_t count_of(struct slice text)
{
	uint64_t count = 0;

	if (!slice_to_u64(text, INT64_MAX, &count))
		fail_msg("\"%.*s\" is no count", SLICE_ARGS(text));
	return (int64_t)count;
}

static int64_t nano_of(struct slice text)
{
	struct amount amount = {0};

	if (!amount_parse(text, &amount))
		fail_msg("\"%.*s\" is no amount", SLICE_ARGS(text));
	return amount.nano;
}

/* "3%" gives 30000. */
static uint32_t ppm_of(struct slice text)
{
	int64_t value = 0;

	if (!slice_ends_with(text, slice_of("%")) ||
	    !units_parse_decimal(slice_part(text, 0, text.length - 1), 4, &value))
		fail_msg("\"%.*s\" is no percentage", SLICE_ARGS(text));
	return (uint32_t)value;
}

static struct slice argument(const struct example *example, const char *name)
{
	struct slice rest = example->arguments;
	struct slice word;

	while (slice_cut(&rest, ' ', &word)) {
		struct slice value = word;
		struct slice key;
		slice_cut(&value, '=', &key);
		if (slice_equal(key, slice_of(name)))
			return value;
	}
	fail_msg("the example has no %s", name);
	return (struct slice){0};
}

static struct slice cell_of(const struct example *example, const struct row *row, const char *name)
{
	for (size_t i = 0; i < example->head.count && i < row->count; i++) {
		if (slice_equal(example->head.cells[i], slice_of(name)))
			return row->cells[i];
	}
	fail_msg("line %zu: no column %s", example->line, name);
	return (struct slice){0};
}

static void expect(const struct example *example, const struct row *row, const char *name,
		   int64_t nano)
{
	char text[AMOUNT_TEXT_MAX];

	amount_format(amount_nano(nano), text);
	if (nano_of(cell_of(example, row, name)) != nano)
		fail_msg("line %zu: %s is %s, not %.*s", example->line, name, text,
			 SLICE_ARGS(cell_of(example, row, name)));
}

/* The columns that are called as meters. */
static struct rating_quantities quantities_of(const struct example *example, const struct row *row)
{
	struct rating_quantities quantities = {0};

	for (size_t i = 0; i < example->head.count; i++) {
		const struct slice name = example->head.cells[i];
		if (slice_equal(name, slice_of("pixels")))
			quantities.of[RATING_UNIT_0] = count_of(row->cells[i]);
		for (int meter = 0; meter < RATING_UNIT_0; meter++) {
			const char *known = rating_meter_name((enum rating_meter)meter);
			if (slice_equal(name, slice_of(known)))
				quantities.of[meter] = count_of(row->cells[i]);
		}
	}
	return quantities;
}

/* ---- the kinds of examples ---- */

static void check_usage(struct example *example, const struct row *row)
{
	const struct rating_quantities quantities = quantities_of(example, row);
	int64_t nano;

	assert_true(rating_plan_charge(&plan, &quantities, &nano));
	expect(example, row, "usage", nano);
}

static void check_call(struct example *example, const struct row *row)
{
	struct rating_quantities call = quantities_of(example, row);
	int64_t nano;
	int64_t so_far;

	rating_call_cap(&plan, &call);
	assert_true(rating_plan_advance(&plan, &example->used, &call, &nano));
	assert_true(rating_plan_charge(&plan, &example->used, &so_far));
	expect(example, row, "charge", nano);
	expect(example, row, "so far", so_far);
}

static void check_card(struct example *example, const struct row *row)
{
	static const struct {
		const char *name;
		enum rating_cloud_meter meter;
		int64_t per;
	} rates[] = {
		{"call", RATING_CLOUD_CALLS, 1},
		{"gib_second", RATING_CLOUD_MIB_US, RATING_MIB_US_PER_GIB_SECOND},
		{"vcpu_second", RATING_CLOUD_MCPU_US, RATING_MCPU_US_PER_VCPU_SECOND},
		{"gib host", RATING_CLOUD_BYTES_HOST, RATING_BYTES_PER_GIB},
		{"gib zone", RATING_CLOUD_BYTES_ZONE, RATING_BYTES_PER_GIB},
		{"gib cloud", RATING_CLOUD_BYTES_CLOUD, RATING_BYTES_PER_GIB},
		{"gib intercloud", RATING_CLOUD_BYTES_INTERCLOUD, RATING_BYTES_PER_GIB},
	};
	bool known = false;

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		if (!slice_equal(cell_of(example, row, "rate"), slice_of(rates[i].name)))
			continue;
		card.of[rates[i].meter] =
			(struct rating_rate){nano_of(cell_of(example, row, "price")), rates[i].per};
		known = true;
	}
	assert_true(known);
}

static void check_cloud(struct example *example, const struct row *row)
{
	static const char *const paths[RATING_PATHS] = {"host", "zone", "cloud", "intercloud"};
	const int64_t calls = count_of(cell_of(example, row, "calls"));
	struct rating_cloud_quantities call;
	struct rating_cloud_quantities sum = {0};
	int64_t charged = 0;
	int64_t nano;
	int path = 0;

	while (path < RATING_PATHS &&
	       !slice_equal(cell_of(example, row, "path"), slice_of(paths[path])))
		path++;
	assert_in_range(path, 0, RATING_PATHS - 1);
	rating_cloud_of_call((uint32_t)count_of(cell_of(example, row, "memory_mib")),
			     (uint32_t)count_of(cell_of(example, row, "cpu_milli")),
			     (uint32_t)count_of(cell_of(example, row, "concurrency")),
			     (uint64_t)count_of(cell_of(example, row, "service_us")),
			     (enum rating_path)path,
			     (uint64_t)count_of(cell_of(example, row, "bytes")), &call);
	for (int64_t i = 0; i < calls; i++) {
		assert_true(rating_cloud_advance(&card, &sum, &call, &nano));
		charged += nano;
	}
	expect(example, row, "cloud", charged);
}

static void check_fee(struct example *example, const struct row *row)
{
	int64_t nano;

	assert_true(rating_fee(nano_of(cell_of(example, row, "usage")), ppm_of(example->arguments),
			       &nano));
	expect(example, row, "fee", nano);
}

/* A cloud of its own: the calls are made and posted, then each row looks at a balance. */
static void ledger_begin(struct example *example)
{
	struct testing *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	testing_init(world);
	world->options.card = card;
	world->options.fee_ppm = ppm_of(argument(example, "fee"));
	struct testing_subscription *subscription =
		testing_subscribe(world, "caller", "provider", &plan);
	testing_fund(world, "caller", nano_of(argument(example, "funded")));
	testing_start(world);
	for (int64_t i = count_of(argument(example, "calls")); i > 0; i--) {
		struct testing_call call = {.subscription = subscription,
					    .status = 200,
					    .service_us = 20000,
					    .request_bytes = 90000,
					    .response_bytes = 10000,
					    .memory_mib_us = 128 * 20000 / 8,
					    .cpu_milli_us = 500 * 20000 / 8};
		testing_settle(world, &call, (uint32_t)i % TESTING_STREAMS);
		if (i % 77 == 0)
			testing_post(world);
	}
	testing_post(world);
	testing_audit(world);
	example->world = world;
}

static void check_ledger(struct example *example, const struct row *row)
{
	char name[LEDGER_NAME_MAX];

	assert_true(slice_to_text(cell_of(example, row, "account"), name, sizeof(name)));
	expect(example, row, "balance", testing_balance(example->world, LEDGER_MONEY, name));
}

static const struct kind {
	const char *name;
	void (*begin)(struct example *example);
	void (*row)(struct example *example, const struct row *row);
} kinds[] = {
	{"usage", NULL, check_usage}, {"calls", NULL, check_call},
	{"card", NULL, check_card},   {"cloud", NULL, check_cloud},
	{"fee", NULL, check_fee},     {"ledger", ledger_begin, check_ledger},
};

/* ---- the document ---- */

static const struct kind *kind_of(const struct example *example)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (slice_equal(example->kind, slice_of(kinds[i].name)))
			return &kinds[i];
	}
	fail_msg("line %zu: no example is called %.*s", example->line, SLICE_ARGS(example->kind));
	return kinds;
}

/* `rest` stands behind the mark's line. */
static void check_table(struct example *example, struct slice rest)
{
	const struct kind *kind = kind_of(example);
	struct slice line;
	size_t rows = 0;

	assert_true(slice_cut(&rest, '\n', &line));
	example->head = read_row(line);
	assert_true(slice_cut(&rest, '\n', &line));
	assert_true(slice_starts_with(line, slice_of("|---")));
	if (kind->begin != NULL)
		kind->begin(example);
	example->line += 2;
	while (slice_cut(&rest, '\n', &line) && slice_starts_with(line, slice_of("|"))) {
		const struct row row = read_row(line);
		example->line++;
		assert_int_equal(row.count, example->head.count);
		kind->row(example, &row);
		rows++;
	}
	assert_true(rows > 0);
	rows_checked += rows;
	if (example->world != NULL)
		testing_fini(example->world);
	free(example->world);
}

static void every_example_comes_out_as_the_document_says(void **state)
{
	static const char mark[] = "<!-- example: ";
	struct fault fault;
	struct slice line;
	size_t length;
	size_t number = 0;
	char *text;

	(void)state;
	for (int i = 0; i < RATING_CLOUD_METERS; i++)
		card.of[i].per = 1;
	assert_int_equal(disk_read_file(document_path, BYTES_MAX, &text, &length, &fault), 0);
	struct slice rest = slice_make(text, length);
	while (slice_cut(&rest, '\n', &line)) {
		number++;
		if (slice_equal(line, slice_of("```yaml")))
			read_plan(slice_make(rest.data,
					     (size_t)(strstr(rest.data, "```") - rest.data)));
		if (!slice_starts_with(line, slice_of(mark)))
			continue;
		struct slice words = slice_part(line, strlen(mark), line.length - strlen(" -->"));
		struct example example = {.line = number};
		slice_cut(&words, ' ', &example.kind);
		example.arguments = words;
		check_table(&example, rest);
	}
	assert_true(rows_checked >= 40);
	free(text);
}

int main(int argument_count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_example_comes_out_as_the_document_says),
	};

	if (argument_count != 2)
		return 2;
	document_path = arguments[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
