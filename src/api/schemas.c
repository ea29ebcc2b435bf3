#include "api/schemas.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* clang-format off */
#define SUGGESTION                                                                                \
	{"suggestion", API_IS_TEXT, API_MAY_LACK, NULL, "the name that was probably meant"}

static const struct api_member problem_members[] = {
	{"type", API_IS_TEXT, 0, NULL, "which problem it is; the list is above"},
	{"title", API_IS_TEXT, 0, NULL, "the problem in a few words, always the same"},
	{"status", API_IS_COUNT, 0, NULL, "the answer's HTTP status"},
	{"detail", API_IS_TEXT, 0, NULL, "what is wrong here, and what to do"},
	{"pointer", API_IS_TEXT, API_MAY_LACK, NULL, "where in the body, a JSON pointer (RFC 6901)"},
	{"parameter", API_IS_TEXT, API_MAY_LACK, NULL, "which parameter of path, query or headers"},
	SUGGESTION,
	{"errors", API_IS_OBJECT, API_LIST_OF | API_MAY_LACK, "ArgumentError",
	 "all that is wrong with the arguments, where that is more than one thing"},
	{"complaints", API_IS_OBJECT, API_LIST_OF | API_MAY_LACK, "Complaint",
	 "all that is wrong with a manifest"},
};

static const struct api_member argument_error_members[] = {
	{"detail", API_IS_TEXT, 0, NULL, "what is wrong, and what is allowed"},
	{"pointer", API_IS_TEXT, API_MAY_LACK, NULL, "where in the body, a JSON pointer (RFC 6901)"},
	{"parameter", API_IS_TEXT, API_MAY_LACK, NULL, "which parameter of path, query or headers"},
	SUGGESTION,
};

static const struct api_member complaint_members[] = {
	{"line", API_IS_COUNT, 0, NULL, "from 1 on"},
	{"column", API_IS_COUNT, 0, NULL, "from 1 on"},
	{"text", API_IS_TEXT, 0, NULL, "`file:line:column: what is wrong`"},
};

static const struct api_member health_members[] = {
	{"status", API_IS_CHOICE, 0, "ok", "the API answers"},
};

static const struct api_member account_members[] = {
	{"id", API_IS_ID, 0, NULL, "of the account"},
	{"name", API_IS_TEXT, 0, NULL, "a DNS label, unique in the cloud"},
	{"created", API_IS_TIME, 0, NULL, "when it was made"},
	{"currency", API_IS_TEXT, 0, NULL, "of its amounts"},
	{"balance", API_IS_AMOUNT, 0, NULL, "what it has"},
	{"available", API_IS_AMOUNT, 0, NULL, "of it, what nobody has reserved"},
	{"leased", API_IS_AMOUNT, 0, NULL, "of it, what is reserved for calls"},
	{"owed", API_IS_AMOUNT, 0, NULL, "charges that it could not pay yet"},
};

#define KEY_MEMBERS                                                                               \
	{"id", API_IS_ID, 0, NULL, "of the key"},                                                 \
	{"app", API_IS_TEXT, 0, NULL, "`account/app`"},                                           \
	{"kind", API_IS_CHOICE, 0, "key|certificate|name",                                        \
	 "an API key, a client certificate of the cloud, a name in those from elsewhere"},        \
	{"name", API_IS_TEXT, API_OR_NULL, NULL,                                                  \
	 "a certificate's serial number, or the mapped name; null of an API key"},                \
	{"prefix", API_IS_TEXT, 0, NULL, "how the key begins; empty where it has no text"},       \
	{"last_four", API_IS_TEXT, 0, NULL, "how it ends"},                                       \
	{"scopes", API_IS_TEXT, API_LIST_OF, NULL, "what it may do; empty: all that the app may"},\
	{"created", API_IS_TIME, 0, NULL, "when it was made"},                                    \
	{"expires", API_IS_TIME, API_OR_NULL, NULL, "when it ends by itself; null: never"},       \
	{"revoked", API_IS_TIME, API_OR_NULL, NULL, "when it was revoked; null: it was not"},     \
	{"successor", API_IS_ID, API_OR_NULL, NULL, "what it was rotated to; null: it was not"},  \
	{"last_used", API_IS_TIME, API_OR_NULL, NULL,                                             \
	 "its last call, to the minute; null: there was none"},                                   \
	{"calls", API_IS_COUNT, 0, NULL, "on record in this calendar month (UTC)"}

static const struct api_member key_members[] = {KEY_MEMBERS};

static const struct api_member key_made_members[] = {
	KEY_MEMBERS,
	{"key", API_IS_TEXT, API_OR_NULL, NULL, "its text, shown once: null where given again"},
	{"warnings", API_IS_TEXT, API_LIST_OF, NULL, "of scopes whose service nobody has published"},
};

static const struct api_member key_rotated_members[] = {
	KEY_MEMBERS,
	{"key", API_IS_TEXT, API_OR_NULL, NULL, "its text, shown once: null where given again"},
	{"replaces", API_IS_OBJECT, 0, "Key", "the key before, with the end that it has now"},
};

static const struct api_member certificate_made_members[] = {
	KEY_MEMBERS,
	{"certificate", API_IS_TEXT, 0, NULL, "in PEM"},
};

#define APPLIED_MEMBER                                                                            \
	{"applied_us", API_IS_COUNT, API_OR_NULL, NULL,                                           \
	 "how many microseconds after the request every worker had applied it; null: it was not " \
	 "waited for, or did not come"}

static const struct api_member key_revoked_members[] = {KEY_MEMBERS, APPLIED_MEMBER};

static const struct api_member published_members[] = {
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},
	{"id", API_IS_ID, API_OR_NULL, NULL, "of the service; null where it has none yet"},
	{"version", API_IS_TEXT, 0, NULL, "as its manifest says"},
	{"revision", API_IS_COUNT, 0, NULL, "how often it was changed, from 1 on"},
	{"dry_run", API_IS_FLAG, 0, NULL, "nothing was changed: it is what would be"},
	{"created", API_IS_FLAG, 0, NULL, "it is new"},
	{"changed", API_IS_FLAG, 0, NULL, "anything is other than before"},
	{"plans", API_IS_OBJECT, API_LIST_OF, "PlanChange", "what became of each plan"},
	{"warnings", API_IS_TEXT, API_LIST_OF, NULL, "of what is published and will not work"},
};

static const struct api_member plan_change_members[] = {
	{"name", API_IS_TEXT, 0, NULL, "the plan's name"},
	{"id", API_IS_ID, API_OR_NULL, NULL, "of its version; null where it has none yet"},
	{"version", API_IS_COUNT, 0, NULL, "from 1 on"},
	{"change", API_IS_TEXT, 0, NULL, "in a word"},
	{"effective", API_IS_TIME, API_OR_NULL, NULL,
	 "from when who has an earlier version has it; null: nothing was announced"},
	{"dearer", API_IS_TEXT, API_LIST_OF, NULL, "what is dearer, or less, for any of them then"},
};

static const struct api_member service_hit_members[] = {
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},
	{"id", API_IS_ID, 0, NULL, "of the service"},
	{"version", API_IS_TEXT, 0, NULL, "as its manifest says"},
	{"account", API_IS_TEXT, 0, NULL, "the provider's name"},
	{"summary", API_IS_TEXT, 0, NULL, "what it does, in a sentence"},
};

static const struct api_member service_members[] = {
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},
	{"id", API_IS_ID, 0, NULL, "of the service"},
	{"version", API_IS_TEXT, 0, NULL, "as its manifest says"},
	{"account", API_IS_TEXT, 0, NULL, "the provider's name"},
	{"summary", API_IS_TEXT, 0, NULL, "what it does, in a sentence"},
	{"tags", API_IS_TEXT, API_LIST_OF, NULL, "words to find it by"},
	{"revision", API_IS_COUNT, 0, NULL, "how often it was changed, from 1 on"},
	{"published", API_IS_TIME, 0, NULL, "when it was changed last"},
	{"folder", API_IS_TEXT, 0, NULL, "where its manifest stands"},
	{"protocol", API_IS_CHOICE, 0, "http1|h2", "what it speaks"},
	{"identity", API_IS_CHOICE, 0, "unsigned|signed", "whether its calls are signed"},
	{"run", API_IS_OBJECT, API_MAY_LACK, "Run", "how the cloud runs it; or there is `upstream`"},
	{"upstream", API_IS_TEXT, API_LIST_OF | API_MAY_LACK, NULL, "addresses where it runs"},
	{"tls", API_IS_OBJECT, API_MAY_LACK, "ServiceTls", "of addresses that begin with https://"},
	{"meters", API_IS_OBJECT, API_MAP_OF, "Meter", "what it reports, by name"},
	{"currency", API_IS_TEXT, 0, NULL, "of its prices"},
	{"plans", API_IS_OBJECT, API_LIST_OF, "Plan", "those that can be subscribed to"},
};

static const struct api_member service_tls_members[] = {
	{"verified_as", API_IS_TEXT, API_LIST_OF, NULL, "what its certificates must name"},
	{"authorities", API_IS_CHOICE, 0, "cloud|own|system", "who vouches for them"},
	{"client_certificate", API_IS_FLAG, 0, NULL, "the cloud shows it a certificate"},
};

static const struct api_member run_members[] = {
	{"command", API_IS_TEXT, API_LIST_OF, NULL, "program and arguments; no shell is between"},
	{"listen", API_IS_CHOICE, 0, "port|socket", "where an instance is told to listen"},
	{"memory_bytes", API_IS_COUNT, 0, NULL, "declared for one instance"},
	{"cpu_milli", API_IS_COUNT, 0, NULL, "thousandths of a processor, declared for one"},
	{"concurrency", API_IS_COUNT, 0, NULL, "calls that an instance takes at once"},
	{"instances", API_IS_COUNT, 0, NULL, "how many there are"},
};

static const struct api_member meter_members[] = {
	{"unit", API_IS_TEXT, 0, NULL, "what it counts"},
};

static const struct api_member log_members[] = {
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},
	{"lines", API_IS_TEXT, API_LIST_OF, NULL, "the oldest first"},
	{"next", API_IS_TEXT, 0, NULL, "for `after`: what is written from here on"},
};

#define SUBSCRIPTION_MEMBERS                                                                      \
	{"id", API_IS_ID, 0, NULL, "of the subscription"},                                        \
	{"app", API_IS_TEXT, 0, NULL, "`account/app`"},                                           \
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},                                  \
	{"plan", API_IS_TEXT, 0, NULL, "the plan's name"},                                        \
	{"plan_version", API_IS_COUNT, 0, NULL, "of the plan, now or at its end"},                \
	{"change", API_IS_OBJECT, API_OR_NULL, "PlanMove", "the version that was announced next"}, \
	{"currency", API_IS_TEXT, 0, NULL, "of the budget"},                                      \
	{"budget", API_IS_AMOUNT, API_OR_NULL, NULL, "the most that may be spent; null: no bound"},\
	{"budget_period", API_IS_CHOICE, API_OR_NULL, "month|once", "what the budget is for"},    \
	{"created", API_IS_TIME, 0, NULL, "when it began"},                                       \
	{"ended", API_IS_TIME, API_OR_NULL, NULL, "when it ended; null: it has not"}

static const struct api_member subscription_members[] = {SUBSCRIPTION_MEMBERS};

static const struct api_member subscription_ended_members[] = {SUBSCRIPTION_MEMBERS,
							       APPLIED_MEMBER};

static const struct api_member subscribed_members[] = {
	SUBSCRIPTION_MEMBERS,
	{"outcome", API_IS_CHOICE, 0, "same|new|budget|replaced", "what the request changed"},
	{"replaces", API_IS_ID, API_OR_NULL, NULL, "the subscription that ended for this one"},
};

static const struct api_member usage_members[] = {
	{"from", API_IS_TIME, 0, NULL, "the first step's begin"},
	{"to", API_IS_TIME, 0, NULL, "the last step's end"},
	{"step", API_IS_CHOICE, 0, "minute|hour|day", "of one point, in UTC"},
	{"series", API_IS_OBJECT, API_LIST_OF, "UsageSeries", "those that were called"},
	{"total", API_IS_OBJECT, 0, "UsageTotal", "of all of them"},
};

#define USAGE_MEMBERS                                                                             \
	{"calls", API_IS_COUNT, 0, NULL, "finished and posted"},                                  \
	{"billed_calls", API_IS_COUNT, 0, NULL, "of them, those that count for charges"},         \
	{"errors", API_IS_COUNT, 0, NULL, "of them, those with a status from 500 on, or cut"},    \
	{"request_bytes", API_IS_COUNT, 0, NULL, "of the requests' bodies"},                      \
	{"response_bytes", API_IS_COUNT, 0, NULL, "of the answers' bodies"},                      \
	{"mean_us", API_IS_COUNT, 0, NULL, "mean duration, from the request's head on"},          \
	{"p50_us", API_IS_COUNT, 0, NULL, "half of the calls took at most so long"},              \
	{"p90_us", API_IS_COUNT, 0, NULL, "and 90 in 100"},                                       \
	{"p99_us", API_IS_COUNT, 0, NULL, "and 99 in 100; each is at most an eighth too long"}

static const struct api_member usage_total_members[] = {USAGE_MEMBERS};

#define UNITS_MEMBER {"units", API_IS_COUNT, API_MAP_OF, NULL, "what the service reported, by meter"}

static const struct api_member usage_sum_members[] = {USAGE_MEMBERS, UNITS_MEMBER};

static const struct api_member usage_point_members[] = {
	USAGE_MEMBERS, UNITS_MEMBER,
	{"at", API_IS_TIME, 0, NULL, "the step's begin"},
};

static const struct api_member usage_series_members[] = {
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},
	{"app", API_IS_TEXT, API_OR_NULL, NULL, "`account/app`; null: every app's calls"},
	{"points", API_IS_OBJECT, API_LIST_OF, "UsagePoint", "steps with calls, the oldest first"},
	{"total", API_IS_OBJECT, 0, "UsageSum", "of the points"},
};

static const struct api_member ledger_members[] = {
	{"currency", API_IS_TEXT, 0, NULL, "of the amounts"},
	{"accounts", API_IS_OBJECT, API_LIST_OF, "LedgerAccount", "one ledger after the other"},
	{"sums", API_IS_OBJECT, API_LIST_OF, "LedgerSum", "of each ledger's accounts, of all pages"},
	{"next", API_IS_TEXT, API_OR_NULL, NULL, "the next page's `after`; null: it is the last"},
};

#define FOUR_AMOUNTS                                                                              \
	{"debits_pending", API_IS_AMOUNT, 0, NULL, "reserved to go out"},                         \
	{"debits_posted", API_IS_AMOUNT, 0, NULL, "went out"},                                    \
	{"credits_pending", API_IS_AMOUNT, 0, NULL, "reserved to come in"},                       \
	{"credits_posted", API_IS_AMOUNT, 0, NULL, "came in"}

static const struct api_member ledger_account_members[] = {
	{"id", API_IS_ID, 0, NULL, "of the ledger account"},
	{"name", API_IS_TEXT, 0, NULL, "unique in its ledger"},
	{"ledger", API_IS_COUNT, 0, NULL, "its ledger's number"},
	FOUR_AMOUNTS,
};

static const struct api_member ledger_sum_members[] = {
	{"ledger", API_IS_COUNT, 0, NULL, "the ledger's number"},
	{"name", API_IS_TEXT, 0, NULL, "the ledger's name"},
	{"accounts", API_IS_COUNT, 0, NULL, "how many it has"},
	FOUR_AMOUNTS,
	{"balances", API_IS_FLAG, 0, NULL, "all debits are all credits"},
};

static const struct api_member call_record_members[] = {
	{"call", API_IS_TEXT, 0, NULL, "the call's id (UUIDv7)"},
	{"started", API_IS_TIME, 0, NULL, "its request had come"},
	{"settled", API_IS_TIME, 0, NULL, "it was recorded; decides the month"},
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},
	{"app", API_IS_TEXT, 0, NULL, "`account/app`"},
	{"account", API_IS_TEXT, 0, NULL, "the caller's name"},
	{"plan", API_IS_TEXT, 0, NULL, "the plan's name"},
	{"plan_version", API_IS_COUNT, 0, NULL, "of the plan"},
	{"key", API_IS_ID, API_OR_NULL, NULL, "the key's id; null of what was reported"},
	{"instance", API_IS_ID, API_OR_NULL, NULL, "which one answered; null of what was reported"},
	{"status", API_IS_COUNT, 0, NULL, "the answer's HTTP status"},
	{"outcome", API_IS_CHOICE, 0, "answered|aborted|failed|cut|running|reported|unknown",
	 "how it ended; `running`: more records follow; `reported`: no call, but usage that the "
	 "service's provider reported"},
	{"billed", API_IS_FLAG, 0, NULL, "it counts for charges"},
	{"continues", API_IS_FLAG, 0, NULL, "counts no call: not the first part of it, or reported"},
	{"request_bytes", API_IS_COUNT, 0, NULL, "of the request's body"},
	{"response_bytes", API_IS_COUNT, 0, NULL, "of the answer's body"},
	{"duration_us", API_IS_COUNT, 0, NULL, "from the request's head to the record"},
	{"service_us", API_IS_COUNT, 0, NULL, "of it, the service's part"},
	{"units", API_IS_COUNT, API_MAP_OF, NULL, "what the service reported, by meter"},
	{"charge", API_IS_AMOUNT, 0, NULL, "as the caller was told"},
	{"stream", API_IS_COUNT, 0, NULL, "of the journal"},
	{"position", API_IS_COUNT, 0, NULL, "in its stream"},
};

static const struct api_member transfer_members[] = {
	{"id", API_IS_ID, 0, NULL, "of the transfer"},
	{"at", API_IS_TIME, 0, NULL, "when"},
	{"kind", API_IS_TEXT, 0, NULL, "what for, in a word"},
	{"phase", API_IS_CHOICE, 0, "single|pending|post|void",
	 "it moves money, reserves it, moves what was reserved, or releases it"},
	{"amount", API_IS_AMOUNT, 0, NULL, "what it moves"},
	{"currency", API_IS_TEXT, 0, NULL, "of the amount"},
	{"debit", API_IS_TEXT, 0, NULL, "the account that it comes from"},
	{"credit", API_IS_TEXT, 0, NULL, "the account that it goes to"},
	{"resolves", API_IS_ID, API_OR_NULL, NULL, "the pending transfer that it posts or voids"},
	{"subscription", API_IS_ID, API_OR_NULL, NULL, "what it is about"},
	{"period", API_IS_MONTH, API_OR_NULL, NULL, "which month it counts to"},
};

static const struct api_member change_members[] = {
	{"id", API_IS_ID, 0, NULL, "of the entry; later ones are larger"},
	{"at", API_IS_TIME, 0, NULL, "when"},
	{"actor", API_IS_TEXT, 0, NULL, "who: a role, and a fingerprint of the token"},
	{"operation", API_IS_TEXT, 0, NULL, "by which operation (`operationId` in the OpenAPI document)"},
	{"kind", API_IS_CHOICE, 0, "account|app|key|service|subscription|tls|token", "what was changed"},
	{"name", API_IS_TEXT, 0, NULL,
	 "its name; of a key its id, of a subscription its app, of tls `gateway`"},
	{"facts", API_IS_SCHEMA, 0, NULL, "what is other than before, in short"},
};

static const struct api_member audit_log_members[] = {
	{"stream", API_IS_COUNT, 0, NULL, "of the journal"},
	{"origin", API_IS_TEXT, 0, NULL, "the log's name, the first line of its checkpoints"},
	{"key", API_IS_TEXT, 0, NULL, "its public key, a C2SP vkey under the log's name"},
	{"size", API_IS_COUNT, 0, NULL, "records in the tree that was signed last"},
	{"root", API_IS_TEXT, 0, NULL, "its root hash, in base64"},
	{"checkpoint", API_IS_TEXT, 0, NULL, "the same, signed: a C2SP checkpoint"},
	{"damage", API_IS_TEXT, API_OR_NULL, NULL, "what is not as it was signed; null: nothing"},
};

static const struct api_member tile_members[] = {
	{"hashes", API_IS_TEXT, API_LIST_OF, NULL, "from the left, in base64"},
};

static const struct api_member receipt_members[] = {
	{"call", API_IS_TEXT, 0, NULL, "the call's id"},
	{"stream", API_IS_COUNT, 0, NULL, "of the journal, where its record stands"},
	{"position", API_IS_COUNT, 0, NULL, "in the stream"},
	{"origin", API_IS_TEXT, 0, NULL, "the log's name"},
	{"size", API_IS_COUNT, 0, NULL, "of the tree that the proof is for"},
	{"record", API_IS_TEXT, 0, NULL, "the 192 bytes of the record, in base64"},
	{"receipt", API_IS_TEXT, 0, NULL, "record, proof and checkpoint: a C2SP tlog-proof"},
};

static const struct api_member bill_members[] = {
	{"format", API_IS_CHOICE, 0, "stoa-bill/1", "of this document"},
	{"cloud", API_IS_TEXT, 0, NULL, "the name of the key that signs"},
	{"currency", API_IS_TEXT, 0, NULL, "of the amounts"},
	{"account", API_IS_TEXT, 0, NULL, "whose bill it is"},
	{"period", API_IS_MONTH, 0, NULL, "a calendar month in UTC"},
	{"made", API_IS_TIME, 0, NULL, "when; later calls are not in it"},
	{"cards", API_IS_OBJECT, API_LIST_OF, "BillCard", "the rate cards that were in force"},
	{"phases", API_IS_OBJECT, API_LIST_OF, "BillPhase", "which was in force when"},
	{"subscriptions", API_IS_OBJECT, API_LIST_OF, "BillSubscription", "the terms of each"},
	{"lines", API_IS_OBJECT, API_LIST_OF, "BillLine", "one for each thing charged"},
	{"total", API_IS_AMOUNT, 0, NULL, "the sum; below zero it is owed to the account"},
	{"streams", API_IS_OBJECT, API_LIST_OF, "BillStream", "the calls, and that they are on record"},
	{"signature", API_IS_TEXT, 0, NULL, "a note that signs all bytes before this member"},
};

static const struct api_member bill_card_members[] = {
	{"card", API_IS_COUNT, 0, NULL, "its number"},
	{"fee_ppm", API_IS_COUNT, 0, NULL, "the commission, in millionths of the usage"},
	{"rates", API_IS_OBJECT, API_MAP_OF, "BillRate", "by cloud meter"},
};

static const struct api_member bill_rate_members[] = {
	{"nano", API_IS_COUNT, 0, NULL, "billionths of the currency"},
	{"per", API_IS_COUNT, 0, NULL, "so many of the meter's units"},
};

static const struct api_member bill_phase_members[] = {
	{"phase", API_IS_COUNT, 0, NULL, "its number"},
	{"card", API_IS_COUNT, 0, NULL, "the rate card of its records"},
};

static const struct api_member bill_named_members[] = {
	{"id", API_IS_COUNT, 0, NULL, "as records have it; 0 for none"},
	{"name", API_IS_TEXT, 0, NULL, "as people say it"},
};

static const struct api_member bill_subscription_members[] = {
	{"subscription", API_IS_COUNT, 0, NULL, "its number, as records have it"},
	{"account", API_IS_OBJECT, 0, "BillNamed", "the consumer"},
	{"app", API_IS_OBJECT, 0, "BillNamed", "the consumer's app"},
	{"provider", API_IS_OBJECT, 0, "BillNamed", "the service's account"},
	{"service", API_IS_OBJECT, 0, "BillNamed", "what is called"},
	{"plan", API_IS_OBJECT, 0, "BillNamed", "its price list"},
	{"units", API_IS_OBJECT, API_LIST_OF, "BillUnit", "the service's own meters, by slot"},
	{"max_charge", API_IS_AMOUNT, API_OR_NULL, NULL, "for one call; null: no bound"},
	{"discount_ppm", API_IS_COUNT, API_MAY_LACK, NULL,
	 "off the month's usage, in millionths of it"},
	{"discount", API_IS_AMOUNT, API_MAY_LACK, NULL, "off what is left of it then"},
	{"bill_always", API_IS_FLAG, 0, NULL, "answers of 500 and above are billed too"},
	{"prices", API_IS_OBJECT, API_LIST_OF, "BillPrice", "what the meters cost"},
};

static const struct api_member bill_unit_members[] = {
	{"name", API_IS_TEXT, 0, NULL, "of the meter; empty for a free slot"},
	{"max", API_IS_COUNT, API_OR_NULL, NULL, "counted for one call; null: no bound"},
};

static const struct api_member bill_price_members[] = {
	{"meter", API_IS_TEXT, 0, NULL, "what is counted; `unit_0` is the unit of slot 0"},
	{"model", API_IS_TEXT, 0, NULL, "how the quantity becomes an amount"},
	{"free", API_IS_COUNT, 0, NULL, "free of charge in each month"},
	{"rate", API_IS_OBJECT, 0, "BillRate", "the price; of a graduated one the tiers have it"},
	{"tiers", API_IS_OBJECT, API_LIST_OF, "BillTier", "of a graduated price"},
	{"minimum", API_IS_AMOUNT, API_MAY_LACK, NULL,
	 "what a month with any use of the meter costs at least"},
};

static const struct api_member bill_tier_members[] = {
	{"up_to", API_IS_COUNT, API_OR_NULL, NULL, "the last of it; null: no end"},
	{"rate", API_IS_OBJECT, 0, "BillRate", "the price within"},
};

static const struct api_member bill_line_members[] = {
	{"role", API_IS_CHOICE, 0, "consumer|provider|operator", "the account's part in the trade"},
	{"kind", API_IS_CHOICE, 0, "usage|cloud|fee", "price, running cost, or commission"},
	{"service", API_IS_OBJECT, 0, "BillNamed", "what was called"},
	{"plan", API_IS_OBJECT, 0, "BillNamed", "its price list"},
	{"app", API_IS_OBJECT, 0, "BillNamed", "who called; none in a provider's lines"},
	{"subscription", API_IS_COUNT, 0, NULL, "its number; 0 in a provider's lines"},
	{"meter", API_IS_TEXT, 0, NULL, "what was counted"},
	{"model", API_IS_TEXT, 0, NULL, "how the quantity becomes an amount"},
	{"quantity", API_IS_COUNT, 0, NULL, "how much, as records count it"},
	{"amount", API_IS_AMOUNT, 0, NULL, "what it costs"},
};

static const struct api_member bill_stream_members[] = {
	{"origin", API_IS_TEXT, 0, NULL, "the log's name"},
	{"checkpoint", API_IS_TEXT, 0, NULL, "its signed head: a C2SP checkpoint"},
	{"starts", API_IS_COUNT, API_LIST_OF, NULL, "the first position of each phase"},
	{"late", API_IS_OBJECT, API_LIST_OF, "BillLate", "records of a later phase than that"},
	{"tree", API_IS_TEXT, API_LIST_OF, NULL, "records and hashes from the left, in base64"},
};

static const struct api_member bill_late_members[] = {
	{"position", API_IS_COUNT, 0, NULL, "of the record"},
	{"phase", API_IS_COUNT, 0, NULL, "in which it was charged"},
};

#define SCHEMA(name, members, sentence) {name, sentence, members, COUNT_OF(members)}

const struct api_schema api_schemas[] = {
	SCHEMA("Problem", problem_members, "What was refused, or failed (RFC 9457)."),
	SCHEMA("ArgumentError", argument_error_members, "What is wrong with an argument."),
	SCHEMA("Complaint", complaint_members, "What is wrong with a manifest."),
	SCHEMA("Health", health_members, "That the API answers."),
	SCHEMA("Status", api_status_members, "The cloud and this node."),
	SCHEMA("Trouble", api_trouble_members, "A part of the node that cannot do its work."),
	SCHEMA("JournalState", api_journal_state_members, "How the journal does."),
	SCHEMA("Stream", api_stream_members, "One of the journal's streams."),
	SCHEMA("Instance", api_instance_members, "A running copy of a service."),
	SCHEMA("Account", account_members, "A billing party: provider, consumer, or both."),
	SCHEMA("Funding", api_funding_members, "Money that was put into an account."),
	SCHEMA("Statement", api_statement_members, "What an account owes and is owed for a month."),
	SCHEMA("StatementLine", api_statement_line_members, "One line of a statement."),
	SCHEMA("Bill", bill_members, "A month's statement that anybody can check (receipts.md)."),
	SCHEMA("BillCard", bill_card_members, "The operator's prices and commission."),
	SCHEMA("BillRate", bill_rate_members, "A price."),
	SCHEMA("BillPhase", bill_phase_members, "A stretch of the records under one card."),
	SCHEMA("BillSubscription", bill_subscription_members, "What the bill's calls were rated by."),
	SCHEMA("BillNamed", bill_named_members, "A number and its name."),
	SCHEMA("BillUnit", bill_unit_members, "A meter of the service's own."),
	SCHEMA("BillPrice", bill_price_members, "What a meter costs."),
	SCHEMA("BillTier", bill_tier_members, "A part of a graduated price."),
	SCHEMA("BillLine", bill_line_members, "One line of a bill."),
	SCHEMA("BillStream", bill_stream_members, "The bill's calls in one stream of the journal."),
	SCHEMA("BillLate", bill_late_members, "A record that waited for its terms."),
	SCHEMA("App", api_app_members, "A consumer's program."),
	SCHEMA("Key", key_members, "An API key, without its text."),
	SCHEMA("KeyMade", key_made_members, "An API key that was just made."),
	SCHEMA("KeyRotated", key_rotated_members, "An API key that replaces another."),
	SCHEMA("CertificateMade", certificate_made_members, "A client certificate that was issued."),
	SCHEMA("Tls", api_tls_members, "How the gateway speaks TLS."),
	SCHEMA("TlsListener", api_tls_listener_members, "A listener of the gateway that speaks TLS."),
	SCHEMA("TlsCertificate", api_tls_certificate_members, "A certificate that the node holds."),
	SCHEMA("TlsReloaded", api_tls_reloaded_members, "What looking at the files came to."),
	SCHEMA("KeyRevoked", key_revoked_members, "An API key that was revoked."),
	SCHEMA("Published", published_members, "What publishing a manifest changed."),
	SCHEMA("PlanChange", plan_change_members, "What became of a plan."),
	SCHEMA("ServiceHit", service_hit_members, "A service as the catalog lists it."),
	SCHEMA("Identity", api_identity_members, "What a service knows the cloud's calls by."),
	SCHEMA("IdentityKey", api_identity_key_members, "A secret that the cloud and a service share."),
	SCHEMA("Service", service_members, "A service with its offered plans."),
	SCHEMA("ServiceTls", service_tls_members, "How a service is known by TLS."),
	SCHEMA("Run", run_members, "How the cloud runs a service."),
	SCHEMA("Meter", meter_members, "A quantity that a service reports."),
	SCHEMA("Plan", api_plan_members, "A price list with limits."),
	SCHEMA("PlanMove", api_plan_move_members, "A plan version that comes to a subscription."),
	SCHEMA("Price", api_price_members, "What a meter costs."),
	SCHEMA("PricePreview", api_price_preview_members, "What a month would cost under a plan."),
	SCHEMA("PriceLine", api_price_line_members, "What one price comes to."),
	SCHEMA("PricePart", api_price_part_members, "A part of what a price comes to."),
	SCHEMA("PriceDiscount", api_price_discount_members, "What a discount takes off."),
	SCHEMA("Tier", api_tier_members, "A part of a graduated price."),
	SCHEMA("Limits", api_limits_members, "How much an app may call."),
	SCHEMA("Log", log_members, "Lines that a service's instances wrote."),
	SCHEMA("Subscription", subscription_members, "An app's right to call a service."),
	SCHEMA("SubscriptionEnded", subscription_ended_members, "A subscription that was ended."),
	SCHEMA("Subscribed", subscribed_members, "A subscription that was just made or changed."),
	SCHEMA("Budgets", api_budgets_members, "What bounds the calls of an account, app or service."),
	SCHEMA("Budget", api_budget_members, "A bound on what is spent."),
	SCHEMA("Usage", usage_members, "How much was called over time, and how fast."),
	SCHEMA("UsageSeries", usage_series_members, "A service's calls, or an app's of a service."),
	SCHEMA("UsagePoint", usage_point_members, "The calls that were settled in a step."),
	SCHEMA("UsageSum", usage_sum_members, "The calls of a series."),
	SCHEMA("UsageTotal", usage_total_members, "The calls of all series."),
	SCHEMA("Ledger", ledger_members, "Every account of every ledger."),
	SCHEMA("LedgerAccount", ledger_account_members, "An account of a ledger."),
	SCHEMA("LedgerSum", ledger_sum_members, "A ledger summed up."),
	SCHEMA("Transfer", transfer_members, "An entry of the ledger; it never changes."),
	SCHEMA("Change", change_members, "An entry of the change log."),
	SCHEMA("AuditLog", audit_log_members, "A stream's transparency log."),
	SCHEMA("Tile", tile_members, "Neighbouring hashes of a Merkle tree."),
	SCHEMA("Receipt", receipt_members, "The proof that a call's record is in the log."),
	SCHEMA("Token", api_token_members, "An access token, without its text."),
	SCHEMA("TokenMade", api_token_made_members, "An access token that was made now."),
	SCHEMA("UsageReport", api_usage_report_members, "What became of events that report usage."),
	SCHEMA("UsageResult", api_usage_result_members, "What became of one event."),
	SCHEMA("CallRecord", call_record_members, "The fact about one finished call."),
};
/* clang-format on */
const size_t api_schema_count = COUNT_OF(api_schemas);
