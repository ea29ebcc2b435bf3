#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include "catalog/manifest_internal.h"

#define MEMORY_LEAST        (1ull << 20)
#define MEMORY_MOST         (1ull << 40)
#define CPU_MILLI_MOST      1024000
#define CONCURRENCY_MOST    10000
#define START_TIMEOUT_LEAST (100 * CLOCK_NS_PER_MS)
#define START_TIMEOUT_MOST  (600 * CLOCK_NS_PER_S)
#define PORT_DEFAULT        80
#define PORT_TLS_DEFAULT    443

/* ---- run ---- */

/* What the kernel takes as an argument or a variable ends at a NUL. */
static bool has_nul(struct slice text)
{
	return slice_find_byte(text, '\0', 0) < text.length;
}

static void command_read(struct reader *reader, const struct yaml_node *node,
			 struct catalog_run *run)
{
	size_t count = 0;

	if (!reader_list(reader, node, 1, CATALOG_COMMAND_MAX,
			 "[./server, --fast]; no shell reads it"))
		return;
	const char **command = reader_alloc(reader, node->child_count + 1, sizeof(*command));
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		struct slice word;
		if (!reader_scalar(reader, child, &word))
			continue;
		if (has_nul(word))
			reader_complain(reader, child, "command: a NUL character is not allowed");
		else if (word.length >= CATALOG_VALUE_MAX)
			reader_complain(reader, child,
					"command: %zu bytes long; at most %d are allowed",
					word.length, CATALOG_VALUE_MAX - 1);
		else
			command[count++] = reader_copy(reader, word);
	}
	run->command = command;
}

static bool is_variable_name(struct slice name)
{
	for (size_t i = 0; i < name.length; i++) {
		const char byte = name.data[i];
		const bool letter =
			(byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
		if (!letter && (i == 0 || byte < '0' || byte > '9'))
			return false;
	}
	return name.length > 0;
}

static const char *variable_read(struct reader *reader, const struct yaml_node *node)
{
	char shown[TEXT_SHOWN_MAX];

	if (!is_variable_name(node->key)) {
		reader_complain_of_key(reader, node,
				       "variable \"%s\": letters, digits and '_' are allowed, no "
				       "digit first",
				       text_show(node->key, shown));
		return NULL;
	}
	if (slice_starts_with(node->key, slice_of("STOA_")) ||
	    slice_equal(node->key, slice_of("PORT"))) {
		reader_complain_of_key(reader, node,
				       "variable \"%s\": STOA_.. and PORT are set by the cloud; "
				       "choose another name",
				       text_show(node->key, shown));
		return NULL;
	}
	if (node->kind != YAML_SCALAR || has_nul(node->scalar)) {
		reader_complain(reader, node, "%s: a single value without NUL is needed",
				text_show(node->key, shown));
		return NULL;
	}
	if (node->key.length + 1 + node->scalar.length >= CATALOG_VALUE_MAX) {
		reader_complain(reader, node,
				"%s: name and value are longer than %d bytes together",
				text_show(node->key, shown), CATALOG_VALUE_MAX - 2);
		return NULL;
	}
	const char *text = arena_printf(reader->arena, "%.*s=%.*s", SLICE_ARGS(node->key),
					SLICE_ARGS(node->scalar));
	check(text != NULL);
	return text;
}

static void environment_read(struct reader *reader, const struct yaml_node *node,
			     struct catalog_run *run)
{
	size_t count = 0;

	if (!reader_names(reader, node, CATALOG_ENVIRONMENT_MAX))
		return;
	const char **environment =
		reader_alloc(reader, node->child_count + 1, sizeof(*environment));
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		const char *variable = variable_read(reader, child);
		if (variable != NULL)
			environment[count++] = variable;
	}
	run->environment = environment;
}

static void health_read(struct reader *reader, const struct yaml_node *node, const char **ret_path)
{
	const char *path;

	if (!reader_line(reader, node, CATALOG_TEXT_MAX, &path))
		return;
	bool good = path[0] == '/';
	for (const char *byte = path; *byte != '\0'; byte++)
		good = good && *byte > ' ' && *byte < 0x7f;
	if (good)
		*ret_path = path;
	else
		reader_complain_of_value(reader, node, "a path that begins with '/', as /healthz");
}

static void cpu_read(struct reader *reader, const struct yaml_node *node, uint32_t *ret_milli)
{
	struct slice text;
	int64_t milli;

	if (!reader_scalar(reader, node, &text))
		return;
	if (units_parse_decimal(text, 3, &milli) && milli >= 1 && milli <= CPU_MILLI_MOST)
		*ret_milli = (uint32_t)milli;
	else
		reader_complain_of_value(reader, node, "processors from 0.001 to 1024, as 0.5");
}

static void count_read(struct reader *reader, const struct yaml_node *node, uint32_t most,
		       uint32_t *ret_count)
{
	uint64_t count;

	if (reader_count(reader, node, 1, most, &count))
		*ret_count = (uint32_t)count;
}

void manifest_run_read(struct reader *reader, const struct yaml_node *node,
		       struct catalog_description *description)
{
	enum { COMMAND, ENV, LISTEN, HEALTH, MEMORY, CPU, CONCURRENCY, START, INSTANCES, KEYS };
	static const char *const keys[KEYS] = {"command",     "env",           "listen",
					       "health",      "memory",        "cpu",
					       "concurrency", "start_timeout", "instances"};
	static const char *const listens[] = {"socket", "port"};
	static const char *const no_environment[] = {NULL};
	const struct yaml_node *values[KEYS];
	size_t listen;

	if (node == NULL)
		return;
	struct catalog_run *run = reader_alloc(reader, 1, sizeof(*run));
	*run = (struct catalog_run){
		.environment = no_environment,
		.memory_bytes = MANIFEST_MEMORY_DEFAULT,
		.cpu_milli = MANIFEST_CPU_MILLI_DEFAULT,
		.concurrency = MANIFEST_CONCURRENCY_DEFAULT,
		.start_timeout_ns = MANIFEST_START_TIMEOUT_DEFAULT,
		.instances = 1,
	};
	description->run = run;
	if (!reader_mapping(reader, node, "run", keys, KEYS, values))
		return;
	reader_need(reader, node, "run", values[COMMAND], keys[COMMAND]);
	command_read(reader, values[COMMAND], run);
	environment_read(reader, values[ENV], run);
	if (reader_word(reader, values[LISTEN], listens, READER_COUNT_OF(listens), &listen))
		run->listen = (enum catalog_listen)listen;
	health_read(reader, values[HEALTH], &run->health);
	reader_bytes(reader, values[MEMORY], MEMORY_LEAST, MEMORY_MOST, &run->memory_bytes);
	cpu_read(reader, values[CPU], &run->cpu_milli);
	count_read(reader, values[CONCURRENCY], CONCURRENCY_MOST, &run->concurrency);
	reader_duration_ns(reader, values[START], START_TIMEOUT_LEAST, START_TIMEOUT_MOST,
			   &run->start_timeout_ns);
	count_read(reader, values[INSTANCES], CATALOG_INSTANCES_MAX, &run->instances);
}

/* ---- upstream ---- */

static bool is_host(const char *host)
{
	uint8_t address[sizeof(struct in6_addr)];

	return strcmp(host, "localhost") == 0 || inet_pton(AF_INET, host, address) == 1 ||
	       inet_pton(AF_INET6, host, address) == 1;
}

/* "host", "host:port", "[address]" or "[address]:port". */
static bool host_and_port(struct arena *arena, struct slice text, struct catalog_upstream *upstream)
{
	const bool bracketed = text.length > 0 && text.data[0] == '[';
	const size_t end = slice_find_byte(text, bracketed ? ']' : ':', 0);
	struct slice behind;
	uint64_t port = upstream->tls ? PORT_TLS_DEFAULT : PORT_DEFAULT;

	if (bracketed && end == text.length)
		return false;
	behind = slice_part(text, end + bracketed, text.length);
	if (behind.length > 0 &&
	    (behind.data[0] != ':' ||
	     !slice_to_u64(slice_part(behind, 1, behind.length), UINT16_MAX, &port) || port == 0))
		return false;
	char *host = arena_text(arena, slice_part(text, bracketed, end));
	check(host != NULL);
	upstream->host = host;
	upstream->port = (uint16_t)port;
	return is_host(host) && bracketed == (strchr(host, ':') != NULL);
}

bool manifest_upstream_parse(struct arena *arena, const char *text,
			     struct catalog_upstream *ret_upstream, const char **ret_why)
{
	const struct slice http = slice_of("http://"), https = slice_of("https://");
	const struct slice unix_path = slice_of("unix:");
	const struct slice whole = slice_of(text);
	struct catalog_upstream upstream = {.text = text, .tls = slice_starts_with(whole, https)};
	const size_t scheme = upstream.tls ? https.length : http.length;

	if (slice_starts_with(whole, unix_path)) {
		upstream.path = text + unix_path.length;
		if (upstream.path[0] != '/' ||
		    strlen(upstream.path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
			*ret_why = "unix: and an absolute path of at most 107 bytes";
			return false;
		}
	} else if (!upstream.tls && !slice_starts_with(whole, http)) {
		*ret_why = "http://address:port, https://address:port or unix:/path";
		return false;
	} else if (!host_and_port(arena, slice_part(whole, scheme, whole.length), &upstream)) {
		*ret_why = "http:// or https:// and an IP address or localhost, with a port, and "
			   "no path behind "
			   "it, as http://10.0.0.5:8000 or http://[fd00::1]:8000";
		return false;
	}
	*ret_upstream = upstream;
	return true;
}

void manifest_upstreams_read(struct reader *reader, const struct yaml_node *node,
			     struct catalog_description *description)
{
	if (!reader_list(reader, node, 1, CATALOG_UPSTREAMS_MAX, "[http://10.0.0.5:8000]"))
		return;
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		struct catalog_upstream *upstream =
			&description->upstreams[description->upstream_count];
		const char *text;
		const char *why;
		bool again = false;
		if (!reader_line(reader, child, CATALOG_TEXT_MAX, &text))
			continue;
		if (!manifest_upstream_parse(reader->arena, text, upstream, &why)) {
			reader_complain_of_value(reader, child, why);
			continue;
		}
		for (uint32_t i = 0; i < description->upstream_count; i++)
			again = again || strcmp(description->upstreams[i].text, text) == 0;
		if (again)
			reader_complain(reader, child, "upstream: \"%s\" stands here again", text);
		else
			description->upstream_count++;
	}
}
