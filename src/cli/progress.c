/* What takes longer than a second says so, where standard error is a terminal. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli_internal.h"

#define PATIENCE_NS CLOCK_NS_PER_S

void cli_progress_begin(struct cli *cli)
{
	if (isatty(STDERR_FILENO) && (cli->total == 0 || cli->begun_ns == 0))
		cli->begun_ns = clock_monotonic_ns(clock_system());
}

void cli_progress_show(struct cli *cli)
{
	const uint64_t now_ns = clock_monotonic_ns(clock_system());

	if (cli->begun_ns == 0 || now_ns < cli->begun_ns + PATIENCE_NS ||
	    now_ns < cli->told_ns + PATIENCE_NS / 2)
		return;
	cli->told_ns = now_ns;
	cli->is_told = true;
	fprintf(stderr, "\rstoa %s: ", cli->command->name);
	if (cli->total > 0)
		fprintf(stderr, "%" PRIu64 " of %" PRIu64 ", ", cli->done, cli->total);
	fprintf(stderr, "%" PRIu64 " s ", (uint64_t)((now_ns - cli->begun_ns) / CLOCK_NS_PER_S));
}

void cli_progress_end(struct cli *cli)
{
	if (cli->is_told)
		fprintf(stderr, "\r%79s\r", "");
	cli->is_told = false;
}
