#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/disk.h"
#include "base/random.h"
#include "fleet/fleet_internal.h"

#define PATH_DEFAULT  "/usr/local/bin:/usr/bin:/bin"
#define OWN_VARIABLES 7 /* at most: service, instance, an address, keys, PATH, HOME, the NULL */

static bool names_variable(const char *const *environment, const char *name)
{
	const size_t length = strlen(name);

	for (; environment != NULL && *environment != NULL; environment++)
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return true;
	return false;
}

/* What a service must not set stands first; what it may set is ours only where it does not. */
struct environment {
	const char *all[OWN_VARIABLES + FLEET_VARIABLES_MAX];
	char *made[OWN_VARIABLES];
	size_t count;
};

static void add(struct environment *environment, const char *name, const char *value)
{
	char *variable;

	check(asprintf(&variable, "%s=%s", name, value) > 0);
	environment->made[environment->count] = variable;
	environment->all[environment->count++] = variable;
}

static void environment_init(struct environment *environment, const struct place *place)
{
	const struct fleet_service *specification = place->generation->specification;
	const char *const *given = specification->environment;
	char id[ID_TEXT_MAX], port[16];

	*environment = (struct environment){.count = 0};
	id_format("inst", place->instance.value, id);
	snprintf(port, sizeof(port), "%u", place->port);
	add(environment, "STOA_SERVICE", specification->name);
	add(environment, "STOA_INSTANCE", id);
	if (specification->listen == FLEET_LISTEN_SOCKET)
		add(environment, "STOA_SOCKET", place->address.path.sun_path);
	else
		add(environment, "PORT", port);
	if (specification->identity_keys != NULL)
		add(environment, "STOA_IDENTITY_KEYS", specification->identity_keys);
	if (!names_variable(given, "PATH"))
		add(environment, "PATH", PATH_DEFAULT);
	if (!names_variable(given, "HOME"))
		add(environment, "HOME", specification->folder);
	for (; given != NULL && *given != NULL; given++)
		environment->all[environment->count++] = *given;
	environment->all[environment->count] = NULL;
}

static void environment_fini(struct environment *environment)
{
	for (size_t i = 0; i < OWN_VARIABLES; i++)
		free(environment->made[i]);
}

/* execve does not look into PATH. *ret_program is malloc'ed. */
static int find_program(const char *word, const char *const *environment, char **ret_program,
			struct fault *fault)
{
	struct slice path = {0}, folder;

	if (strchr(word, '/') != NULL) {
		*ret_program = strdup(word);
		check(*ret_program != NULL);
		return 0;
	}
	for (; *environment != NULL; environment++)
		if (strncmp(*environment, "PATH=", 5) == 0)
			path = slice_of(*environment + 5);
	while (slice_cut(&path, ':', &folder)) {
		char *program;
		/* An empty or relative entry would mean our own working directory. */
		if (folder.length == 0 || folder.data[0] != '/')
			continue;
		check(asprintf(&program, "%.*s/%s", SLICE_ARGS(folder), word) > 0);
		if (access(program, X_OK) == 0) {
			*ret_program = program;
			return 0;
		}
		free(program);
	}
	return fault_set(fault, FAULT_NOT_FOUND, "cannot start %s: no such program in PATH", word);
}

/* ---- the address ---- */

static bool port_is_taken(struct fleet *fleet, uint16_t port)
{
	size_t cursor = 0;
	uint64_t id;
	void *found;

	while (map_next(&fleet->instances, &cursor, &id, &found))
		if (((const struct place *)found)->port == port)
			return true;
	return false;
}

/* Ports below those that the kernel gives to outgoing connections: one of those could be taken by
 * any connection before the instance listens; even a question of health, asked too early, can
 * come out of the very port that it goes to and be connected to itself (RFC 9293, 3.5). Where the
 * kernel leaves no room below, 0: it chooses. */
static uint16_t first_port(void)
{
	struct slice range, low;
	uint64_t first = 0;
	char *text;
	size_t bytes;

	if (disk_read_file("/proc/sys/net/ipv4/ip_local_port_range", 64, &text, &bytes, NULL) < 0)
		return 0;
	range = slice_make(text, bytes);
	if (!slice_cut(&range, '\t', &low) || !slice_to_u64(low, UINT16_MAX, &first) ||
	    first < PORTS_LEAST + PORTS_COUNT)
		first = 0;
	free(text);
	return first == 0 ? 0 : (uint16_t)(first - PORTS_COUNT);
}

/* Whether nobody listens there now. Should somebody do so before the instance does, the instance
 * fails, and its next start gets another. */
static int try_port(uint16_t port, struct loop_address *ret_address, struct fault *fault)
{
	struct loop_address address = {.length = sizeof(address.ip4)};
	const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.ip4 = (struct sockaddr_in){.sin_family = AF_INET,
					   .sin_port = htons(port),
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (descriptor < 0)
		return fault_set_errno(fault, errno, "cannot make a socket to find a free port");
	if (bind(descriptor, &address.any, address.length) != 0 ||
	    getsockname(descriptor, &address.any, &address.length) != 0) {
		const int error = errno;
		close(descriptor);
		return fault_set_errno(fault, error, "cannot bind 127.0.0.1:%u", port);
	}
	close(descriptor);
	*ret_address = address;
	return 0;
}

static int choose_port(struct place *place, struct fleet *fleet, struct fault *fault)
{
	const uint16_t first = first_port();

	for (int i = 0; i < PORT_TRIES; i++) {
		/* By chance, for another node on this machine chooses too. */
		const uint16_t port =
			first == 0 ? 0
				   : (uint16_t)(first + random_below(random_system(), PORTS_COUNT));
		if (try_port(port, &place->address, fault) < 0)
			continue;
		const uint16_t chosen = ntohs(place->address.ip4.sin_port);
		if (port_is_taken(fleet, chosen))
			continue;
		place->port = chosen;
		return 0;
	}
	return fault_set(fault, FAULT_BUSY, "cannot find a free port in %d tries", PORT_TRIES);
}

static int choose_socket(struct place *place, const struct fleet *fleet, struct fault *fault)
{
	char *text;

	check(asprintf(&text, "unix:%s/%" PRIu64 ".sock", fleet->instances_folder,
		       place->instance.value) > 0);
	const int code = loop_address_parse(slice_of(text), &place->address, fault);
	free(text);
	if (code == 0 && unlink(place->address.path.sun_path) != 0 && errno != ENOENT)
		return fault_set_errno(fault, errno, "cannot remove %s",
				       place->address.path.sun_path);
	return code;
}

/* ---- the process ---- */

static uint64_t data_bytes_max(const struct fleet_service *specification)
{
	const uint64_t stacks =
		STACKS_OF_PROCESS + (uint64_t)STACKS_OF_CALL * specification->concurrency;

	return specification->memory_bytes == 0
		       ? 0
		       : specification->memory_bytes + stacks * STACK_BYTES;
}

static uint64_t files_max(const struct fleet_service *specification)
{
	return FILES_OF_PROCESS + (uint64_t)FILES_OF_CALL * specification->concurrency;
}

static int start(const struct place *place, int output, pid_t *ret_pid, struct fault *fault)
{
	const struct fleet_service *specification = place->generation->specification;
	const struct fleet *fleet = place->generation->service->fleet;
	struct spawner *spawner = fleet->spawner;
	const char *arguments[FLEET_ARGUMENTS_MAX + 1];
	struct environment environment;
	char *program = NULL;
	size_t count = 0;
	int group = 0;

	for (; specification->command[count] != NULL; count++)
		arguments[count] = specification->command[count];
	arguments[count] = NULL;
	environment_init(&environment, place);
	int code = find_program(arguments[0], environment.all, &program, fault);
	if (code == 0 && fleet_has_groups(fleet))
		code = cgroup_make(fleet->options.groups, place->instance.value,
				   specification->memory_bytes, specification->cpu_milli, &group,
				   fault);
	if (code == 0) {
		arguments[0] = program;
		const struct spawn_request request = {
			.folder = specification->folder,
			.arguments = arguments,
			.environment = environment.all,
			.output = output,
			.group_file = group,
			.files_max = files_max(specification),
			.data_bytes_max = data_bytes_max(specification),
			.stack_bytes = specification->memory_bytes == 0 ? 0 : STACK_BYTES,
		};
		code = spawner->start(spawner, &request, ret_pid, fault);
	}
	if (group > 0)
		close(group);
	if (group > 0 && code < 0)
		cgroup_end(fleet->options.groups, place->instance.value);
	free(program);
	environment_fini(&environment);
	return code;
}

int launch(struct place *place, int *ret_output, struct fault *fault)
{
	struct fleet *fleet = place->generation->service->fleet;
	int ends[2];

	place->port = 0;
	int code = fleet_next_instance(fleet, &place->instance, fault);
	if (code == 0 && place->generation->specification->listen == FLEET_LISTEN_PORT)
		code = choose_port(place, fleet, fault);
	else if (code == 0)
		code = choose_socket(place, fleet, fault);
	if (code < 0)
		return code;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return fault_set_errno(fault, errno, "cannot make a pipe for its output");
	/* Ours alone: what a program writes to a full pipe should wait, not fail. */
	check(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
	code = start(place, ends[1], &place->pid, fault);
	close(ends[1]);
	if (code < 0) {
		close(ends[0]);
		return code;
	}
	*ret_output = ends[0];
	return 0;
}
