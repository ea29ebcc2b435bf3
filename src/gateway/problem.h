/*
 * problem: every answer that Stoa itself gives to a call it does not forward, or could not get
 * an answer for, as application/problem+json (RFC 9457) with a stable type.
 *
 * The table is the one source: the gateway's answers, docs/problems.md and the tests read it.
 * Threads: any.
 */
#pragma once

#include <stddef.h>

#include "base/slice.h"
#include "base/text.h"

#define PROBLEM_TYPE_PREFIX "urn:stoa:problem:"
#define PROBLEM_BODY_MAX    1024 /* bytes */

/* name, status, type, title, what to do next */
#define PROBLEMS(X)                                                                                \
	X(PROBLEM_NO_SUCH_SERVICE, 404, "no-such-service", "No such service",                      \
	  "Name a published service in the host (SERVICE.localhost) or as the first segment of "   \
	  "the path; `stoa catalog` lists them.")                                                  \
	X(PROBLEM_KEY_MISSING, 401, "key-missing", "A key is needed",                              \
	  "Send `Authorization: Bearer KEY` or `X-API-Key: KEY`; `stoa key create ACCOUNT/APP` "   \
	  "makes one.")                                                                            \
	X(PROBLEM_KEY_INVALID, 401, "key-invalid", "The key is not valid",                         \
	  "The key is unknown, revoked or expired. Check for missing characters, or make a new "   \
	  "one with `stoa key create ACCOUNT/APP`.")                                               \
	X(PROBLEM_CERTIFICATE, 401, "certificate-invalid",                                         \
	  "The client certificate stands for no app",                                              \
	  "It is revoked or expired, or no name in it is mapped to an app. Issue one with "        \
	  "`stoa tls client ACCOUNT/APP`, map one from elsewhere with `stoa tls map`, or connect " \
	  "without a certificate where the listener allows that.")                                 \
	X(PROBLEM_KEY_OTHER_APP, 403, "key-of-another-app",                                        \
	  "The key is of another app than the client certificate",                                 \
	  "Send a key of the certificate's app, or none: the certificate is enough.")              \
	X(PROBLEM_KEY_AMBIGUOUS, 400, "key-ambiguous", "More than one key",                        \
	  "Send exactly one key, in one Authorization or one X-API-Key field.")                    \
	X(PROBLEM_SCOPE, 403, "scope-missing", "The key's scopes do not allow the call",           \
	  "The key may do less than its app. `scope` says what it lacks; make a key that has it: " \
	  "`stoa key create ACCOUNT/APP --scope SCOPE`.")                                          \
	X(PROBLEM_UPGRADE, 400, "upgrade-invalid", "The upgrade cannot be passed on",              \
	  "Ask for another protocol by a GET without a body, as WebSocket does, which also has "   \
	  "one "                                                                                   \
	  "Sec-WebSocket-Key of 24 characters.")                                                   \
	X(PROBLEM_NO_SUBSCRIPTION, 403, "no-subscription", "The app is not subscribed",            \
	  "Subscribe the app to the service: `stoa subscribe ACCOUNT/APP SERVICE:PLAN`.")          \
	X(PROBLEM_RATE, 429, "rate-exceeded", "Too many calls",                                    \
	  "Wait as long as Retry-After says, or choose a plan with a higher rate.")                \
	X(PROBLEM_CONCURRENCY, 429, "concurrency-exceeded", "Too many calls at once",              \
	  "Wait for a call in flight to end, or choose a plan with a higher concurrency.")         \
	X(PROBLEM_QUOTA, 402, "quota-exceeded", "The plan's quota is used up",                     \
	  "The quota renews with the next calendar month (UTC); or choose a larger plan.")         \
	X(PROBLEM_BALANCE, 402, "balance-exhausted",                                               \
	  "The account's balance does not cover a call",                                           \
	  "Fund the account: `stoa fund ACCOUNT AMOUNT`. A call needs its largest possible price " \
	  "to be there before it starts.")                                                         \
	X(PROBLEM_BUDGET, 402, "budget-exhausted",                                                 \
	  "The subscription's budget does not cover a call",                                       \
	  "Raise the budget: `stoa budget set ACCOUNT/APP/SERVICE AMOUNT`.")                       \
	X(PROBLEM_BUDGET_OF_APP, 402, "app-budget-exhausted",                                      \
	  "The app's budget does not cover a call",                                                \
	  "It bounds all subscriptions of the app together. Raise it: "                            \
	  "`stoa budget set ACCOUNT/APP AMOUNT`.")                                                 \
	X(PROBLEM_BUDGET_OF_ACCOUNT, 402, "account-budget-exhausted",                              \
	  "The account's budget does not cover a call",                                            \
	  "It bounds all apps of the account together. Raise it: "                                 \
	  "`stoa budget set ACCOUNT AMOUNT`.")                                                     \
	X(PROBLEM_DIRECTORY, 503, "directory-incomplete",                                          \
	  "The gateway does not know all keys and services now",                                   \
	  "The call was not forwarded and costs nothing; try again soon. Whether the service, "    \
	  "the "                                                                                   \
	  "key and the subscription are valid is not known yet.")                                  \
	X(PROBLEM_LEDGER_AWAY, 503, "ledger-unavailable", "The ledger does not answer",            \
	  "Try again soon. A call that was not forwarded costs nothing; of a stream that was cut " \
	  "what it had delivered is billed.")                                                      \
	X(PROBLEM_JOURNAL_FULL, 503, "journal-unavailable", "Calls cannot be recorded now",        \
	  "The call was not forwarded and costs nothing. The cloud's owner should look at the "    \
	  "disk: `stoa status`.")                                                                  \
	X(PROBLEM_NO_INSTANCE, 503, "no-instance", "No instance of the service is ready",          \
	  "The call was not forwarded and costs nothing; try again soon. Its provider finds the "  \
	  "reason in `stoa logs SERVICE`.")                                                        \
	X(PROBLEM_OVERLOADED, 503, "overloaded", "Too many calls wait already",                    \
	  "The call was not forwarded and costs nothing; try again soon.")                         \
	X(PROBLEM_SERVICE_UNREACHABLE, 502, "service-unreachable",                                 \
	  "The service could not be reached", "The call costs nothing; try again soon.")           \
	X(PROBLEM_SERVICE_TLS, 502, "service-tls",                                                 \
	  "No secure connection to the service came about",                                        \
	  "The service was not asked and the call costs nothing. Its certificate, or the one it "  \
	  "wants of the cloud, is not right: the cloud's owner finds the reason in the log, as "   \
	  "`service.tls_failed`.")                                                                 \
	X(PROBLEM_SERVICE_INVALID, 502, "service-invalid",                                         \
	  "The service's answer was not valid HTTP or ended early",                                \
	  "The call costs nothing. Tell the service's provider.")                                  \
	X(PROBLEM_UPGRADE_UNSUPPORTED, 501, "upgrade-unsupported", "The service takes no upgrade", \
	  "The call costs nothing. The service speaks HTTP/2 and does not allow extended CONNECT " \
	  "(RFC 8441); tell its provider.")                                                        \
	X(PROBLEM_TIMEOUT, 504, "timeout", "The service did not answer in time",                   \
	  "The call costs nothing; the plan's timeout says how long a call may take.")             \
	X(PROBLEM_REQUEST_INVALID, 400, "request-invalid", "The request is not valid HTTP",        \
	  "Correct the request; the connection is closed since its framing cannot be trusted.")

enum problem {
#define X(name, status, type, title, next) name,
	PROBLEMS(X)
#undef X
		PROBLEM_COUNT
};

struct problem_text {
	unsigned status;
	const char *type; /* without the prefix */
	const char *title;
	const char *next;
};

const struct problem_text *problem_text(enum problem problem);

/* What the answer says beside the table's row; each may be empty. */
struct problem_facts {
	struct slice call;  /* its id */
	struct slice scope; /* that is missing */
	struct slice left;  /* of the money that does not suffice: "0.03 USD" */
};

/* Composes the JSON body. Returns its length (below body_bytes_max). */
size_t problem_compose(enum problem problem, const struct problem_facts *facts, char *body,
		       size_t body_bytes_max);

/* Appends docs/problems.md. */
void problem_document(struct text *text);
