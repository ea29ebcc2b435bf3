#include "cli/cli_internal.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

const struct cli_option cli_global_options[] = {
	{"--cloud", "DIR", false, "the cloud's folder; $STOA_CLOUD, else ./cloud"},
	{"--json", NULL, false, "print JSON for programs"},
	{"--help", NULL, false, "show how the command is used"},
};
const size_t cli_global_option_count = COUNT_OF(cli_global_options);

static const struct cli_option serve_options[] = {
	{"--gateway", "ADDR", true,
	 "where calls come in, in place of cloud.yaml's; port 0: a free one"},
	{"--api", "ADDR", false, "where the API listens, in place of cloud.yaml's"},
	{"--workers", "N", false, "threads that serve calls, 1 to 63"},
	{"--io", "auto|uring|epoll", false, "how the gateway waits for the network"},
};

static const struct cli_option fund_options[] = {
	{"--idempotency-key", "KEY", false, "the same key again funds nothing more"},
};

static const struct cli_option key_create_options[] = {
	{"--scope", "SERVICE[:METHODS[:PATH]]", true,
	 "what the key may do; without it everything the app may"},
	{"--expires", "WHEN", false, "a duration (30d) or a time (2027-01-31T00:00:00Z)"},
	{"--count", "N", false, "make so many, 1 to 1000000"},
};

static const struct cli_option key_rotate_options[] = {
	{"--overlap", "DURATION", false, "how long the old key goes on working; 1h, or 0 at once"},
};

static const struct cli_option wait_options[] = {
	{"--wait", NULL, false, "until every worker has applied it"},
};

static const struct cli_option tls_client_options[] = {
	{"--expires", "WHEN", false,
	 "a duration (30d) or a time (2027-01-31T00:00:00Z); 90d where not given"},
	{"--out", "DIR", false, "where the files go; the current folder where not given"},
};

static const struct cli_option tls_map_options[] = {
	{"--expires", "WHEN", false, "a duration (30d) or a time (2027-01-31T00:00:00Z)"},
};

static const struct cli_option publish_options[] = {
	{"--as", "ACCOUNT", false, "the provider's account; it is needed"},
	{"--dry-run", NULL, false, "check, and tell what would change, and change nothing"},
};

static const struct cli_option subscribe_options[] = {
	{"--budget", "AMOUNT[/month]", false,
	 "the most that may be spent, once or in each calendar month (UTC)"},
};

static const struct cli_option call_options[] = {
	{"--key", "KEY", false, "an API key; $STOA_KEY where not given"},
	{"--data", "FILE", false, "the request's body, - for standard input", 'd'},
	{"--method", "METHOD", false, "GET without a body, POST with one, where not given", 'X'},
	{"--header", "NAME: VALUE", true, "a header field of the request", 'H'},
	{"--head", NULL, false, "print the answer's head too, before its body", 'i'},
	{"--timeout", "DURATION", false,
	 "give up after so long; else as long as the gateway waits"},
};

static const struct cli_option usage_options[] = {
	{"--service", "SERVICE", false, "only this service"},
	{"--account", "ACCOUNT", false, "only this account's apps, each app and service apart"},
	{"--app", "ACCOUNT/APP", false, "only this app, each service apart"},
	{"--step", "minute|hour|day", false, "what is summed up; hour where not given"},
	{"--from", "WHEN", false,
	 "a time (2026-11-24T00:00:00Z) or a duration back from now (24h); else the last hour, "
	 "day or 30 days, by the step"},
	{"--to", "WHEN", false, "now where not given"},
};

static const struct cli_option report_options[] = {
	{"--id", "EVENT", false, "the event's: the same again counts nothing more; else by chance"},
	{"--source", "SOURCE", false, "who made the id; /stoa/cli where not given"},
	{"--time", "TIME", false, "when it was used (2026-11-24T04:10:57Z); now where not given"},
};

static const struct cli_option token_create_options[] = {
	{"--role", "provider", false, "what for; provider where not given"},
	{"--expires", "WHEN", false, "a duration (30d) or a time (2027-01-31T00:00:00Z)"},
};

static const struct cli_option change_options[] = {
	{"--kind", "account|app|key|service|subscription|tls|token", false,
	 "only of this kind of thing"},
	{"--name", "NAME", false, "only of what has this name; of a key its id"},
};

static const struct cli_option metric_options[] = {
	{"--page", NULL, false, "print the page as Prometheus reads it"},
};

static const struct cli_option price_options[] = {
	{"--app", "ACCOUNT/APP", false, "in place of quantities, what this app really used"},
	{"--period", "MONTH", false, "in this calendar month (UTC); last month where not given"},
};

static const struct cli_option statement_options[] = {
	{"--period", "MONTH", false, "a calendar month (UTC) such as 2026-11; else this month"},
	{"--app", "ACCOUNT/APP", false, "only this app"},
	{"--service", "SERVICE", false, "only this service"},
	{"--bill", "FILE", false,
	 "write the bill, which proves each call in it; - for standard output"},
};

static const struct cli_option verify_options[] = {
	{"--key", "KEY", false,
	 "the cloud's public key, `name+id+base64`, or a file with it; else log.pub in --cloud"},
};

static const struct cli_option transfer_options[] = {
	{"--lines", "N", false, "how many, 100 where not given", 'n'},
	{"--after", "CURSOR", false, "go on where an earlier list ended"},
};

static const struct cli_option export_options[] = {
	{"--hledger", NULL, false, "as a journal of hledger; it is needed"},
	{"--from", "MONTH", false, "the first calendar month (UTC) such as 2026-11; else all"},
	{"--to", "MONTH", false, "the last month; else until now"},
};

static const struct cli_option log_options[] = {
	{"--lines", "N", false, "how many of the last lines, 100 where not given", 'n'},
	{"--follow", NULL, false, "go on with what is written, until interrupted", 'f'},
};

#define NO_OPTIONS     NULL, 0
#define OPTIONS(array) array, COUNT_OF(array)

/* clang-format off */
const struct cli_command cli_commands[] = {
	{"serve", "", "Run the cloud; its folder is made if there is none",
	 "It runs until SIGINT or SIGTERM. A folder that is not there is made, with a cloud.yaml, an\n"
	 "admin token and an empty ledger. When it is ready it prints one line.",
	 "$ stoa serve --cloud ./cloud\n"
	 "ready gateway=127.0.0.1:8080 api=127.0.0.1:7070\n"
	 "$ stoa serve --cloud /srv/cloud --gateway 0.0.0.0:80 --gateway unix:/run/stoa.sock\n",
	 OPTIONS(serve_options), 0, 0, NULL},
	{"account create", "NAME", "Make an account, which may provide, consume, or both",
	 "A name is a DNS label (a-z, 0-9, '-') and never changes.",
	 "$ stoa account create acme\n"
	 "account acme (acct_2)\n",
	 NO_OPTIONS, 1, 1, cli_account_create},
	{"account list", "", "List the accounts with their balances",
	 "Leased money is reserved for calls; available is what nobody has reserved.",
	 "$ stoa account list\n"
	 "NAME    BALANCE  AVAILABLE    LEASED      OWED  CREATED\n"
	 "acme  10.00 USD   9.00 USD  1.00 USD  0.00 USD  2026-11-24 04:10:57 UTC\n",
	 NO_OPTIONS, 0, 0, cli_account_list},
	{"fund", "ACCOUNT AMOUNT", "Put money into an account",
	 NULL,
	 "$ stoa fund acme 10.00\n"
	 "acme was funded with 10.00 USD; its balance is 10.00 USD\n",
	 OPTIONS(fund_options), 2, 2, cli_fund},
	{"app create", "ACCOUNT/APP", "Make an app, a program that calls services",
	 NULL,
	 "$ stoa app create acme/shop\n"
	 "app acme/shop (app_1)\n",
	 NO_OPTIONS, 1, 1, cli_app_create},
	{"app list", "[ACCOUNT]", "List the apps",
	 NULL,
	 "$ stoa app list acme\n",
	 NO_OPTIONS, 0, 1, cli_app_list},
	{"key create", "ACCOUNT/APP", "Make API keys of an app; they are shown once",
	 "With --json, and with --count, one JSON object a line.",
	 "$ stoa key create acme/shop\n"
	 "stoa_Zm9v...\n"
	 "$ stoa key create acme/shop --expires 30d --json\n"
	 "{\"id\":\"key_2\",\"key\":\"stoa_...\", ...}\n"
	 "$ stoa key create acme/shop --scope thumbs:GET,POST:/resize\n",
	 OPTIONS(key_create_options), 1, 1, cli_key_create},
	{"key list", "[ACCOUNT/APP]", "List the keys with what they did, without their texts",
	 "Calls are those of this calendar month (UTC); the last one is known to the minute.",
	 "$ stoa key list acme/shop\n",
	 NO_OPTIONS, 0, 1, cli_key_list},
	{"key rotate", "ID", "Replace a key by a new one, which is shown once",
	 "The new key has the same app, scopes and expiry. The old one goes on working for the\n"
	 "overlap, so that no call is lost while programs change over.",
	 "$ stoa key rotate key_2 --overlap 30m\n"
	 "stoa_Zm9v...\n",
	 OPTIONS(key_rotate_options), 1, 1, cli_key_rotate},
	{"key revoke", "ID", "Revoke a key, for ever, and cut its calls in flight",
	 NULL,
	 "$ stoa key revoke key_2 --wait\n"
	 "key_2 of acme/shop is revoked since 2026-11-24 04:10:57 UTC\n"
	 "every worker has applied it, after 3.2 ms\n",
	 OPTIONS(wait_options), 1, 1, cli_key_revoke},
	{"token create", "ACCOUNT", "Make an access token of an account; it is shown once",
	 "A provider's token opens POST /v1/usage for the account's own services, and nothing else.",
	 "$ stoa token create globex --role provider --expires 30d\n"
	 "stoa_Zm9v...\n",
	 OPTIONS(token_create_options), 1, 1, cli_token_create},
	{"token list", "[ACCOUNT]", "List the access tokens, without their texts",
	 NULL,
	 "$ stoa token list globex\n",
	 NO_OPTIONS, 0, 1, cli_token_list},
	{"token revoke", "TOKEN", "Revoke an access token, for ever",
	 NULL,
	 "$ stoa token revoke token_1\n"
	 "token_1 of globex is revoked since 2026-11-24 04:10:57 UTC\n",
	 NO_OPTIONS, 1, 1, cli_token_revoke},
	{"tls client", "ACCOUNT/APP", "Issue a client certificate, which an app shows in place of a key",
	 "The key is made here and goes nowhere; the cloud's authority signs for it. The gateway asks\n"
	 "for certificates where a listener has `,clients=optional` or `,clients=required`.",
	 "$ stoa tls client acme/shop --expires 30d\n"
	 "./acme-shop.key\n"
	 "./acme-shop.pem\n"
	 "$ curl --cacert cloud/tls/ca.pem --cert acme-shop.pem --key acme-shop.key \\\n"
	 "    https://thumbs.localhost:8443/\n",
	 OPTIONS(tls_client_options), 1, 1, cli_tls_client},
	{"tls map", "NAME ACCOUNT/APP", "Take client certificates from elsewhere with a name for an app's",
	 "NAME is dns:HOST or uri:URI, as it stands among a certificate's subject alternative names.\n"
	 "A listener believes those authorities that its `,ca=FILE` holds.",
	 "$ stoa tls map dns:shop.partner.example acme/shop\n"
	 "certificates with dns:shop.partner.example are acme/shop's (key_4)\n",
	 OPTIONS(tls_map_options), 2, 2, cli_tls_map},
	{"tls list", "[ACCOUNT/APP]", "List client certificates and mapped names with what they did",
	 "Calls are those of this calendar month (UTC); the last one is known to the minute.",
	 "$ stoa tls list acme/shop\n",
	 NO_OPTIONS, 0, 1, cli_tls_list},
	{"tls revoke", "ID", "Revoke a client certificate or a mapped name, and cut its calls in flight",
	 NULL,
	 "$ stoa tls revoke key_4 --wait\n"
	 "key_4 of acme/shop is revoked since 2026-11-24 04:10:57 UTC\n"
	 "every worker has applied it, after 3.2 ms\n",
	 OPTIONS(wait_options), 1, 1, cli_key_revoke},
	{"tls show", "", "Show the gateway's listeners of TLS, its certificates, and when those end",
	 NULL,
	 "$ stoa tls show\n",
	 NO_OPTIONS, 0, 0, cli_tls_show},
	{"tls reload", "", "Take files of certificates that have changed, at once",
	 "The node looks at them every ten seconds by itself. One that cannot be used is told, and\n"
	 "what was in force goes on.",
	 "$ stoa tls reload\n"
	 "other certificates than before are in force\n",
	 NO_OPTIONS, 0, 0, cli_tls_reload},
	{"publish", "FILE", "Publish a service by its manifest, or what changed in it",
	 "The service's command runs in the manifest's folder. Publishing the same again changes\n"
	 "nothing. What is wrong with the manifest is told as file:line:column. Who is subscribed to\n"
	 "a plan gets its next version at a month's start, what is dearer after the plan's notice.\n"
	 "The files that `tls` of the manifest names are read by this command, beside the manifest,\n"
	 "and what they hold is published: a renewed certificate is in force once it is published.",
	 "$ stoa publish examples/thumbs/service.yaml --as globex --dry-run\n"
	 "thumbs 1.4.0 would be published\n"
	 "  plan payg version 1: new\n"
	 "$ stoa publish examples/thumbs/service.yaml --as globex\n"
	 "thumbs 1.4.0 is published\n"
	 "  plan payg version 1: new\n",
	 OPTIONS(publish_options), 1, 1, cli_publish},
	{"identity show", "SERVICE", "Show what a service's calls are signed with",
	 "The service needs both secrets: a rotation begins to use the second one.\n"
	 "docs/identity.md has how signatures are checked.",
	 "$ stoa identity show thumbs\n"
	 "KEY ID   USE   SECRET\n"
	 "svc_1-1  now   63b2...\n"
	 "svc_1-2  next  0d4f...\n",
	 NO_OPTIONS, 1, 1, cli_identity_show},
	{"identity rotate", "SERVICE", "Sign a service's calls with its next secret from now on",
	 "Only once the service has both secrets: see `stoa identity show`. Instances that the cloud\n"
	 "runs have them, and are replaced by ones that know the secret behind.",
	 "$ stoa identity rotate thumbs\n"
	 "KEY ID   USE   SECRET\n"
	 "svc_1-2  now   0d4f...\n"
	 "svc_1-3  next  b1c5...\n",
	 NO_OPTIONS, 1, 1, cli_identity_rotate},
	{"subscribe", "ACCOUNT/APP SERVICE[:PLAN]",
	 "Subscribe an app to a service, or change its plan or budget",
	 "The plan may be left out where the service offers one only. Without --budget an app may\n"
	 "spend what its account has.",
	 "$ stoa subscribe acme/shop thumbs:payg --budget 5.00/month\n"
	 "acme/shop may call thumbs on plan payg (version 1), for at most 5.00 USD a month\n",
	 OPTIONS(subscribe_options), 2, 2, cli_subscribe},
	{"unsubscribe", "ACCOUNT/APP SERVICE",
	 "End an app's subscription to a service, and cut its calls in flight",
	 "What was used stays on the bill. Subscribing again later starts anew.",
	 "$ stoa unsubscribe acme/shop thumbs --wait\n"
	 "acme/shop may not call thumbs any more, since 2026-11-24 04:10:57 UTC\n"
	 "every worker has applied it, after 3.2 ms\n",
	 OPTIONS(wait_options), 2, 2, cli_unsubscribe},
	{"subscription list", "[ACCOUNT/APP]", "List the subscriptions that are active",
	 "With the plan versions that were announced to them, and what is dearer then.",
	 "$ stoa subscription list acme/shop\n"
	 "APP        SERVICE  PLAN  VERSION    BUDGET  PERIOD  CREATED\n"
	 "acme/shop  thumbs   payg        1  5.00 USD  month   2026-11-24 04:10:57 UTC\n"
	 "acme/shop gets version 2 of thumbs:payg on 2027-01-01; dearer or less: calls\n",
	 NO_OPTIONS, 0, 1, cli_subscription_list},
	{"budget set", "ACCOUNT[/APP[/SERVICE]] AMOUNT[/month]",
	 "Bound what an account, an app or a subscription may spend",
	 "For ever, or in each calendar month (UTC). A call needs room in its subscription's budget,\n"
	 "its app's and its account's; so no level ever spends more than its own.",
	 "$ stoa budget set acme 100.00/month\n"
	 "$ stoa budget set acme/shop 20.00/month\n"
	 "OF         LEVEL        BUDGET  PERIOD     SPENT        LEFT\n"
	 "acme/shop  app       20.00 USD  month   3.35 USD   16.65 USD\n"
	 "acme       account  100.00 USD  month   3.35 USD   96.65 USD\n",
	 NO_OPTIONS, 2, 2, cli_budget_set},
	{"budget show", "ACCOUNT[/APP[/SERVICE]]", "Show the budgets that bound its calls",
	 "Its own and those above it, with what is left of each. What is spent is told as far as calls\n"
	 "are posted, which takes less than a second.",
	 "$ stoa budget show acme/shop/thumbs\n",
	 NO_OPTIONS, 1, 1, cli_budget_show},
	{"budget remove", "ACCOUNT[/APP[/SERVICE]]", "Take a budget away; those above it stay",
	 NULL,
	 "$ stoa budget remove acme/shop\n",
	 NO_OPTIONS, 1, 1, cli_budget_remove},
	{"catalog", "", "List the services that can be called",
	 NULL,
	 "$ stoa catalog\n"
	 "SERVICE  VERSION  PROVIDER  SUMMARY\n"
	 "thumbs   1.4.0    globex    Thumbnails of JPEG, PNG and WebP pictures\n",
	 NO_OPTIONS, 0, 0, cli_catalog_list},
	{"catalog search", "WORDS", "Find services by name, summary and tags",
	 NULL,
	 "$ stoa catalog search pictures\n",
	 NO_OPTIONS, 1, CLI_ARGUMENTS_MAX, cli_catalog_search},
	{"catalog show", "SERVICE", "Show a service with its plans, prices and limits",
	 NULL,
	 "$ stoa catalog show thumbs\n",
	 NO_OPTIONS, 1, 1, cli_catalog_show},
	{"price", "SERVICE[:PLAN] [METER=COUNT]...", "Tell what a month would cost under a plan",
	 "Of quantities that are given, or with --app of what an app really used in a month, whatever\n"
	 "its plan was then. Each line is taken apart: allowance, tiers, packages, minimum; where a\n"
	 "nano is not whole the fraction is shown that was rounded, half to even. It is the provider's\n"
	 "price; what it costs to run the calls is the same under every plan, and comes on top.",
	 "$ stoa price thumbs:payg calls=1000 pixels=3M\n"
	 "$ stoa price thumbs:team --app acme/shop --period 2026-10\n",
	 OPTIONS(price_options), 1, CLI_ARGUMENTS_MAX, cli_price},
	{"call", "SERVICE PATH", "Call a service through the gateway",
	 "The answer's body goes to standard output as it comes, the charge to standard error. What\n"
	 "stands on standard input, where that is a file or a pipe, is the request's body. The exit\n"
	 "status is 1 where the answer's is 400 or more.",
	 "$ export STOA_KEY=$(stoa key create acme/shop)\n"
	 "$ stoa call thumbs '/resize?w=200' < photo.jpg > small.jpg\n"
	 "200 OK, 0.05 USD, call 019b0c5e-7a4e-7c6f-8a51-0d6d1f2f9f3a\n"
	 "$ stoa call words /count -d speech.txt -H 'Content-Type: text/plain' -i\n",
	 OPTIONS(call_options), 2, 2, cli_call},
	{"usage", "", "Show how much was called over time, and how fast",
	 "A service or app a row; where there is one only, step by step. Steps without any use\n"
	 "are left out. IN and OUT are the bodies of requests and answers; P90 is what 90 in 100 calls\n"
	 "took at most, from the request's head on. `stoa key list` tells the calls of each key.",
	 "$ stoa usage --service thumbs --step day --from 7d\n"
	 "$ stoa usage --account acme\n"
	 "SERVICE  APP        CALLS  ERRORS     P50     P90    P99       IN      OUT  TREND\n"
	 "thumbs   acme/shop   1204       3  1.2 ms  2.5 ms  14 ms  2.1 GiB  9.4 MiB    ▁▃█▅▂\n",
	 OPTIONS(usage_options), 0, 0, cli_usage},
	{"usage report", "ACCOUNT/APP SERVICE UNIT=QUANTITY...",
	 "Report usage of work that ended after its call",
	 "It is charged as if a call had told it, within the same budget and bounds, and stands in\n"
	 "the journal. Providers report by POST /v1/usage: see docs/usage.md.",
	 "$ stoa usage report acme/shop render jobs=3 --id job-81 --time 2026-11-24T04:10:57Z\n"
	 "job-81 is on record: 0.75 USD of acme/shop, record 019b0c5e-7a4e-7c6f-8a51-0d6d1f2f9f3a\n",
	 OPTIONS(report_options), 3, 6, cli_usage_report},
	{"statement", "ACCOUNT", "Show what an account owes and is owed for a month",
	 "An amount below zero is owed to the account. A bill can be checked by anybody who has it\n"
	 "and the cloud's public key: see `stoa verify`.",
	 "$ stoa statement acme\n"
	 "$ stoa statement acme --period 2026-11 --app acme/shop\n"
	 "$ stoa statement acme --bill bill.json && stoa verify bill.json\n",
	 OPTIONS(statement_options), 1, 1, cli_statement},
	{"receipt", "CALL", "Print the proof that a call is on record (a C2SP tlog-proof)",
	 "CALL is what the answer's `Stoa-Call` said. Who has the cloud's public key can check the\n"
	 "receipt without the cloud.",
	 "$ stoa receipt 019b0c5e-7a4e-7c6f-8a51-0d6d1f2f9f3a > call.tlog-proof\n"
	 "$ stoa verify call.tlog-proof\n",
	 NO_OPTIONS, 1, 1, cli_receipt},
	{"verify", "FILE", "Check a bill or a receipt; no cloud is asked",
	 "Exit status: 0 it holds, 1 it does not, or cannot be read, and the first thing that is\n"
	 "wrong is told, 2 wrong usage. FILE is - for standard input.",
	 "$ stoa verify bill.json --key log.pub\n",
	 OPTIONS(verify_options), 1, 1, cli_verify},
	{"ledger", "", "Show every account of the ledger, and that it balances",
	 NULL,
	 "$ stoa ledger\n",
	 NO_OPTIONS, 0, 0, cli_ledger},
	{"ledger transfers", "ACCOUNT", "List the transfers from and to an account, newest first",
	 "ACCOUNT may be any that `stoa ledger` shows under money.",
	 "$ stoa ledger transfers acme\n"
	 "TIME                     KIND     PHASE   FROM     TO       AMOUNT  PERIOD\n"
	 "2026-11-24 04:10:57 UTC  funding  single  outside  acme  10.00 USD  2026-11\n",
	 OPTIONS(transfer_options), 1, 1, cli_ledger_transfers},
	{"ledger export", "--hledger", "Print the ledger of money for another program to check",
	 "hledger (hledger.org) reads it: each transfer that moved money is a transaction, and every\n"
	 "account's balance is asserted at the end of each month and at the very end.",
	 "$ stoa ledger export --hledger > cloud.journal\n"
	 "$ hledger -f cloud.journal check --strict && hledger -f cloud.journal balance\n"
	 "$ stoa ledger export --hledger --from 2026-10 --to 2026-10\n",
	 OPTIONS(export_options), 0, 0, cli_ledger_export},
	{"journal cat", "", "Print the call records, one JSON object a line",
	 NULL,
	 "$ stoa journal cat\n"
	 "{\"call\":\"019b0c5e-...\",\"service\":\"thumbs\",\"status\":200, ...}\n",
	 NO_OPTIONS, 0, 0, cli_journal_cat},
	{"changes", "", "Show who changed what, and when, the oldest first",
	 "With --json, one JSON object a line. WHO is a role with a fingerprint of its token.",
	 "$ stoa changes --kind account --name acme\n"
	 "TIME                     WHO             OPERATION      KIND     NAME  FACTS\n"
	 "2026-11-24 04:10:57 UTC  admin:3f1c9a02  accounts_fund  account  acme  funded=10.00 ...\n",
	 OPTIONS(change_options), 0, 0, cli_changes},
	{"status", "", "Show how the cloud does: addresses, calls, instances, posting",
	 NULL,
	 "$ stoa status\n",
	 NO_OPTIONS, 0, 0, cli_status},
	{"metrics", "[WORD]", "Show what Prometheus is told, or what has a word in its name",
	 "The table leaves out the buckets of histograms; --json and --page have them.",
	 "$ stoa metrics journal\n"
	 "METRIC                       LABELS                        VALUE\n"
	 "stoa_journal_records_total   stream=\"0\",stage=\"written\"   1204\n",
	 OPTIONS(metric_options), 0, 1, cli_metrics},
	{"logs", "SERVICE", "Print the last lines that a service's instances wrote",
	 "With --follow and --json, one JSON object for some lines at a time.",
	 "$ stoa logs thumbs --lines 20\n"
	 "$ stoa logs thumbs --follow\n"
	 "2026-11-24T04:10:57.123Z inst_1 listening\n",
	 OPTIONS(log_options), 1, 1, cli_logs},
	{"backup", "DIR", "Copy the cloud, while it serves, into a folder that is not there yet",
	 "The copy is of one moment, has a checksum for each MiB, and is there whole or not at all.\n"
	 "Everything is in it but the admin token. It needs no node that runs.",
	 "$ stoa backup /backup/monday --cloud /var/lib/stoa\n"
	 "/backup/monday: 9 files, 1204224 bytes; 4096 call records, 4090 of them posted\n",
	 NO_OPTIONS, 1, 1, NULL},
	{"restore", "BACKUP DIR", "Make a cloud's folder from a backup",
	 "Every checksum is verified before anything is written; then whether store and journal fit,\n"
	 "and whether the ledger balances. DIR must be empty or not there.",
	 "$ stoa restore /backup/monday ./cloud\n"
	 "$ stoa serve --cloud ./cloud\n",
	 NO_OPTIONS, 2, 2, NULL},
	{"config check", "[FILE|DIR]", "Check a cloud.yaml without starting anything",
	 "What is wrong is told as file:line:column. Without an argument the cloud's own is checked.",
	 "$ stoa config check /etc/stoa/cloud.yaml\n",
	 NO_OPTIONS, 0, 1, NULL},
	{"config show", "[FILE|DIR]", "Show every setting that holds, and where it was set",
	 NULL,
	 "$ stoa config show\n"
	 "name                      shop              line 2\n"
	 "currency                  USD               line 3\n",
	 NO_OPTIONS, 0, 1, NULL},
	{"completion", "bash|zsh|fish", "Print what makes a shell complete commands and names",
	 "Commands and options are completed, and the names of accounts, apps, services and keys of\n"
	 "the cloud in --cloud or $STOA_CLOUD.",
	 "$ stoa completion fish > ~/.config/fish/completions/stoa.fish\n"
	 "in ~/.bashrc:                  eval \"$(stoa completion bash)\"\n"
	 "in ~/.zshrc, behind compinit:  source <(stoa completion zsh)\n",
	 NO_OPTIONS, 1, CLI_ARGUMENTS_MAX, cli_completion},
	{"help", "[COMMAND]", "Show how a command is used",
	 NULL,
	 "$ stoa help key create\n",
	 NO_OPTIONS, 0, CLI_ARGUMENTS_MAX, cli_help},
};
/* clang-format on */
const size_t cli_command_count = COUNT_OF(cli_commands);
