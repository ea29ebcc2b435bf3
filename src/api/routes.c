#include "api/api_internal.h"

#include <string.h>

#include "base/check.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

const char *const api_change_kinds[] = {"account",      "app",   "key", "service",
					"subscription", "tls",   "token", NULL};
static const char *const budget_periods[] = {"month", "once", NULL};

/* Arguments that several routes have. */
#define NAME_BYTES (ACCOUNT_NAME_MAX - 1)
#define PATH_BYTES (ACCOUNT_PATH_MAX - 1)
/* clang-format off */
#define AFTER   {"after", API_QUERY, API_TEXT, false, 1, ID_TEXT_MAX - 1, NULL, \
		 "where to go on: `next` of the page before"}
#define LIMIT   {"limit", API_QUERY, API_COUNT, false, 1, API_PAGE_MAX, NULL, \
		 "most items of the page, 100 where not given"}
#define ONCE    {"Idempotency-Key", API_HEADER, API_TEXT, false, 1, 255, NULL, \
		 "within a day, the same request under the same key is done once"}
#define ACCOUNT {"account", API_PATH, API_TEXT, true, 1, NAME_BYTES, NULL, "the account's name"}
#define SERVICE {"name", API_PATH, API_TEXT, true, 1, NAME_BYTES, NULL, "the service's name"}

static const struct api_argument page_arguments[] = {AFTER, LIMIT};

static const struct api_argument account_create_arguments[] = {
	{"name", API_BODY, API_TEXT, true, 1, NAME_BYTES, NULL,
	 "a DNS label, unique in the cloud"},
	ONCE,
};

static const struct api_argument fund_arguments[] = {
	ACCOUNT,
	{"amount", API_BODY, API_AMOUNT, true, 1, INT64_MAX, NULL,
	 "more than zero, in the cloud's currency"},
	{"Idempotency-Key", API_HEADER, API_TEXT, false, 1, 255, NULL,
	 "within a day, the same request under the same key is done once; later the same key still "
	 "funds nothing more"},
};

static const struct api_argument statement_arguments[] = {
	ACCOUNT,
	{"period", API_QUERY, API_MONTH, false, 0, 0, NULL,
	 "a calendar month in UTC; this month where not given"},
	{"app", API_QUERY, API_TEXT, false, 1, PATH_BYTES, NULL, "only this app, `account/app`"},
	{"service", API_QUERY, API_TEXT, false, 1, NAME_BYTES, NULL, "only this service"},
	{"after", API_QUERY, API_TEXT, false, 1, 255, NULL,
	 "where to go on: `next` of the page before"},
	{"limit", API_QUERY, API_COUNT, false, 1, API_PAGE_MAX, NULL,
	 "most lines of the page, 100 where not given"},
};

static const struct api_argument bill_arguments[] = {
	ACCOUNT,
	{"period", API_QUERY, API_MONTH, false, 0, 0, NULL,
	 "a calendar month in UTC; this month where not given"},
};

static const struct api_argument app_create_arguments[] = {
	{"account", API_BODY, API_TEXT, true, 1, NAME_BYTES, NULL, "whose app it is"},
	{"name", API_BODY, API_TEXT, true, 1, NAME_BYTES, NULL,
	 "a DNS label, unique in the account"},
	ONCE,
};

static const struct api_argument app_list_arguments[] = {
	{"account", API_QUERY, API_TEXT, false, 1, NAME_BYTES, NULL, "only this account's"},
	AFTER, LIMIT,
};

static const struct api_argument key_create_arguments[] = {
	{"app", API_BODY, API_TEXT, true, 1, PATH_BYTES, NULL, "`account/app`"},
	{"scopes", API_BODY, API_TEXTS, false, 1, ACCOUNT_SCOPES_MAX, NULL,
	 "what the keys may do, each `SERVICE[:METHODS[:PATH]]`; everything the app may where not "
	 "given"},
	{"expires", API_BODY, API_EXPIRY, false, 0, 0, NULL,
	 "a time (RFC 3339) or a duration from now (`30d`); never where not given"},
	{"count", API_BODY, API_COUNT, false, 1, API_KEYS_MAX, NULL, "how many; one where not given"},
	ONCE,
};

static const struct api_argument key_list_arguments[] = {
	{"app", API_QUERY, API_TEXT, false, 1, PATH_BYTES, NULL, "only this app's, `account/app`"},
	AFTER, LIMIT,
};

#define APPLIED                                                                                    \
	{"wait", API_QUERY, API_COUNT, false, 1, 10000, NULL,                                      \
	 "answer once every worker of the gateway has applied it, after so many milliseconds at "  \
	 "the most"}

static const struct api_argument key_revoke_arguments[] = {
	{"id", API_PATH, API_TEXT, true, 1, ID_TEXT_MAX - 1, NULL, "the key's id"},
	APPLIED,
};

static const struct api_argument key_rotate_arguments[] = {
	{"id", API_PATH, API_TEXT, true, 1, ID_TEXT_MAX - 1, NULL, "the key's id"},
	{"overlap", API_BODY, API_TEXT, false, 1, 32, NULL,
	 "how long the key goes on working, a duration; `1h` where not given, `0`: not at all"},
	ONCE,
};

static const struct api_argument certificate_create_arguments[] = {
	{"app", API_BODY, API_TEXT, true, 1, PATH_BYTES, NULL, "`account/app`"},
	{"request", API_BODY, API_TEXT, true, 1, 8192, NULL,
	 "a certificate request (PKCS #10) in PEM: of it the public key is taken, nothing else"},
	{"expires", API_BODY, API_EXPIRY, false, 0, 0, NULL,
	 "a time (RFC 3339) or a duration from now (`30d`); 90 days where not given"},
	ONCE,
};

static const struct api_argument certificate_map_arguments[] = {
	{"name", API_BODY, API_TEXT, true, 1, CLIENT_NAME_MAX - 1, NULL,
	 "`dns:HOST` or `uri:URI`, as certificates have it among their subject alternative names"},
	{"app", API_BODY, API_TEXT, true, 1, PATH_BYTES, NULL, "`account/app`, whose they are"},
	{"expires", API_BODY, API_EXPIRY, false, 0, 0, NULL,
	 "a time (RFC 3339) or a duration from now (`30d`); never where not given"},
	ONCE,
};

static const struct api_argument publish_arguments[] = {
	{"account", API_BODY, API_TEXT, true, 1, NAME_BYTES, NULL, "the provider"},
	{"file", API_BODY, API_TEXT, false, 1, CATALOG_VALUE_MAX, NULL,
	 "how complaints call the manifest; `service.yaml` where not given"},
	{"folder", API_BODY, API_TEXT, false, 1, CATALOG_VALUE_MAX - 1, NULL,
	 "where the manifest stands, absolute: its command runs there"},
	{"manifest", API_BODY, API_TEXT, true, 0, API_BODY_MAX, NULL, "the manifest's text (YAML)"},
	{"tls_ca", API_BODY, API_TEXT, false, 0, CATALOG_PEM_MAX - 1, NULL,
	 "what the file `tls.ca` of the manifest holds (PEM)"},
	{"tls_certificate", API_BODY, API_TEXT, false, 0, CATALOG_PEM_MAX - 1, NULL,
	 "the same of `tls.certificate`"},
	{"tls_key", API_BODY, API_TEXT, false, 0, CATALOG_PEM_MAX - 1, NULL,
	 "the same of `tls.key`; no answer tells it"},
	{"dry_run", API_BODY, API_FLAG, false, 0, 0, NULL,
	 "check, and tell what would change, and change nothing"},
	ONCE,
};

static const struct api_argument service_list_arguments[] = {
	{"search", API_QUERY, API_TEXT, false, 0, CATALOG_TEXT_MAX, NULL,
	 "words that name, summary or tags must have"},
	{"after", API_QUERY, API_TEXT, false, 1, NAME_BYTES + 16, NULL,
	 "where to go on: `next` of the page before"},
	LIMIT,
};

static const struct api_argument service_arguments[] = {SERVICE};

static const struct api_argument identity_rotate_arguments[] = {SERVICE, ONCE};

static const struct api_argument log_arguments[] = {
	SERVICE,
	{"lines", API_QUERY, API_COUNT, false, 1, API_LINES_MAX, NULL,
	 "how many of the last ones, 100 where not given; with `after` how many of the next ones"},
	{"after", API_QUERY, API_TEXT, false, 1, 64, NULL,
	 "only what was written since: `next` of an answer before"},
};

static const struct api_argument subscribe_arguments[] = {
	{"app", API_BODY, API_TEXT, true, 1, PATH_BYTES, NULL, "`account/app`"},
	{"service", API_BODY, API_TEXT, true, 1, NAME_BYTES, NULL, "the service's name"},
	{"plan", API_BODY, API_TEXT, false, 1, NAME_BYTES, NULL,
	 "the plan's name; may be left out where the service offers one only"},
	{"budget", API_BODY, API_AMOUNT, false, 0, INT64_MAX, NULL,
	 "the most that may be spent; no bound but the balance where not given"},
	{"budget_period", API_BODY, API_CHOICE, false, 0, 0, budget_periods,
	 "what the budget is for: each calendar month, or (where not given) `once`"},
	ONCE,
};

static const struct api_argument subscription_end_arguments[] = {
	{"id", API_PATH, API_TEXT, true, 1, ID_TEXT_MAX - 1, NULL, "the subscription's id"},
	APPLIED,
};

static const struct api_argument subscription_list_arguments[] = {
	{"account", API_QUERY, API_TEXT, false, 1, NAME_BYTES, NULL, "only this account's"},
	{"app", API_QUERY, API_TEXT, false, 1, PATH_BYTES, NULL, "only this app's, `account/app`"},
	{"service", API_QUERY, API_TEXT, false, 1, NAME_BYTES, NULL, "only those to this service"},
	AFTER, LIMIT,
};

#define OF(place, sentence) {"of", place, API_TEXT, true, 1, PATH_BYTES + 1 + NAME_BYTES, NULL, sentence}

static const struct api_argument budget_set_arguments[] = {
	OF(API_BODY, "whom it bounds: `account`, `account/app`, or `account/app/service`"),
	{"amount", API_BODY, API_AMOUNT, true, 0, INT64_MAX, NULL,
	 "the most that may be spent, in the cloud's currency"},
	{"period", API_BODY, API_CHOICE, false, 0, 0, budget_periods,
	 "in which it may be: each calendar month (UTC), or (where not given) `once`, for ever"},
	ONCE,
};

static const struct api_argument budget_arguments[] = {
	OF(API_QUERY, "`account`, `account/app`, or `account/app/service`"),
};

static const struct api_argument journal_arguments[] = {
	{"after", API_QUERY, API_TEXT, false, 0, 4096, NULL,
	 "where to go on: `next` of the page before"},
	LIMIT,
};

static const struct api_argument change_arguments[] = {
	{"kind", API_QUERY, API_CHOICE, false, 0, 0, api_change_kinds, "only of this kind of thing"},
	{"name", API_QUERY, API_TEXT, false, 1, CATALOG_VALUE_MAX - 1, NULL,
	 "only of what has this name; of a key its id"},
	AFTER, LIMIT,
};

static const struct api_argument transfer_arguments[] = {
	{"account", API_PATH, API_TEXT, true, 1, LEDGER_NAME_MAX - 1, NULL,
	 "an account of the ledger of money, by its name"},
	AFTER, LIMIT,
};

static const struct api_argument hledger_arguments[] = {
	{"from", API_QUERY, API_MONTH, false, 0, 0, NULL,
	 "the first calendar month (UTC); what was before it is opening balances"},
	{"to", API_QUERY, API_MONTH, false, 0, 0, NULL, "the last month; until now where not given"},
};

static const struct api_argument tile_arguments[] = {
	{"stream", API_PATH, API_COUNT, true, 0, JOURNAL_STREAMS_MAX - 1, NULL, "of the journal"},
	{"level", API_PATH, API_COUNT, true, 0, 7, NULL, "0: hashes of records"},
	{"number", API_PATH, API_COUNT, true, 0, INT64_MAX, NULL, "which tile of the level"},
	{"width", API_QUERY, API_COUNT, false, 1, AUDIT_TILE_WIDTH, NULL,
	 "how many hashes, the whole 256 where not given"},
};

static const struct api_argument receipt_arguments[] = {
	{"call", API_PATH, API_TEXT, true, 1, CALL_ID_TEXT_MAX - 1, NULL,
	 "the call's id, as `Stoa-Call` tells it"},
};

static const char *const token_roles[] = {ACCOUNT_ROLE_PROVIDER, NULL};

const char *const api_usage_steps[] = {"minute", "hour", "day", NULL};

static const struct api_argument usage_arguments[] = {
	{"service", API_QUERY, API_TEXT, false, 1, NAME_BYTES, NULL, "only this service's"},
	{"account", API_QUERY, API_TEXT, false, 1, NAME_BYTES, NULL,
	 "only of this account's apps, a series for each app and service"},
	{"app", API_QUERY, API_TEXT, false, 1, PATH_BYTES, NULL,
	 "only of this app, `account/app`, a series for each service"},
	{"step", API_QUERY, API_CHOICE, false, 0, 0, api_usage_steps,
	 "what is summed into one point; `hour` where not given"},
	{"from", API_QUERY, API_PAST, false, 0, 0, NULL,
	 "a time (RFC 3339) or a duration back from now (`24h`); where not given an hour, a day or "
	 "30 days before `to`, by the step"},
	{"to", API_QUERY, API_PAST, false, 0, 0, NULL, "now where not given"},
};

static const struct api_argument price_arguments[] = {
	{"service", API_QUERY, API_TEXT, true, 1, NAME_BYTES, NULL, "the service's name"},
	{"plan", API_QUERY, API_TEXT, false, 1, NAME_BYTES, NULL,
	 "the plan that is offered under this name; may lack where there is one only"},
	{"quantities", API_QUERY, API_TEXT, false, 1, 1000, NULL,
	 "what a month uses, `METER=COUNT` with commas between (`calls=1000,tokens=3M`)"},
	{"app", API_QUERY, API_TEXT, false, 1, PATH_BYTES, NULL,
	 "in their place: what this app, `account/app`, really used of the service"},
	{"period", API_QUERY, API_MONTH, false, 0, 0, NULL,
	 "in which calendar month (UTC) it did; last month where not given"},
};

static const struct api_argument token_create_arguments[] = {
	{"account", API_BODY, API_TEXT, true, 1, NAME_BYTES, NULL, "the provider"},
	{"role", API_BODY, API_CHOICE, true, 0, 0, token_roles,
	 "what for: `provider`: to report the usage of the account's services"},
	{"expires", API_BODY, API_EXPIRY, false, 0, 0, NULL,
	 "a time (RFC 3339) or a duration from now (`30d`); never where not given"},
	ONCE,
};

static const struct api_argument token_list_arguments[] = {
	{"account", API_QUERY, API_TEXT, false, 1, NAME_BYTES, NULL, "only this account's"},
	AFTER, LIMIT,
};

static const struct api_argument token_revoke_arguments[] = {
	{"id", API_PATH, API_TEXT, true, 1, ID_TEXT_MAX - 1, NULL, "the token's id"},
};

#define NONE         NULL, 0
#define TAKES(array) array, COUNT_OF(array)
/* Problems of a row, beside those that any request may meet (api_route_problems). */
#define MAY(problem) (1u << (problem))
/* The operation's name is the handler's, without its "api_". */
#define CALLS(name)  #name, api_##name

const struct api_route api_routes[] = {
	{"GET", "/healthz", "Says that the API answers; needs no token.",
	 API_OPEN, NONE, "Health", 0, CALLS(health)},
	{"GET", "/metrics", "What Prometheus is told; docs/metrics.md. The metrics token is enough.",
	 API_METRICS, NONE, NULL, 0, CALLS(metrics)},
	{"GET", "/v1/status", "The cloud and this node: addresses, calls, instances, journal, poster.",
	 0, NONE, "Status", 0, CALLS(status)},
	{"POST", "/v1/accounts", "Makes an account, which may provide, consume, or both.",
	 API_MAKES, TAKES(account_create_arguments), "Account",
	 MAY(API_CONFLICT), CALLS(accounts_create)},
	{"GET", "/v1/accounts", "The accounts with their balances.",
	 API_LISTS, TAKES(page_arguments), "Account", 0, CALLS(accounts_list)},
	{"POST", "/v1/accounts/{account}/funds", "Puts money into an account.",
	 API_MAKES, TAKES(fund_arguments), "Funding",
	 MAY(API_NOT_FOUND) | MAY(API_CONFLICT) | MAY(API_LIMIT), CALLS(accounts_fund)},
	{"GET", "/v1/accounts/{account}/statement",
	 "What an account owes and is owed for a month, line by line, page by page.",
	 0, TAKES(statement_arguments), "Statement", MAY(API_NOT_FOUND), CALLS(accounts_statement)},
	{"GET", "/v1/accounts/{account}/bill",
	 "The statement of a month with the proof of each call in it, as `stoa verify` checks it.",
	 0, TAKES(bill_arguments), "Bill", MAY(API_NOT_FOUND), CALLS(accounts_bill)},
	{"POST", "/v1/apps", "Makes an app, a consumer's program.",
	 API_MAKES, TAKES(app_create_arguments), "App",
	 MAY(API_NOT_FOUND) | MAY(API_CONFLICT), CALLS(apps_create)},
	{"GET", "/v1/apps", "The apps.",
	 API_LISTS, TAKES(app_list_arguments), "App", MAY(API_NOT_FOUND), CALLS(apps_list)},
	{"POST", "/v1/keys", "Makes API keys of an app; their texts are shown here and never again.",
	 API_MAKES | API_LISTS, TAKES(key_create_arguments), "KeyMade",
	 MAY(API_NOT_FOUND), CALLS(keys_create)},
	{"GET", "/v1/keys", "The keys without their texts, client certificates among them.",
	 API_LISTS, TAKES(key_list_arguments), "Key", MAY(API_NOT_FOUND), CALLS(keys_list)},
	{"POST", "/v1/keys/{id}/rotate",
	 "Makes a key like another, which ends after an overlap; its text is shown here and never "
	 "again.",
	 API_MAKES, TAKES(key_rotate_arguments), "KeyRotated",
	 MAY(API_NOT_FOUND) | MAY(API_REFUSED), CALLS(keys_rotate)},
	{"DELETE", "/v1/keys/{id}", "Revokes a key, a client certificate or a mapped name, for ever, and cuts its calls in flight.",
	 0, TAKES(key_revoke_arguments), "KeyRevoked", MAY(API_NOT_FOUND), CALLS(keys_revoke)},
	{"POST", "/v1/tokens",
	 "Makes an access token of an account; its text is shown here and never again.",
	 API_MAKES, TAKES(token_create_arguments), "TokenMade",
	 MAY(API_NOT_FOUND), CALLS(tokens_create)},
	{"GET", "/v1/tokens", "The access tokens, without their texts.",
	 API_LISTS, TAKES(token_list_arguments), "Token", MAY(API_NOT_FOUND), CALLS(tokens_list)},
	{"DELETE", "/v1/tokens/{id}", "Revokes an access token, for ever.",
	 0, TAKES(token_revoke_arguments), "Token", MAY(API_NOT_FOUND), CALLS(tokens_revoke)},
	{"POST", "/v1/certificates",
	 "Issues a client certificate of an app, which it may show in place of a key.",
	 API_MAKES, TAKES(certificate_create_arguments), "CertificateMade",
	 MAY(API_NOT_FOUND) | MAY(API_REFUSED), CALLS(certificates_create)},
	{"POST", "/v1/certificates/names",
	 "Maps a name in client certificates from elsewhere to an app.",
	 API_MAKES, TAKES(certificate_map_arguments), "Key",
	 MAY(API_NOT_FOUND) | MAY(API_CONFLICT), CALLS(certificates_map)},
	{"GET", "/v1/certificates",
	 "The client certificates that were issued, and the names that were mapped.",
	 API_LISTS, TAKES(key_list_arguments), "Key", MAY(API_NOT_FOUND), CALLS(certificates_list)},
	{"GET", "/v1/tls", "The gateway's listeners of TLS, their certificates, and when those end.",
	 0, NONE, "Tls", 0, CALLS(tls_show)},
	{"POST", "/v1/tls/reload", "Looks at the files of certificates now, as SIGHUP does.",
	 0, NONE, "TlsReloaded", 0, CALLS(tls_reload)},
	{"POST", "/v1/services", "Publishes a service by its manifest, or what changed in it.",
	 API_MAKES, TAKES(publish_arguments), "Published",
	 MAY(API_NOT_FOUND) | MAY(API_REFUSED) | MAY(API_CONFLICT) | MAY(API_MANIFEST) |
		 MAY(API_LIMIT), CALLS(services_publish)},
	{"GET", "/v1/services", "The catalog: services, the best match first.",
	 API_LISTS, TAKES(service_list_arguments), "ServiceHit", 0, CALLS(services_list)},
	{"GET", "/v1/services/{name}", "A service with its offered plans, prices and limits.",
	 0, TAKES(service_arguments), "Service", MAY(API_NOT_FOUND), CALLS(services_show)},
	{"GET", "/v1/services/{name}/identity",
	 "What calls to the service are signed with now, and what comes next.",
	 0, TAKES(service_arguments), "Identity", MAY(API_NOT_FOUND), CALLS(identity_show)},
	{"POST", "/v1/services/{name}/identity/rotate",
	 "Signs calls with the next key from now on; the key before is over.",
	 API_MAKES, TAKES(identity_rotate_arguments), "Identity",
	 MAY(API_NOT_FOUND), CALLS(identity_rotate)},
	{"GET", "/v1/services/{name}/logs", "The last lines that the service's instances wrote.",
	 0, TAKES(log_arguments), "Log", MAY(API_NOT_FOUND), CALLS(services_logs)},
	{"GET", "/v1/price",
	 "What a month would cost under a plan, and how it comes about; of running costs it has none.",
	 0, TAKES(price_arguments), "PricePreview",
	 MAY(API_NOT_FOUND) | MAY(API_REFUSED) | MAY(API_LIMIT), CALLS(price_show)},
	{"POST", "/v1/subscriptions", "Subscribes an app to a service, or changes plan or budget.",
	 API_MAKES, TAKES(subscribe_arguments), "Subscribed",
	 MAY(API_NOT_FOUND) | MAY(API_REFUSED), CALLS(subscriptions_create)},
	{"GET", "/v1/subscriptions", "The subscriptions that are active.",
	 API_LISTS, TAKES(subscription_list_arguments), "Subscription",
	 MAY(API_NOT_FOUND), CALLS(subscriptions_list)},
	{"DELETE", "/v1/subscriptions/{id}", "Ends a subscription, and cuts its calls in flight.",
	 0, TAKES(subscription_end_arguments), "SubscriptionEnded",
	 MAY(API_NOT_FOUND), CALLS(subscriptions_end)},
	{"POST", "/v1/budgets", "Bounds what an account, an app or a subscription may spend.",
	 API_MAKES, TAKES(budget_set_arguments), "Budgets", MAY(API_NOT_FOUND), CALLS(budgets_set)},
	{"GET", "/v1/budgets", "The budgets that bound an account, app or subscription, with what is left.",
	 0, TAKES(budget_arguments), "Budgets", MAY(API_NOT_FOUND), CALLS(budgets_show)},
	{"DELETE", "/v1/budgets", "Takes away a budget; those above it stay.",
	 0, TAKES(budget_arguments), "Budgets", MAY(API_NOT_FOUND), CALLS(budgets_remove)},
	{"GET", "/v1/usage", "Calls, errors, bytes and latencies over time, as far as they are posted.",
	 0, TAKES(usage_arguments), "Usage", MAY(API_NOT_FOUND), CALLS(usage_show)},
	{"POST", "/v1/usage",
	 "Takes usage that was not told with a call, as CloudEvents; docs/usage.md. A provider's "
	 "token is enough, for its own services.",
	 API_EVENTS, NONE, "UsageReport",
	 MAY(API_NOT_FOUND) | MAY(API_CONFLICT) | MAY(API_REFUSED) | MAY(API_PAYMENT) |
		 MAY(API_LIMIT), CALLS(usage_report)},
	{"GET", "/v1/ledger", "The accounts of every ledger, page by page, and whether each ledger balances.",
	 0, TAKES(page_arguments), "Ledger", 0, CALLS(ledger_show)},
	{"GET", "/v1/ledger/{account}/transfers", "The transfers from and to an account, newest first.",
	 API_LISTS, TAKES(transfer_arguments), "Transfer", MAY(API_NOT_FOUND), CALLS(transfers_list)},
	{"GET", "/v1/ledger/hledger", "The ledger of money as a journal that hledger reads and checks.",
	 API_PLAIN, TAKES(hledger_arguments), NULL, MAY(API_LIMIT), CALLS(ledger_hledger)},
	{"GET", "/v1/journal", "The call records, oldest first; an empty page is the end for now.",
	 API_LISTS, TAKES(journal_arguments), "CallRecord", 0, CALLS(journal_list)},
	{"GET", "/v1/changes", "Every change that was made, oldest first.",
	 API_LISTS, TAKES(change_arguments), "Change", 0, CALLS(changes_list)},
	{"GET", "/v1/audit", "The transparency logs over the journal's streams, with their signed heads.",
	 API_LISTS, NONE, "AuditLog", 0, CALLS(audit_list)},
	{"GET", "/v1/audit/{stream}/tiles/{level}/{number}", "A tile of a log's Merkle tree.",
	 0, TAKES(tile_arguments), "Tile", MAY(API_NOT_FOUND), CALLS(audit_tile)},
	{"GET", "/v1/receipts/{call}", "A call's record, and the proof that it is in the signed log.",
	 0, TAKES(receipt_arguments), "Receipt", MAY(API_NOT_FOUND), CALLS(receipts_show)},
	{"GET", "/v1/openapi.json", "This API as an OpenAPI 3.1 document.",
	 0, NONE, NULL, 0, CALLS(openapi_show)},
};
/* clang-format on */
const size_t api_route_count = COUNT_OF(api_routes);

const char *api_route_media_type(const struct api_route *route)
{
	if ((route->flags & API_METRICS) != 0)
		return "text/plain; version=0.0.4; charset=utf-8";
	if ((route->flags & API_PLAIN) != 0)
		return "text/plain; charset=utf-8";
	return "application/json";
}

uint32_t api_route_problems(const struct api_route *route)
{
	uint32_t problems = route->problems | MAY(API_REQUEST) | MAY(API_MALFORMED) |
			    MAY(API_ARGUMENT) | MAY(API_BUSY) | MAY(API_STORE) | MAY(API_INTERNAL);

	if ((route->flags & API_OPEN) == 0)
		problems |= MAY(API_UNAUTHORIZED);
	if (api_route_takes_body(route))
		problems |= MAY(API_MEDIA_TYPE);
	if (api_route_find_argument(route, API_HEADER, slice_of("Idempotency-Key")) != NULL)
		problems |= MAY(API_KEY_REUSED);
	return problems;
}

const struct api_argument *api_route_find_argument(const struct api_route *route,
						   enum api_place place, struct slice name)
{
	for (size_t i = 0; i < route->argument_count; i++) {
		if (route->arguments[i].place == place &&
		    slice_equal(slice_of(route->arguments[i].name), name))
			return &route->arguments[i];
	}
	return NULL;
}

bool api_route_takes_body(const struct api_route *route)
{
	if ((route->flags & API_EVENTS) != 0)
		return true;
	for (size_t i = 0; i < route->argument_count; i++) {
		if (route->arguments[i].place == API_BODY)
			return true;
	}
	return false;
}

/* ---- finding ---- */

/* Decodes the path's segments that stand for {names}. */
static bool match(const char *pattern, struct slice path, struct arena *arena,
		  struct slice segments[API_SEGMENTS_MAX])
{
	struct slice rest = slice_of(pattern);
	struct slice wanted;
	struct slice given;
	size_t count = 0;

	if (slice_ends_with(path, slice_of("/")))
		return false;
	while (slice_cut(&rest, '/', &wanted)) {
		if (!slice_cut(&path, '/', &given))
			return false;
		if (!slice_starts_with(wanted, slice_of("{"))) {
			if (!slice_equal(wanted, given))
				return false;
			continue;
		}
		char *decoded = arena_alloc(arena, given.length + 1);
		size_t length;
		if (decoded == NULL || given.length == 0 ||
		    !http_percent_decode(given, decoded, given.length + 1, &length))
			return false;
		check(count < API_SEGMENTS_MAX);
		segments[count++] = slice_make(decoded, length);
	}
	return path.length == 0;
}

static void append_method(char allowed[API_ALLOWED_MAX], const char *method)
{
	const size_t used = strlen(allowed);
	const size_t length = strlen(method);

	check(used + 2 + length < API_ALLOWED_MAX);
	if (used > 0)
		memcpy(allowed + used, ", ", 2);
	memcpy(allowed + used + (used > 0 ? 2 : 0), method, length + 1);
}

const struct api_route *api_route_find(struct slice method, struct slice path, struct arena *arena,
				       struct slice segments[API_SEGMENTS_MAX],
				       char ret_allowed[API_ALLOWED_MAX])
{
	ret_allowed[0] = '\0';
	for (size_t i = 0; i < api_route_count; i++) {
		const struct api_route *route = &api_routes[i];
		if (!match(route->path, path, arena, segments))
			continue;
		if (slice_equal(method, slice_of(route->method)))
			return route;
		append_method(ret_allowed, route->method);
	}
	return NULL;
}
