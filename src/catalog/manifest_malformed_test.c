/* What is wrong is told with its place, its value and what is allowed, in exactly these words. */
#include "base/testing.h"

#include <string.h>

#include "catalog/catalog.h"

#define IDENTITY  "service: thumbs\nversion: 1.4.0\n"
#define SERVICE   IDENTITY "run: {command: [./thumbs]}\n"
#define FREE_PLAN "plans: {free: {}}\n"
#define PIXELS    "meters: {pixels: {unit: pixel}}\n"
#define PAYG      "plans:\n  payg:\n"

static const struct malformed {
	const char *what;
	const char *text;
	const char *complaint; /* behind "service.yaml:" */
} malformed[] = {
	{"an empty file", "", "1:1: the file is empty"},
	{"no YAML", "service: [thumbs\n",
	 "2:1: not valid YAML: flow sequence without a closing bracket"},
	{"a tab for indentation",
	 "run:\n"
	 "\tcommand: [x]\n",
	 "2:1: not valid YAML: tab character may not be used as indentation"},
	{"a key twice",
	 "service: a\n"
	 "service: b\n",
	 "2:1: the key \"service\" stands here again; it was given in line 1"},
	{"an anchor", "service: &a thumbs\n",
	 "1:10: anchors are not allowed; write the value where it is used"},
	{"an alias", "service: *a\n",
	 "1:10: aliases are not allowed; write the value where it is used"},
	{"a tag", "service: !!str thumbs\n",
	 "1:10: tags are not allowed; the kind of a value is known by its key"},
	{"bytes that are no text", "service: \xff\xfe\n", "1:10: byte 0xff is not UTF-8 text"},
	{"two documents",
	 "service: a\n"
	 "---\n"
	 "service: b\n",
	 "2:1: a second document; one file holds one"},
	{"a list", "- service: thumbs\n",
	 "1:1: manifest: a list is not allowed; allowed: a mapping of service, version, "
	 "summary, tags, docs, openapi, protocol, identity, run, upstream, tls, meters, plans"},
	{"a scalar", "thumbs\n",
	 "1:1: manifest: a single value is not allowed; allowed: a mapping of service, "
	 "version, summary, tags, docs, openapi, protocol, identity, run, upstream, tls, meters, "
	 "plans"},
	{"an unknown key", SERVICE FREE_PLAN "sumary: x\n",
	 "5:1: manifest: unknown key \"sumary\"; did you mean \"summary\"?"},
	{"an unknown key far from all", SERVICE FREE_PLAN "zzzzzzzzzz: x\n",
	 "5:1: manifest: unknown key \"zzzzzzzzzz\"; allowed: service, version, summary, "
	 "tags, docs, openapi, protocol, identity, run, upstream, tls, meters, plans"},
	{"a merge key", SERVICE FREE_PLAN "<<: {a: b}\n",
	 "5:1: manifest: unknown key \"<<\"; allowed: service, version, summary, tags, docs, "
	 "openapi, protocol, identity, run, upstream, tls, meters, plans"},
	{"a service name with capitals",
	 "service: Thumbs\n"
	 "version: 1.4.0\n"
	 "run: {command: [x]}\n" FREE_PLAN,
	 "1:10: service name \"Thumbs\": 1 to 63 of a-z, 0-9 and '-' are allowed, with no '-' "
	 "at either end"},
	{"a service name with a path",
	 "service: ../etc\n"
	 "version: 1.4.0\n"
	 "run: {command: [x]}\n" FREE_PLAN,
	 "1:10: service name \"../etc\": 1 to 63 of a-z, 0-9 and '-' are allowed, with no '-' "
	 "at either end"},
	{"a service name that is a list",
	 "service: [a]\n"
	 "version: 1.4.0\n"
	 "run: {command: [x]}\n" FREE_PLAN,
	 "1:10: service: a list is not allowed; allowed: a value"},
	{"a service name of 64",
	 "service: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
	 "version: 1.4.0\n"
	 "run: {command: [x]}\n" FREE_PLAN,
	 "1:10: service name "
	 "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\": 1 to 63 of "
	 "a-z, 0-9 and '-' are allowed, with no '-' at either end"},
	{"a version of two numbers",
	 "service: thumbs\n"
	 "version: 1.4\n"
	 "run: {command: [x]}\n" FREE_PLAN,
	 "2:10: version: \"1.4\" is not allowed; allowed: a semantic version, as 1.4.0 or "
	 "2.0.0-rc.1"},
	{"a version with a leading zero",
	 "service: thumbs\n"
	 "version: 1.04.0\n"
	 "run: {command: [x]}\n" FREE_PLAN,
	 "2:10: version: \"1.04.0\" is not allowed; allowed: a semantic version, as 1.4.0 or "
	 "2.0.0-rc.1"},
	{"an empty summary", SERVICE FREE_PLAN "summary: \"\"\n",
	 "5:10: summary: an empty text is not allowed; allowed: a value"},
	{"a summary of two lines", SERVICE FREE_PLAN "summary: \"a\\nb\"\n",
	 "5:10: summary: a control character (0x0a) is not allowed; allowed: one line of text"},
	{"a summary too long",
	 SERVICE FREE_PLAN
	 "summary: "
	 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
	 "5:10: summary: 256 bytes long; at most 255 are allowed"},
	{"tags that are no list", SERVICE FREE_PLAN "tags: images\n",
	 "5:7: tags: a single value is not allowed; allowed: a list, as [images]"},
	{"a tag twice", SERVICE FREE_PLAN "tags: [a, b, a]\n", "5:14: tag \"a\" stands here again"},
	{"docs outside of the folder", SERVICE FREE_PLAN "docs: ../README.md\n",
	 "5:7: docs: \"../README.md\" is not allowed; allowed: a path beside the manifest, as "
	 "README.md"},
	{"an absolute openapi", SERVICE FREE_PLAN "openapi: /etc/passwd\n",
	 "5:10: openapi: \"/etc/passwd\" is not allowed; allowed: a path beside the manifest, "
	 "as README.md"},
	{"neither run nor upstream", IDENTITY FREE_PLAN,
	 "1:1: manifest: \"run\" or \"upstream\" is missing: how to start the service, or "
	 "where it runs already"},
	{"both run and upstream", SERVICE "upstream: [unix:/a]\n" FREE_PLAN,
	 "4:1: upstream: \"run\" is there too; a service is either run by the cloud or "
	 "reached where it runs already"},
	{"a run without a command", IDENTITY "run: {cpu: 1}\n" FREE_PLAN,
	 "3:6: run: \"command\" is missing"},
	{"a command for a shell", IDENTITY "run: {command: ./thumbs -x}\n" FREE_PLAN,
	 "3:16: command: a single value is not allowed; allowed: a list, as [./server, "
	 "--fast]; no shell reads it"},
	{"an empty command", IDENTITY "run: {command: []}\n" FREE_PLAN,
	 "3:16: command: 0 entries; 1 to 64 are allowed"},
	{"a variable of the cloud's",
	 IDENTITY "run: {command: [x], env: {STOA_SOCKET: /x}}\n" FREE_PLAN,
	 "3:27: variable \"STOA_SOCKET\": STOA_.. and PORT are set by the cloud; choose "
	 "another name"},
	{"a variable with a dash", IDENTITY "run: {command: [x], env: {A-B: 1}}\n" FREE_PLAN,
	 "3:27: variable \"A-B\": letters, digits and '_' are allowed, no digit first"},
	{"a command with a NUL", IDENTITY "run: {command: [x, \"a\\0b\"]}\n" FREE_PLAN,
	 "3:20: command: a NUL character is not allowed"},
	{"a variable that is a list", IDENTITY "run: {command: [x], env: {A: [b]}}\n" FREE_PLAN,
	 "3:30: A: a single value without NUL is needed"},
	{"an unknown protocol", IDENTITY "protocol: h3\nrun: {command: [x]}\n" FREE_PLAN,
	 "3:11: protocol: \"h3\" is not allowed; allowed: http1, h2"},
	{"an unknown identity", IDENTITY "identity: yes\nrun: {command: [x]}\n" FREE_PLAN,
	 "3:11: identity: \"yes\" is not allowed; allowed: unsigned, signed"},
	{"an unknown way to listen", IDENTITY "run: {command: [x], listen: sockets}\n" FREE_PLAN,
	 "3:29: listen: \"sockets\" is not allowed; allowed: socket, port"},
	{"a health path without slash", IDENTITY "run: {command: [x], health: healthz}\n" FREE_PLAN,
	 "3:29: health: \"healthz\" is not allowed; allowed: a path that begins with '/', as "
	 "/healthz"},
	{"a memory without a unit", IDENTITY "run: {command: [x], memory: 128}\n" FREE_PLAN,
	 "3:29: memory: \"128\" is not allowed; allowed: a size from 1MiB to 1TiB, as 128MiB"},
	{"a memory beyond 64 bits",
	 IDENTITY "run: {command: [x], memory: 99999999999999999999GiB}\n" FREE_PLAN,
	 "3:29: memory: \"99999999999999999999GiB\" is not allowed; allowed: a size from 1MiB "
	 "to 1TiB, as 128MiB"},
	{"a negative cpu", IDENTITY "run: {command: [x], cpu: -1}\n" FREE_PLAN,
	 "3:26: cpu: \"-1\" is not allowed; allowed: processors from 0.001 to 1024, as 0.5"},
	{"a concurrency of zero", IDENTITY "run: {command: [x], concurrency: 0}\n" FREE_PLAN,
	 "3:34: concurrency: \"0\" is not allowed; allowed: a whole number from 1 to 10000"},
	{"a concurrency in floating point",
	 IDENTITY "run: {command: [x], concurrency: 1e3}\n" FREE_PLAN,
	 "3:34: concurrency: \"1e3\" is not allowed; allowed: a whole number from 1 to 10000"},
	{"a start_timeout without a unit",
	 IDENTITY "run: {command: [x], start_timeout: 5}\n" FREE_PLAN,
	 "3:36: start_timeout: \"5\" is not allowed; allowed: a duration from 100ms to 10m, "
	 "as 30s"},
	{"a notice in hours", SERVICE "plans: {p: {notice: 1h}}\n",
	 "4:21: notice: \"1h\" is not allowed; allowed: a duration from 1d to 366d, as 14d"},
	{"too many instances", IDENTITY "run: {command: [x], instances: 65}\n" FREE_PLAN,
	 "3:32: instances: \"65\" is not allowed; allowed: a whole number from 1 to 64"},
	{"an upstream over ftp", IDENTITY "upstream: [ftp://10.0.0.5]\n" FREE_PLAN,
	 "3:12: upstream: \"ftp://10.0.0.5\" is not allowed; allowed: http://address:port, "
	 "https://address:port or unix:/path"},
	{"an upstream by name", IDENTITY "upstream: [http://db:80]\n" FREE_PLAN,
	 "3:12: upstream: \"http://db:80\" is not "
	 "allowed; allowed: http:// or "
	 "https:// and an IP address "
	 "or localhost, with a port, and no path behind it, as http://10.0.0.5:8000 or "
	 "http://[fd00::1]:8000"},
	{"an upstream with a path", IDENTITY "upstream: [http://10.0.0.5:80/v1]\n" FREE_PLAN,
	 "3:12: upstream: \"http://10.0.0.5:80/v1\" is not allowed; allowed: http:// or "
	 "https:// and an IP address or localhost, with a port, and no path behind it, as "
	 "http://10.0.0.5:8000 or http://[fd00::1]:8000"},
	{"an upstream with a user", IDENTITY "upstream: [http://me@10.0.0.5:80]\n" FREE_PLAN,
	 "3:12: upstream: \"http://me@10.0.0.5:80\" is not allowed; allowed: http:// or "
	 "https:// and an IP address or localhost, with a port, and no path behind it, as "
	 "http://10.0.0.5:8000 or http://[fd00::1]:8000"},
	{"an upstream in octal", IDENTITY "upstream: [http://0177.0.0.1:80]\n" FREE_PLAN,
	 "3:12: upstream: \"http://0177.0.0.1:80\" is not allowed; allowed: http:// or "
	 "https:// and an IP address or localhost, with a port, and no path behind it, as "
	 "http://10.0.0.5:8000 "
	 "or http://[fd00::1]:8000"},
	{"an upstream with port 0", IDENTITY "upstream: [http://10.0.0.5:0]\n" FREE_PLAN,
	 "3:12: upstream: \"http://10.0.0.5:0\" is not allowed; allowed: http:// or "
	 "https:// and an IP address or localhost, with a port, and no path behind it, as "
	 "http://10.0.0.5:8000 "
	 "or http://[fd00::1]:8000"},
	{"an upstream with port 65536", IDENTITY "upstream: [http://10.0.0.5:65536]\n" FREE_PLAN,
	 "3:12: upstream: \"http://10.0.0.5:65536\" is not allowed; allowed: http:// or "
	 "https:// and an IP address or localhost, with a port, and no path behind it, as "
	 "http://10.0.0.5:8000 or http://[fd00::1]:8000"},
	{"an upstream with a bare IPv6 address", IDENTITY "upstream: [http://fd00::1]\n" FREE_PLAN,
	 "3:12: upstream: \"http://fd00::1\" is not allowed; allowed: http:// or "
	 "https:// and an IP address or localhost, with a port, and no path behind it, as "
	 "http://10.0.0.5:8000 "
	 "or http://[fd00::1]:8000"},
	{"a relative socket", IDENTITY "upstream: [unix:thumbs.sock]\n" FREE_PLAN,
	 "3:12: upstream: \"unix:thumbs.sock\" is not allowed; allowed: unix: and an absolute "
	 "path of at most 107 bytes"},
	{"an upstream twice", IDENTITY "upstream: [unix:/a, unix:/a]\n" FREE_PLAN,
	 "3:21: upstream: \"unix:/a\" stands here again"},
	{"five meters", SERVICE FREE_PLAN "meters: {a: {}, b: {}, c: {}, d: {}, e: {}}\n",
	 "5:9: meters: 5 entries; at most 4 are allowed"},
	{"a meter of Stoa's", SERVICE FREE_PLAN "meters: {calls: {}}\n",
	 "5:10: meter \"calls\": the name is taken by Stoa's own; choose another"},
	{"a meter with a dash", SERVICE FREE_PLAN "meters: {a-b: {}}\n",
	 "5:10: meter \"a-b\": 1 to 31 of a-z, 0-9 and '_' are allowed, a letter first"},
	{"a meter reported elsewhere",
	 SERVICE FREE_PLAN "meters: {pixels: {reported_by: X-Units}}\n",
	 "5:32: reported_by: \"X-Units\" is not allowed; allowed: Stoa-Units"},
	{"no plan", SERVICE "plans: {}\n",
	 "4:8: plans: no plan; at least one is needed to be subscribed to, as {free: {}}"},
	{"a plan name with a colon", SERVICE "plans: {\"a:b\": {}}\n",
	 "4:9: plan name \"a:b\": 1 to 63 of a-z, 0-9 and '-' are allowed, with no '-' at "
	 "either end"},
	{"an unknown key of a plan", SERVICE "plans: {payg: {price: 1}}\n",
	 "4:16: plan: unknown key \"price\"; did you mean \"prices\"?"},
	{"a price with a misspelt meter", SERVICE PAYG "    prices: [{meter: call, price: 0.05}]\n",
	 "6:22: meter: \"call\" is unknown; did you mean \"calls\"?"},
	{"a price for an undeclared meter",
	 SERVICE PAYG "    prices: [{meter: tokens, price: 0.05}]\n"
		      "    max_charge: 1\n",
	 "6:22: meter: \"tokens\" is unknown; allowed: calls, request_bytes, response_bytes, "
	 "duration_ms, and what \"meters\" declares"},
	{"a price with a misspelt model",
	 SERVICE PAYG "    prices: [{meter: calls, model: units, price: 0.05}]\n",
	 "6:36: model: \"units\" is not allowed; allowed: free, flat, unit, package, graduated"},
	{"a negative price", SERVICE PAYG "    prices: [{meter: calls, price: -0.05}]\n",
	 "6:36: price: \"-0.05\" is not allowed; allowed: an amount up to 1000000 with at "
	 "most 9 decimals, as 0.05, 0.05 per call, or 0.10 per 1M"},
	{"a price in words", SERVICE PAYG "    prices: [{meter: calls, price: cheap}]\n",
	 "6:36: price: \"cheap\" is not allowed; allowed: an amount up to 1000000 with at "
	 "most 9 decimals, as 0.05, 0.05 per call, or 0.10 per 1M"},
	{"a price with ten decimals",
	 SERVICE PAYG "    prices: [{meter: calls, price: 0.0000000001}]\n",
	 "6:36: price: \"0.0000000001\" is not allowed; allowed: an amount up to 1000000 with "
	 "at most 9 decimals, as 0.05, 0.05 per call, or 0.10 per 1M"},
	{"a price above a million",
	 SERVICE PAYG "    prices: [{meter: calls, price: 1000000.01}]\n",
	 "6:36: price: \"1000000.01\" is not allowed; allowed: an amount up to 1000000 with "
	 "at most 9 decimals, as 0.05, 0.05 per call, or 0.10 per 1M"},
	{"a price per nothing", SERVICE PAYG "    prices: [{meter: calls, price: 0.05 per 0}]\n",
	 "6:36: price: \"0.05 per 0\" is not allowed; allowed: an amount up to 1000000 with "
	 "at most 9 decimals, as 0.05, 0.05 per call, or 0.10 per 1M"},
	{"a price per another meter",
	 SERVICE PIXELS PAYG "    prices: [{meter: calls, price: 0.05 per pixel}]\n",
	 "7:36: price: \"0.05 per pixel\" is not allowed; allowed: an amount up to 1000000 "
	 "with at most 9 decimals, as 0.05, 0.05 per call, or 0.10 per 1M"},
	{"a unit price with tiers",
	 SERVICE PAYG "    prices: [{meter: calls, price: 1, tiers: [{price: 1}]}]\n",
	 "6:39: unit price: it has no \"tiers\"; choose another model, or leave it out"},
	{"a package without a size",
	 SERVICE PAYG "    prices: [{meter: calls, model: package, price: 1}]\n",
	 "6:14: package price: \"size\" is missing"},
	{"a graduated price without tiers",
	 SERVICE PAYG "    prices: [{meter: calls, model: graduated}]\n",
	 "6:14: graduated price: \"tiers\" is missing"},
	{"a flat price of a meter",
	 SERVICE PAYG "    prices: [{meter: calls, model: flat, price: 1}]\n",
	 "6:15: flat price: it has no \"meter\"; choose another model, or leave it out"},
	{"two flat prices",
	 SERVICE PAYG "    prices:\n"
		      "      - {model: flat, price: 1}\n"
		      "      - {model: flat, price: 2}\n",
	 "8:9: flat price: line 7 has one already"},
	{"two prices of one meter",
	 SERVICE PAYG "    prices:\n"
		      "      - {meter: calls, price: 1}\n"
		      "      - {meter: calls, price: 2}\n",
	 "8:17: meter: \"calls\" has a price in line 7 already"},
	{"a last tier that ends",
	 SERVICE PAYG
	 "    prices: [{meter: calls, model: graduated, tiers: [{up_to: 5, price: 1}]}]\n",
	 "6:56: up_to: the last tier is open; leave it out, or add a tier without it"},
	{"a tier in between without an end",
	 SERVICE PAYG
	 "    prices: [{meter: calls, model: graduated, tiers: [{price: 2}, {price: 1}]}]\n",
	 "6:55: tier: \"up_to\" is missing"},
	{"tiers that do not ascend",
	 SERVICE PAYG "    prices: [{meter: calls, model: graduated, tiers: [{up_to: 5, price: 2}, "
		      "{up_to: 5, price: 1}, {price: 1}]}]\n",
	 "6:85: up_to: not above 5, where the tier before it ends"},
	{"tiers without a common denominator",
	 SERVICE PAYG "    prices: [{meter: calls, model: graduated, tiers: [{up_to: 5, price: 2 "
		      "per 999999999989}, {up_to: 6, price: 1 per 999999999961}, {price: 1}]}]\n",
	 "6:54: tiers: their quantities behind \"per\" have no common multiple below 2^63; "
	 "write all prices per the same quantity"},
	{"a free allowance that is no count",
	 SERVICE PAYG "    prices: [{meter: calls, price: 1, free: lots}]\n",
	 "6:45: free: \"lots\" is not allowed; allowed: a whole number up to 1T, as 1000 or 1M"},
	{"a minimum of what is free",
	 SERVICE PAYG "    prices: [{meter: calls, model: free, minimum: 1}]\n",
	 "6:42: free price: it has no \"minimum\"; choose another model, or leave it out"},
	{"a minimum in per cent",
	 SERVICE PAYG "    prices: [{meter: calls, price: 1, minimum: 5%}]\n",
	 "6:48: minimum: \"5%\" is not allowed; allowed: an amount up to 1000000 with at most 9 "
	 "decimals, as 5.00 or 5.00 per month"},
	{"a max_per_call of what is measured",
	 SERVICE PAYG "    prices: [{meter: response_bytes, price: 1 per GiB, max_per_call: 1}]\n"
		      "    max_charge: 3\n",
	 "6:56: max_per_call: it bounds what the service reports, and \"response_bytes\" is "
	 "measured; give the plan a \"max_charge\""},
	{"a max_per_call below the price of one",
	 SERVICE PIXELS PAYG "    prices: [{meter: pixels, price: 0.5, max_per_call: 0.4}]\n",
	 "7:56: max_per_call: it does not cover the least that can be charged for \"pixels\"; "
	 "allowed: more, or the price's \"model: free\""},
	{"more than all as a discount", SERVICE PAYG "    discount: 100.0001%\n",
	 "6:15: discount: \"100.0001%\" is not allowed; allowed: per cent up to 100% with at most "
	 "4 decimals, as 10%, or an amount up to 1000000, as 5.00"},
	{"two discounts of an amount", SERVICE PAYG "    discount: [1.00, 2.00]\n",
	 "6:22: discount: an amount is there already"},
	{"a max_charge below the price of a call",
	 SERVICE PAYG "    prices: [{meter: calls, price: 0.05}]\n"
		      "    max_charge: 0.01\n",
	 "7:17: max_charge: \"0.01\" is below the price of one call, 0.05; allowed: 0.05 or "
	 "more"},
	{"a unit that nothing bounds",
	 SERVICE PIXELS PAYG "    prices: [{meter: pixels, price: 0.10 per 1M}]\n",
	 "7:22: meter: nothing bounds the \"pixels\" of one call, so no money could be held "
	 "for it; add \"max_charge\" or \"max_units: {pixels: ..}\" to the plan"},
	{"a measured meter that nothing bounds",
	 SERVICE PAYG "    prices: [{meter: response_bytes, price: 0.02 per GiB}]\n",
	 "6:22: meter: nothing bounds the \"response_bytes\" of one call, so no money could "
	 "be held for it; add \"max_charge\" to the plan"},
	{"a max_charge in words", SERVICE PAYG "    max_charge: low\n",
	 "6:17: max_charge: \"low\" is not allowed; allowed: an amount up to 1000000 with at "
	 "most 9 decimals, as 0.20"},
	{"max_units of an unknown meter", SERVICE PIXELS PAYG "    max_units: {pixel: 5}\n",
	 "7:17: max_units: unknown key \"pixel\"; did you mean \"pixels\"?"},
	{"max_units without meters", SERVICE PAYG "    max_units: {pixels: 5}\n",
	 "6:5: max_units: the service declares no meters of its own"},
	{"max_units of zero", SERVICE PIXELS PAYG "    max_units: {pixels: 0}\n",
	 "7:25: pixels: \"0\" is not allowed; allowed: a whole number from 1 to 1000000000000"},
	{"a call that could cost too much",
	 SERVICE PIXELS PAYG "    prices: [{meter: pixels, price: 1000000}]\n"
			     "    max_units: {pixels: 1T}\n",
	 "7:5: plan: one call could cost more than can be counted; add \"max_charge\" or "
	 "lower \"max_units\""},
	{"an unknown limit", SERVICE PAYG "    limits: {rates: 100/s}\n",
	 "6:14: limits: unknown key \"rates\"; did you mean \"rate\"?"},
	{"a rate without a period", SERVICE PAYG "    limits: {rate: 100}\n",
	 "6:20: rate: \"100\" is not allowed; allowed: calls per s, m, h or d, at most 10M/s, "
	 "as 100/s"},
	{"a rate per month", SERVICE PAYG "    limits: {rate: 100/month}\n",
	 "6:20: rate: \"100/month\" is not allowed; allowed: calls per s, m, h or d, at most "
	 "10M/s, as 100/s"},
	{"a rate of zero", SERVICE PAYG "    limits: {rate: 0/s}\n",
	 "6:20: rate: \"0/s\" is not allowed; allowed: calls per s, m, h or d, at most 10M/s, "
	 "as 100/s"},
	{"a burst without a rate", SERVICE PAYG "    limits: {burst: 100}\n",
	 "6:14: burst: limits nothing without a rate; give \"rate\" too"},
	{"a quota per day", SERVICE PAYG "    limits: {quota: 100/d}\n",
	 "6:21: quota: \"100/d\" is not allowed; allowed: calls per month, as 1M/month"},
	{"a timeout of a week", SERVICE PAYG "    limits: {timeout: 7d}\n",
	 "6:23: timeout: \"7d\" is not allowed; allowed: a duration from 1ms to 1d, as 30s"},
	{"an unknown bill_on", SERVICE PAYG "    bill_on: never\n",
	 "6:14: bill_on: \"never\" is not allowed; allowed: answered, always"},
};

#define MALFORMED_COUNT (sizeof(malformed) / sizeof(malformed[0]))

static void each_mistake_gets_its_one_complaint(void **state)
{
	(void)state;
	for (size_t i = 0; i < MALFORMED_COUNT; i++) {
		struct catalog_manifest *manifest = NULL;
		struct catalog_complaints complaints;
		struct fault fault = {0};
		char expected[CATALOG_COMPLAINT_MAX];

		snprintf(expected, sizeof(expected), "service.yaml:%s", malformed[i].complaint);
		const int code = catalog_manifest_parse("service.yaml", slice_of(malformed[i].text),
							&manifest, &complaints, &fault);
		if (code != FAULT_INPUT || complaints.count != 1 || manifest != NULL)
			fail_msg("%s: code %d, %u complaints", malformed[i].what, code,
				 complaints.count);
		if (strcmp(complaints.of[0].text, expected) != 0)
			fail_msg("%s:\n got: %s\nwant: %s", malformed[i].what,
				 complaints.of[0].text, expected);
		assert_string_equal(fault.text, expected);
		assert_int_equal(fault.code, FAULT_INPUT);
	}
	assert_true(MALFORMED_COUNT >= 40);
}

static void several_mistakes_are_told_in_the_order_of_the_file(void **state)
{
	static const char text[] = "plans:\n"
				   "  payg: {limits: {rate: fast}, bill_on: never}\n"
				   "version: 1\n"
				   "run: {cpu: none, command: [x], memory: small}\n"
				   "service: A\n";
	static const char *const places[] = {"2:25: rate", "2:41: bill_on", "3:10: version",
					     "4:12: cpu",  "4:40: memory",  "5:10: service name"};
	struct catalog_manifest *manifest = NULL;
	struct catalog_complaints complaints;
	struct fault fault;
	char start[64];

	(void)state;
	assert_int_equal(
		catalog_manifest_parse("a/b.yaml", slice_of(text), &manifest, &complaints, &fault),
		FAULT_INPUT);
	assert_int_equal(complaints.count, sizeof(places) / sizeof(places[0]));
	for (uint32_t i = 0; i < complaints.count; i++) {
		snprintf(start, sizeof(start), "a/b.yaml:%s", places[i]);
		assert_memory_equal(complaints.of[i].text, start, strlen(start));
	}
	assert_string_equal(fault.text, complaints.of[0].text);
}

static void of_many_mistakes_the_first_ten_are_told(void **state)
{
	static const char text[] = SERVICE "plans: {free: {limits: {rate: x}}}\n"
					   "a: 1\nb: 1\nc: 1\nd: 1\ne: 1\nf: 1\ng: 1\nh: 1\n"
					   "i: 1\nj: 1\nk: 1\nl: 1\n";
	struct catalog_manifest *manifest = NULL;
	struct catalog_complaints complaints;
	struct fault fault;

	(void)state;
	assert_int_equal(catalog_manifest_parse("service.yaml", slice_of(text), &manifest,
						&complaints, &fault),
			 FAULT_INPUT);
	assert_int_equal(complaints.count, CATALOG_COMPLAINTS_MAX);
	for (uint32_t i = 0; i < complaints.count; i++)
		assert_int_equal(complaints.of[i].line, 4 + i);
}

static void a_manifest_cut_anywhere_is_refused_or_read_but_never_harms(void **state)
{
	static const char text[] =
		SERVICE PIXELS PAYG "    prices:\n"
				    "      - {meter: calls, price: 0.05 per call}\n"
				    "      - {meter: pixels, model: graduated, free: 1M,\n"
				    "         tiers: [{up_to: 100M, price: 0.10 per 1M}, {price: "
				    "0.04 per 1M pixels}]}\n"
				    "    max_charge: 0.20\n"
				    "    limits: {rate: 100/s, quota: 1M/month, timeout: 30s}\n";
	char bytes[sizeof(text)];
	struct random_seeded random;
	size_t read = 0;

	(void)state;
	random_seeded_init(&random, testing_seed());
	for (size_t i = 0; i < 4 * sizeof(text); i++) {
		struct catalog_manifest *manifest = NULL;
		struct catalog_complaints complaints;
		struct fault fault;
		size_t length = i < sizeof(text) ? i : sizeof(text) - 1;

		memcpy(bytes, text, sizeof(text));
		if (i >= sizeof(text))
			bytes[random_below(&random.random, length)] =
				(char)random_below(&random.random, 256);
		if (catalog_manifest_parse("service.yaml", slice_make(bytes, length), &manifest,
					   &complaints, &fault) == 0) {
			catalog_manifest_free(manifest);
			read++;
		} else {
			assert_true(complaints.count >= 1);
		}
	}
	assert_true(read >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_gets_its_one_complaint),
		cmocka_unit_test(several_mistakes_are_told_in_the_order_of_the_file),
		cmocka_unit_test(of_many_mistakes_the_first_ten_are_told),
		cmocka_unit_test(a_manifest_cut_anywhere_is_refused_or_read_but_never_harms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
