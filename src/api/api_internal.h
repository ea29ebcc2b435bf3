/* What the files of the API share: a request's life, its arguments, its answer, the routes. */
#pragma once

#include <stdbool.h>

#include "api/api.h"
#include "base/amount.h"
#include "base/api_key.h"
#include "base/arena.h"
#include "base/text.h"
#include "http/http.h"
#include "ledger/ledger.h"

#define API_LISTENERS_MAX 8
#define API_ARGUMENTS_MAX 12  /* of a route */
#define API_SEGMENTS_MAX  8   /* of a path */
#define API_POINTER_MAX   160 /* bytes of a JSON pointer or a parameter's name, with the NUL */
#define API_ARENA_BYTES   (64u << 10) /* of one request, beside its body and answer */
#define API_ANSWER_MAX    (256u << 20)
#define API_KEPT_NS       (24 * 3600 * CLOCK_NS_PER_S) /* an answer, under its key */
#define API_PAGE_DEFAULT  100
#define API_KEYS_MAX      10000 /* made by one request */
#define API_ERRORS_MAX    16    /* about arguments, told at once */
#define API_LINES_MAX     10000 /* of a log, in one answer */
#define API_POINTS_MAX    1500  /* of a series, in one answer: a day of minutes */

struct api_listener {
	struct loop_listener listener;
	struct api *api;
};

struct api {
	struct loop *loop;
	struct api_options options; /* texts are the API's own */
	struct api_key_digest token, metrics_token;
	struct http_server *server;
	struct ledger *ledger;
	struct api_listener listeners[API_LISTENERS_MAX];
	uint32_t listener_count;
	uint32_t stopping; /* what api_stop still waits for */
	void (*on_stopped)(void *context);
	void *stopped_context;
	struct loop_message stopped;
};

/* ---- problems: name, status, type, title ---- */

#define API_PROBLEM_PREFIX "urn:stoa:problem:"

#define API_PROBLEMS(X)                                                                        \
	X(API_UNAUTHORIZED, 401, "admin-token-needed", "The admin token is missing or wrong")  \
	X(API_NO_ROUTE, 404, "no-such-route", "The API has no such path")                      \
	X(API_METHOD, 405, "method-not-allowed", "The path does not know this method")         \
	X(API_MEDIA_TYPE, 415, "media-type", "The body must be application/json")              \
	X(API_MALFORMED, 400, "malformed-body", "The body is not what the route takes")        \
	X(API_ARGUMENT, 422, "invalid-argument", "An argument is not allowed")                 \
	X(API_MANIFEST, 422, "invalid-manifest", "The manifest is not valid")                  \
	X(API_NOT_FOUND, 404, "not-found", "What was named is not there")                      \
	X(API_CONFLICT, 409, "conflict", "It is there already, and different")                 \
	X(API_KEY_REUSED, 422, "idempotency-key-reused",                                       \
	  "The Idempotency-Key was used for another request")                                  \
	X(API_REFUSED, 403, "refused", "A rule forbids it")                                    \
	X(API_PAYMENT, 402, "payment-required", "The balance or the budget does not cover it") \
	X(API_LIMIT, 422, "limit-reached", "A limit of the cloud is reached")                  \
	X(API_BUSY, 503, "busy", "The store is busy; try again")                               \
	X(API_STORE, 503, "store-unavailable",                                                 \
	  "The store cannot be read or written; GET /v1/status says more")                     \
	X(API_INTERNAL, 500, "internal", "The cloud could not do it")                          \
	X(API_REQUEST, 400, "request-invalid", "The request is not valid HTTP, or beyond a limit")

enum api_problem {
#define X(name, status, type, title) name,
	API_PROBLEMS(X)
#undef X
		API_PROBLEM_COUNT
};

struct api_problem_text {
	unsigned status;
	const char *type; /* without the prefix */
	const char *title;
};

const struct api_problem_text *api_problem_text(enum api_problem problem);

/* ---- routes ---- */

enum api_place { API_PATH, API_QUERY, API_BODY, API_HEADER };

enum api_kind {
	API_TEXT,   /* most: bytes */
	API_TEXTS,  /* a list of texts; most: how many */
	API_AMOUNT, /* a decimal text, never below zero */
	API_COUNT,  /* a whole number, least .. most */
	API_CHOICE, /* one of `choices` */
	API_MONTH,  /* "2026-11" */
	API_EXPIRY, /* a time (RFC 3339) or a duration from now on ("30d") */
	API_FLAG,   /* true or false */
	API_PAST,   /* a time (RFC 3339) or a duration back from now ("24h") */
};

struct api_argument {
	const char *name;
	enum api_place place;
	enum api_kind kind;
	bool required; /* those of the path are there always */
	int64_t least, most;
	const char *const *choices; /* NULL-terminated */
	const char *sentence;
};

struct api_request;

/* Fills request->answer, and request->status where it is not 200; or answers a problem itself and
 * returns 0. A fault becomes a problem;
 * request->at says which argument is at fault, if one is. */
typedef int (*api_handler_fn)(struct api_request *request, struct fault *fault);

enum api_route_flag {
	API_OPEN = 1 << 0,    /* answered without a token */
	API_MAKES = 1 << 1,   /* answers 201 where it made something, 200 where that was there */
	API_METRICS = 1 << 3, /* answers a plain text; the metrics token is enough */
	API_LISTS = 1 << 2,   /* answers a list, {"items": [...], "next": ...} */
	API_PLAIN = 1 << 4,   /* answers a plain text */
	API_EVENTS = 1 << 5,  /* its body is CloudEvents (event.h); a provider's token is enough */
};

struct api_route {
	const char *method;
	const char *path; /* "/v1/accounts/{account}/funds" */
	const char *sentence;
	unsigned flags;
	const struct api_argument *arguments;
	size_t argument_count;
	const char *answer; /* the schema (schemas.h) of the answer, or of a list's items; NULL:
			       a document with a format of its own */
	uint32_t problems;  /* 1 << enum api_problem, beside what any request may meet */
	const char *name;   /* of the operation, "accounts_fund" */
	api_handler_fn handler;
};

extern const struct api_route api_routes[];
extern const size_t api_route_count;

/* The route for a method and a path, whose {names} are decoded into *segments in their order.
 * NULL where there is none; *ret_allowed then has the methods that the path knows ("" : the path
 * is unknown). */
#define API_ALLOWED_MAX 64
const struct api_route *api_route_find(struct slice method, struct slice path, struct arena *arena,
				       struct slice segments[API_SEGMENTS_MAX],
				       char ret_allowed[API_ALLOWED_MAX]);
/* NULL where the route has none of the name there. */
const struct api_argument *api_route_find_argument(const struct api_route *route,
						   enum api_place place, struct slice name);
bool api_route_takes_body(const struct api_route *route);
/* The Content-Type of its answers that are no problems. */
const char *api_route_media_type(const struct api_route *route);
/* All problems that it may answer with. */
uint32_t api_route_problems(const struct api_route *route);
/* The OpenAPI 3.1 document of all routes; a new reference. */
json_t *api_openapi(void);
/* Appends docs/api.md. */
void api_routes_document(struct text *text);

/* ---- a request ---- */

struct api_value {
	bool given;
	struct slice text; /* TEXT */
	uint64_t number; /* COUNT; CHOICE: the index; MONTH; EXPIRY, PAST: Unix ns; FLAG: 1 or 0 */
	struct amount amount;
	const struct slice *texts; /* TEXTS */
	size_t text_count;
};

/* What a request changed, for the change log. */
struct api_change_note {
	const char *kind; /* one of api_change_kinds; NULL: nothing was changed */
	char name[CATALOG_VALUE_MAX];
	json_t *facts;
};

/* An answer that comes piece by piece, so that its length has no bound. */
struct api_stream {
	/* Appends the next piece, which may be empty. After a fault the connection is cut, so that
	 * the answer is seen not to be whole. NULL: the answer is not of this kind. */
	int (*next)(void *context, struct text *output, bool *ret_done, struct fault *fault);
	void (*close)(void *context);
	void *context;
	bool done;
	struct loop_timer more; /* goes on in the next turn */
};

/* Lives in the exchange's state. */
struct api_request {
	struct api *api;
	struct http_exchange *exchange;
	const struct api_route *route;
	struct arena arena;
	struct slice segments[API_SEGMENTS_MAX];
	struct slice query;
	struct slice idempotency_key;
	struct text body;
	json_t *json;               /* the parsed body */
	struct account_id provider; /* whose token it has; 0: the admin token */
	json_t *event;              /* of API_EVENTS: attributes from header fields, or NULL */
	bool event_batch;
	uint64_t now_ns;
	struct api_value values[API_ARGUMENTS_MAX]; /* as the route's arguments */
	bool answered;

	/* what handlers fill */
	unsigned status;
	json_t *answer;
	const char *at;     /* the argument at fault */
	json_t *complaints; /* about a manifest */
	json_t *errors;     /* about arguments; NULL: there are none */
	json_t *kept;       /* the answer as it may be given again; NULL: as it is */
	bool only_tries;    /* what api_change runs is rolled back, and answered all the same */
	struct api_change_note change;
	bool given_again; /* the answer of an earlier request with the same key */
	bool key_reused;
	struct text output;
	size_t sent; /* bytes of output */
	struct api_stream stream;
};

extern const struct http_server_events api_server_events;

/* ---- arguments ---- */

/* Reads path, query, header and body by the route's table. Answers a problem itself and returns
 * false where something is not allowed. */
bool api_arguments_read(struct api_request *request);
/* The route has the argument (a bug otherwise). */
const struct api_value *api_argument(const struct api_request *request, const char *name);
/* The number, or `otherwise` where it was not given. */
static inline uint64_t api_argument_number(const struct api_request *request, const char *name,
					   uint64_t otherwise)
{
	const struct api_value *value = api_argument(request, name);

	return value->given ? value->number : otherwise;
}
/* Says which argument is at fault where the code is one, and returns it. */
static inline int api_at(struct api_request *request, const char *name, int code)
{
	if (code < 0 && request->at == NULL)
		request->at = name;
	return code;
}

/* The cursor of a list, "prefix_12"; 0 where not given. */
int api_after(struct api_request *request, const char *prefix, uint64_t *ret_id,
	      struct fault *fault);
/* FAULT_INPUT: `after` is not what an answer of this route gave as `next`. */
int api_no_cursor(struct api_request *request, struct fault *fault);
size_t api_limit(const struct api_request *request);

/* ---- changes ---- */

/* Runs `work` in one write transaction with what stands around every change: it appends what
 * `work` told api_changed, and keeps the answer, which `work` makes, for API_KEPT_NS under the
 * request's Idempotency-Key. Where an answer is kept already, it is given again (given_again) and
 * `work` is not run. `work` may be run several times, as store_transaction says; answer, kept and
 * change are cleared before. */
int api_change(struct api_request *request, store_transaction_fn work, void *context,
	       struct fault *fault);
/* What `work` changed: of which kind, by which name, and what is other than before: nothing
 * secret. Steals facts. */
void api_changed(struct api_request *request, const char *kind, const char *name, json_t *facts);
extern const char *const api_change_kinds[]; /* NULL-terminated */

/* ---- answers ---- */

void api_answer_json(struct api_request *request);
/* What the handler put into request->output, as it is. */
void api_answer_text(struct api_request *request);
/* `at` names an argument, or is a JSON pointer, or NULL. The detail of API_METHOD is
 * API_USE_METHODS and the methods. */
#define API_USE_METHODS "Use "
void api_answer_problem(struct api_request *request, enum api_problem problem, const char *at,
			const char *detail, ...) __attribute__((format(printf, 4, 5)));
/* The problem as it stands in answers; `error` is what api_error_json makes; stolen. */
json_t *api_problem_json(enum api_problem problem, json_t *error);
void api_answer_error(struct api_request *request, enum api_problem problem, json_t *error);
/* One thing that is wrong with an argument; `at` as above. `near` is what was probably meant, or
 * NULL or "". */
json_t *api_error_json(const struct api_request *request, const char *at, const char *near,
		       const char *detail);
/* Answers API_ARGUMENT with the first of request->errors, and all where there are several. */
void api_answer_errors(struct api_request *request);
void api_answer_fault(struct api_request *request, const struct fault *fault);
/* stream.c: begins the answer that the handler put into `stream`; sends more of it; ends it. */
void api_stream_begin(struct api_request *request);
void api_stream_pump(struct api_request *request);
void api_stream_close(struct api_request *request);
/* Sends what the exchange takes now. */
void api_answer_pump(struct api_request *request);
size_t api_compose_refusal(struct http_server *server, const struct http_refusal *refusal,
			   char *body, size_t body_bytes_max);

/* {"items": items, "next": next or null}; steals both. */
json_t *api_list(json_t *items, json_t *next);
/* The cursor behind a page that ended with `last`, or null where the page was not full. */
json_t *api_next(const char *prefix, uint64_t last, size_t count, size_t limit);
json_t *api_json_id(const char *prefix, uint64_t value);
json_t *api_json_amount(int64_t nano);
json_t *api_json_wide_amount(__int128 nano);
json_t *api_json_time(uint64_t ns); /* 0: null */
json_t *api_json_month(uint32_t month);

/* ---- resources ---- */

int api_health(struct api_request *request, struct fault *fault);
int api_metrics(struct api_request *request, struct fault *fault);
int api_status(struct api_request *request, struct fault *fault);
int api_accounts_create(struct api_request *request, struct fault *fault);
int api_accounts_list(struct api_request *request, struct fault *fault);
int api_accounts_fund(struct api_request *request, struct fault *fault);
int api_accounts_statement(struct api_request *request, struct fault *fault);
int api_apps_create(struct api_request *request, struct fault *fault);
int api_apps_list(struct api_request *request, struct fault *fault);
int api_keys_create(struct api_request *request, struct fault *fault);
int api_keys_list(struct api_request *request, struct fault *fault);
int api_keys_rotate(struct api_request *request, struct fault *fault);
int api_keys_revoke(struct api_request *request, struct fault *fault);
int api_certificates_create(struct api_request *request, struct fault *fault);
int api_certificates_map(struct api_request *request, struct fault *fault);
int api_certificates_list(struct api_request *request, struct fault *fault);
int api_tls_show(struct api_request *request, struct fault *fault);
int api_tls_reload(struct api_request *request, struct fault *fault);
int api_services_publish(struct api_request *request, struct fault *fault);
int api_services_list(struct api_request *request, struct fault *fault);
int api_services_show(struct api_request *request, struct fault *fault);
int api_identity_show(struct api_request *request, struct fault *fault);
int api_price_show(struct api_request *request, struct fault *fault);
int api_identity_rotate(struct api_request *request, struct fault *fault);
int api_services_logs(struct api_request *request, struct fault *fault);
int api_subscriptions_create(struct api_request *request, struct fault *fault);
int api_subscriptions_list(struct api_request *request, struct fault *fault);
int api_subscriptions_end(struct api_request *request, struct fault *fault);
int api_budgets_set(struct api_request *request, struct fault *fault);
int api_budgets_show(struct api_request *request, struct fault *fault);
int api_budgets_remove(struct api_request *request, struct fault *fault);
int api_ledger_show(struct api_request *request, struct fault *fault);
int api_transfers_list(struct api_request *request, struct fault *fault);
int api_ledger_hledger(struct api_request *request, struct fault *fault);
int api_journal_list(struct api_request *request, struct fault *fault);
int api_usage_report(struct api_request *request, struct fault *fault);
int api_tokens_create(struct api_request *request, struct fault *fault);
int api_tokens_list(struct api_request *request, struct fault *fault);
int api_tokens_revoke(struct api_request *request, struct fault *fault);
int api_usage_show(struct api_request *request, struct fault *fault);
int api_changes_list(struct api_request *request, struct fault *fault);
int api_accounts_bill(struct api_request *request, struct fault *fault);
int api_audit_list(struct api_request *request, struct fault *fault);
int api_audit_tile(struct api_request *request, struct fault *fault);
int api_receipts_show(struct api_request *request, struct fault *fault);
int api_openapi_show(struct api_request *request, struct fault *fault);

/* The service that the argument `service` names. */
int api_find_service(struct api_request *request, struct store *store, struct service_id *ret_id,
		     struct fault *fault);
/* Where the argument `wait` is given: waits until every worker has applied what changed, and sets
 * `applied_us` of the answer to how long that took from the request on, if it came. */
void api_wait_applied(struct api_request *request, uint64_t begun_ns);
/* Of the arguments `account`, `app` and `service`, those given. */
int api_subscription_filter(struct api_request *request, struct store *store,
			    struct catalog_subscription_filter *filter, struct fault *fault);
/* The choices of `step`. */
enum api_step { API_STEP_MINUTE, API_STEP_HOUR, API_STEP_DAY };
extern const char *const api_usage_steps[];
/* What is dearer, in words. */
json_t *api_rises_json(uint32_t rises, const struct catalog_unit units[RATING_UNITS_MAX]);
/* Which plan version the subscription has (or had at its end), and the one that was announced to
 * come next, or null. A new reference. */
int api_move_find(const struct api_request *request, struct store *store,
		  const struct catalog_subscription *subscription, uint32_t *ret_version,
		  json_t **ret_move, struct fault *fault);
#define API_MOVES_MAX 100
/* Of the active subscriptions that the query asks for, up to so many. A new reference. */
int api_moves_list(const struct api_request *request, struct store *store,
		   const struct billing_statement_query *query, json_t **ret_moves,
		   struct fault *fault);
json_t *api_plan_json(const struct catalog_plan *plan, const struct catalog_unit *units);
