#include "account/account_testing.h"

#include <string.h>

#include "base/testing.h"

int account_testing_set_up(void **state)
{
	static struct account_bench bench;

	*state = &bench;
	memset(&bench, 0, sizeof(bench));
	store_testing_init(&bench.files);
	random_seeded_init(&bench.random, 7);
	if (store_open(bench.files.path, &bench.store, &bench.fault) < 0)
		return -1;
	if (account_migrate(bench.store, &bench.fault) < 0)
		return -1;
	return store_begin(bench.store, STORE_WRITE, &bench.fault);
}

int account_testing_tear_down(void **state)
{
	struct account_bench *bench = *state;

	store_close(bench->store);
	store_testing_fini(&bench->files);
	return 0;
}

struct account made_account(struct account_bench *bench, const char *name)
{
	struct account account = {{0}};

	if (account_create(bench->store, slice_of(name), NOW, &account, &bench->fault) < 0)
		fail_msg("%s", bench->fault.text);
	return account;
}

struct account_app made_app(struct account_bench *bench, struct account account, const char *name)
{
	struct account_app app = {{0}};

	if (account_app_create(bench->store, account.id, slice_of(name), NOW, &app, &bench->fault) <
	    0)
		fail_msg("%s", bench->fault.text);
	return app;
}

struct account_key_made made_key(struct account_bench *bench, struct app_id app,
				 uint64_t expires_ns)
{
	const struct account_key_options options = {.app = app, .expires_ns = expires_ns};
	struct account_key_made made;

	if (account_key_create(bench->store, &bench->random.random, &options, 1, NOW, &made,
			       &bench->fault) < 0)
		fail_msg("%s", bench->fault.text);
	return made;
}
