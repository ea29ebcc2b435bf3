/* What the commands share: the table of them, a parsed command line, the API, tables. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/slice.h"
#include "base/text.h"
#include "cli/cli.h"

#define CLI_ARGUMENTS_MAX 32
#define CLI_OPTIONS_MAX   64 /* given on one command line */
#define CLI_ADDRESS_MAX   128
#define CLI_TOKEN_MAX     129
#define CLI_ANSWER_MAX    (256u << 20) /* bytes of one answer */

/* ---- the table of commands ---- */

struct cli_option {
	const char *name;  /* "--as" */
	const char *value; /* how help calls its value; NULL: it has none */
	bool repeated;
	const char *sentence;
	char letter; /* 'i': it may be written -i; 0: it has none */
};

struct cli;

struct cli_command {
	const char *name;      /* "account create" */
	const char *arguments; /* "NAME" */
	const char *summary;   /* one line, no full stop */
	const char *about;     /* what else there is to know, or NULL */
	const char *example;   /* lines as typed, and what they print */
	const struct cli_option *options;
	size_t option_count;
	unsigned least, most;        /* arguments */
	int (*run)(struct cli *cli); /* NULL: it is done elsewhere (struct cli_own_command) */
};

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
/* What every command takes. */
extern const struct cli_option cli_global_options[];
extern const size_t cli_global_option_count;

/* ---- a command line ---- */

struct cli {
	const struct cli_command *command;
	const char *folder; /* of the cloud */
	bool json;
	bool help;
	bool version;
	const char *words[CLI_ARGUMENTS_MAX]; /* all that is no option */
	size_t word_count;
	const char *const *arguments; /* the words behind the command's */
	size_t argument_count;
	struct cli_given {
		const char *name;
		const char *value; /* NULL: an option without */
	} given[CLI_OPTIONS_MAX];
	size_t given_count;

	/* the API, once it was asked */
	void *curl;
	char address[CLI_ADDRESS_MAX];
	char token[CLI_TOKEN_MAX];
	uint32_t timeout_ms; /* of a request; 0: none */
	bool given_again;    /* the last answer is that of an earlier request with the same key */

	/* progress of what takes longer than a second */
	uint64_t done, total; /* parts, where it has some */
	uint64_t begun_ns;    /* monotonic; 0: nobody looks */
	uint64_t told_ns;
	bool is_told; /* a line stands there */
};

/* Splits into words and options; CLI_DONE, or CLI_WRONG_USAGE after telling. */
int cli_parse(struct cli *cli, int argc, char **argv);
/* Finds the command of the words and checks arguments and options against it. */
int cli_parse_command(struct cli *cli);
/* An option of any command, by its name or "-n" by its letter; NULL where there is none. */
const struct cli_option *cli_find_option(struct slice name);
/* Ends the word at the mark; returns what stood behind it, NULL where there is no mark. */
char *cli_split(char *word, char mark);
/* Who lost a key or a token (the kind) has its text at hand, which no path of the API should hold
 * in place of its id. The lists show the text's first or last letters (shown). CLI_WRONG_USAGE
 * after telling. */
int cli_check_id(const struct cli *cli, const char *kind, const char *shown);
/* UTF-8 without a NUL in it: JSON holds nothing else. */
bool cli_is_text(struct slice text);
/* Whether an option without a value was given. */
bool cli_has_option(const struct cli *cli, const char *name);

/* The command that the words begin with, by the longest name; NULL where there is none. */
const struct cli_command *cli_find_command(const char *const *words, size_t count);
/* How many words its name has. */
size_t cli_name_words(const struct cli_command *command);
/* Whether commands of two words begin with it. */
bool cli_has_group(const char *word);
/* Tells that no command begins with the words, and the nearest one. */
int cli_unknown_command(struct cli *cli, const char *const *words, size_t count);

/* Help on the command, or group of commands, that the words name; without words on all. */
int cli_help_words(struct cli *cli, const char *const *words, size_t count);

/* Appends what may stand in place of the last word, one a line: a word, a tab and what it is; or
 * one of these, where files or folders may. It may ask the cloud, for at most two seconds. */
#define CLI_COMPLETE_FILES   ":files"
#define CLI_COMPLETE_FOLDERS ":folders"
void cli_complete(struct cli *cli, const char *const *words, size_t count, struct text *lines);

/* Appends docs/cli.md. */
void cli_document(struct text *text);

/* ---- the API ---- */

/* A request of one of the API's routes, made by the route's function in cli/routes.h, which the
 * build writes from the API's own table: so a route or an argument that is not there does not
 * compile. It is consumed by what asks. */
struct cli_request {
	const char *method;
	struct text path; /* with the query, escaped */
	json_t *body;     /* NULL: the route takes none */
	const char *type; /* "Content-Type: ..", where the body is no application/json */
	char *header;     /* "Name: value"; NULL: none */
	bool has_pages;   /* it takes `after` and `limit` */
};

/* For those functions only. What is not given (NULL, 0, false) is left out, but in a path. */
struct cli_request cli_request_make(const char *method, bool takes_body, bool has_pages);
void cli_request_fini(struct cli_request *request);
void cli_request_path(struct cli_request *request, const char *segment);
void cli_request_path_count(struct cli_request *request, uint64_t segment);
void cli_request_query(struct cli_request *request, const char *name, const char *value);
void cli_request_query_count(struct cli_request *request, const char *name, uint64_t value);
void cli_request_body(struct cli_request *request, const char *name, const char *value);
void cli_request_body_count(struct cli_request *request, const char *name, uint64_t value);
void cli_request_body_flag(struct cli_request *request, const char *name, bool value);
/* Steals `texts`. */
void cli_request_body_texts(struct cli_request *request, const char *name, json_t *texts);
void cli_request_header(struct cli_request *request, const char *name, const char *value);

/* Reads DIR/api.address and DIR/admin.token. Told on standard error where it fails. */
int cli_connect(struct cli *cli);
/* *ret_answer is the JSON of a 2xx answer, a new reference; anything else is told on standard
 * error and gives CLI_FAILED. */
int cli_ask(struct cli *cli, struct cli_request request, json_t **ret_answer);
/* A document that is no JSON. *ret_answer is set up in any case and the caller's to free. */
int cli_ask_text(struct cli *cli, struct cli_request request, struct text *ret_answer);
/* The same into a file, whatever its length. */
int cli_download(struct cli *cli, struct cli_request request, FILE *file);
/* Page by page to the end of the answers' list of this name, which may be larger than memory. */
typedef void (*cli_page_fn)(void *context, json_t *answer);
int cli_ask_pages(struct cli *cli, struct cli_request request, const char *list, cli_page_fn page,
		  void *context);
/* Around what may take longer than a second: a line that is written over on a terminal's standard
 * error. What has parts counts them in cli->done and ->total. cli_ask does it by itself. */
void cli_progress_begin(struct cli *cli);
void cli_progress_show(struct cli *cli);
void cli_progress_end(struct cli *cli);
/* The last page's answer, with all pages' items in its list. */
int cli_ask_list(struct cli *cli, struct cli_request request, const char *list,
		 json_t **ret_answer);
void cli_disconnect(struct cli *cli);

/* ---- printing ---- */

/* One line of JSON on standard output. */
void cli_print_json(const json_t *json);
/* A member's text, "" where it is missing or null. */
const char *cli_text(const json_t *object, const char *name);
int64_t cli_number(const json_t *object, const char *name);
/* "2026-11-24T04:10:57.123Z" as "2026-11-24 04:10:57 UTC"; "-" for none. */
#define CLI_TIME_MAX 40
const char *cli_time(const json_t *object, const char *name, char text[CLI_TIME_MAX]);

/* Of commands with --wait: how long to wait, 0: not; and what the answer says about it. */
uint64_t cli_wait_ms(const struct cli *cli);
int cli_tell_applied(const struct cli *cli, const json_t *answer);

#define CLI_COLUMNS_MAX 12

enum cli_align {
	CLI_LEFT,
	CLI_RIGHT,
	CLI_MONEY, /* amounts: right, and with as many places as the longest */
	CLI_TIME,  /* left; cli_table_print makes it of the API's text */
};

struct cli_column {
	const char *title;
	enum cli_align align;
	const char *member; /* of an item, for cli_table_print */
};

struct cli_table {
	const struct cli_column *columns;
	size_t column_count;
	const char *unit; /* behind amounts, "USD" */
	char **cells;
	size_t cell_count, cell_capacity;
};

void cli_table_begin(struct cli_table *table, const struct cli_column *columns, size_t column_count,
		     const char *unit);
/* Cells come row by row. Amounts are decimal texts. */
void cli_table_add(struct cli_table *table, const char *cell);
void cli_table_add_number(struct cli_table *table, int64_t number);
/* Prints and frees it. */
void cli_table_end(struct cli_table *table);
/* A row an item, a cell a member: a text, a number, or nothing where it is null. Amounts are in the
 * items' `currency`. */
void cli_table_print(const json_t *items, const struct cli_column *columns, size_t column_count);

/* "; dearer or less: calls, quota", or nothing where nothing is. */
void cli_print_dearer(const json_t *move);
/* A line for each plan version that was announced to a subscription; nulls are none. */
void cli_print_moves(const json_t *moves);

/* ---- commands, one file each ---- */

int cli_account_create(struct cli *cli);
int cli_account_list(struct cli *cli);
int cli_fund(struct cli *cli);
int cli_app_create(struct cli *cli);
int cli_app_list(struct cli *cli);
int cli_key_create(struct cli *cli);
int cli_key_list(struct cli *cli);
int cli_key_rotate(struct cli *cli);
int cli_key_revoke(struct cli *cli);
int cli_publish(struct cli *cli);
int cli_subscribe(struct cli *cli);
int cli_unsubscribe(struct cli *cli);
int cli_subscription_list(struct cli *cli);
int cli_budget_set(struct cli *cli);
int cli_budget_show(struct cli *cli);
int cli_budget_remove(struct cli *cli);
int cli_catalog_list(struct cli *cli);
int cli_catalog_search(struct cli *cli);
int cli_catalog_show(struct cli *cli);
int cli_call(struct cli *cli);
int cli_usage(struct cli *cli);
int cli_price(struct cli *cli);
int cli_usage_report(struct cli *cli);
int cli_token_create(struct cli *cli);
int cli_token_list(struct cli *cli);
int cli_token_revoke(struct cli *cli);
int cli_statement(struct cli *cli);
int cli_receipt(struct cli *cli);
int cli_verify(struct cli *cli);
int cli_ledger(struct cli *cli);
int cli_ledger_transfers(struct cli *cli);
int cli_ledger_export(struct cli *cli);
int cli_journal_cat(struct cli *cli);
int cli_changes(struct cli *cli);
int cli_status(struct cli *cli);
int cli_metrics(struct cli *cli);
int cli_identity_show(struct cli *cli);
int cli_identity_rotate(struct cli *cli);
int cli_tls_client(struct cli *cli);
int cli_tls_map(struct cli *cli);
int cli_tls_list(struct cli *cli);
int cli_tls_show(struct cli *cli);
int cli_tls_reload(struct cli *cli);
int cli_logs(struct cli *cli);
int cli_completion(struct cli *cli);
int cli_help(struct cli *cli);
