/*
 * Calls through a whole gateway in one process (src/gateway/rig.h), one after another, on epoll:
 * for `tests/bench/compare`, which counts the worker's instructions under callgrind.
 *
 *	gateway_bench CALLS plain|limits|access
 */
#include "gateway/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char answer[65536];

int main(int count, char **arguments)
{
	const unsigned calls = count == 3 ? (unsigned)strtoul(arguments[1], NULL, 10) : 0;
	struct rig_options options = rig_options_default(50);
	struct rig rig;

	if (calls == 0) {
		fprintf(stderr, "usage: gateway_bench CALLS plain|limits|access\n");
		return 2;
	}
	options.io = LOOP_IO_EPOLL;
	options.workers = 1;
	if (strcmp(arguments[2], "limits") == 0) {
		options.limits.rate_interval_ns = 1000;
		options.limits.burst = 1000000;
		options.limits.quota_calls = 1000000000;
	}
	if (strcmp(arguments[2], "access") == 0)
		options.access =
			(struct gateway_access){.path = "/dev/null", .bytes_max = UINT64_MAX};
	rig_begin(&rig, &options);
	const int client = rig_connect(&rig);
	for (unsigned i = 0; i < calls; i++) {
		if (rig_get(&rig, client, "/echo/0123456789", answer, sizeof(answer)) != 200) {
			fprintf(stderr, "a call was not answered: %s\n", answer);
			return 1;
		}
	}
	close(client);
	rig_end(&rig);
	return 0;
}
