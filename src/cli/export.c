#include "cli/cli_internal.h"

#include <stdio.h>

#include "cli/routes.h"

int cli_ledger_export(struct cli *cli)
{
	if (!cli_has_option(cli, "--hledger"))
		return cli_misuse(cli, "say in which form: --hledger");
	return cli_download(cli,
			    route_ledger_hledger((struct route_ledger_hledger){
				    .from = cli_option(cli, "--from"),
				    .to = cli_option(cli, "--to"),
			    }),
			    stdout);
}
