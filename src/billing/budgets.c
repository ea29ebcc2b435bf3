/* Budgets of apps and accounts: in the store, and as the poster knows them. */
#include "billing/budget.h"

#include <stdlib.h>

#include "base/check.h"

/* ---- in the store ---- */

int billing_budget_get(struct store *store, struct billing_budget_key key,
		       struct billing_budget *ret_budget, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;

	check(key.level != BILLING_LEVEL_SUBSCRIPTION && key.level < BILLING_LEVELS);
	int code = store_prepare(store,
				 "SELECT nano, monthly FROM billing_budget_terms"
				 " WHERE level = $1 AND id = $2",
				 &select, fault);
	if (code < 0)
		return code;
	store_bind_int64(select, 1, key.level);
	store_bind_int64(select, 2, (int64_t)key.id);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	*ret_budget = (struct billing_budget){.key = key, .nano = -1};
	if (row) {
		ret_budget->nano = store_column_int64(select, 0);
		ret_budget->monthly = store_column_int64(select, 1) != 0;
	}
	return 0;
}

static int terms_save(struct store *store, const struct billing_budget *budget, struct fault *fault)
{
	STORE_STATEMENT save = NULL;
	const int code = store_prepare(store,
				       "INSERT INTO billing_budget_terms (level, id, nano, monthly)"
				       " VALUES ($1, $2, $3, $4) ON CONFLICT (level, id)"
				       " DO UPDATE SET nano = excluded.nano,"
				       " monthly = excluded.monthly",
				       &save, fault);

	if (code < 0)
		return code;
	store_bind_int64(save, 1, budget->key.level);
	store_bind_int64(save, 2, (int64_t)budget->key.id);
	store_bind_int64(save, 3, budget->nano);
	store_bind_int64(save, 4, budget->monthly);
	return store_execute(save, fault);
}

int billing_budget_put(struct store *store, const struct billing_budget *budget, bool *ret_changed,
		       struct fault *fault)
{
	struct billing_budget before;

	check(budget->nano >= -1);
	check(store_in_transaction(store));
	const int code = billing_budget_get(store, budget->key, &before, fault);
	if (code < 0)
		return code;
	*ret_changed = before.nano != budget->nano ||
		       (budget->nano >= 0 && before.monthly != budget->monthly);
	return *ret_changed ? terms_save(store, budget, fault) : 0;
}

static void ledger_cleanup(struct ledger **ledger)
{
	if (*ledger != NULL)
		ledger_free(*ledger);
}

int billing_budget_spent(struct store *store, const struct billing_budget *budget, uint32_t month,
			 int64_t *ret_nano, struct fault *fault)
{
	__attribute__((cleanup(ledger_cleanup))) struct ledger *ledger = NULL;
	struct ledger_account account;
	char name[LEDGER_NAME_MAX];
	int64_t granted_nano;
	int code = ledger_new(store, &ledger, fault);

	books_budget_name(budget->key, budget->monthly, month, name);
	if (code == 0)
		code = ledger_account_find(ledger, LEDGER_BUDGETS, slice_of(name), &account, fault);
	if (code == FAULT_NOT_FOUND) { /* nothing was charged to it yet */
		*ret_nano = 0;
		return 0;
	}
	if (code == 0)
		code = budget_granted(store, account.id, &granted_nano, fault);
	if (code == 0)
		*ret_nano = granted_nano - account.credits_posted_nano + account.debits_posted_nano;
	return code;
}

/* ---- as the poster knows them ---- */

void budgets_init(struct budgets *budgets)
{
	for (unsigned level = 0; level < BILLING_LEVELS; level++)
		map_init(&budgets->of[level]);
}

void budgets_fini(struct budgets *budgets)
{
	uint64_t key;
	void *value;

	for (unsigned level = 0; level < BILLING_LEVELS; level++) {
		size_t cursor = 0;
		while (map_next(&budgets->of[level], &cursor, &key, &value))
			free(value);
		map_fini(&budgets->of[level]);
	}
}

struct budget *budgets_find(const struct budgets *budgets, struct billing_budget_key key)
{
	const struct map *map = &budgets->of[key.level];

	return map->count == 0 ? NULL : map_find(map, key.id);
}

static struct budget *budget_put(struct budgets *budgets, const struct billing_budget *terms)
{
	struct budget *budget = budgets_find(budgets, terms->key);

	if (budget == NULL) {
		budget = calloc(1, sizeof(*budget));
		check(budget != NULL);
		map_put(&budgets->of[terms->key.level], terms->key.id, budget);
	}
	budget->terms = *terms;
	budget->account = (struct ledger_account_id){0};
	return budget;
}

int budgets_read(struct budgets *budgets, struct store *store, struct billing_budget_key key,
		 struct budget **ret_budget, struct fault *fault)
{
	struct billing_budget terms;
	const int code = billing_budget_get(store, key, &terms, fault);

	if (code == 0)
		*ret_budget = budget_put(budgets, &terms);
	return code;
}

int budgets_load(struct budgets *budgets, struct store *store, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 "SELECT level, id, nano, monthly FROM billing_budget_terms"
				 " ORDER BY level, id",
				 &select, fault);

	while (code == 0 && (code = store_step(select, &row, fault)) == 0 && row) {
		const struct billing_budget terms = {
			.key = {(enum billing_level)store_column_int64(select, 0),
				(uint64_t)store_column_int64(select, 1)},
			.nano = store_column_int64(select, 2),
			.monthly = store_column_int64(select, 3) != 0,
		};
		if (terms.key.level <= BILLING_LEVEL_SUBSCRIPTION ||
		    terms.key.level >= BILLING_LEVELS || terms.nano < -1)
			return fault_set(fault, FAULT_DAMAGED,
					 "a stored budget has no such level or amount");
		budget_put(budgets, &terms);
	}
	return code;
}

void budgets_aborted(struct budgets *budgets)
{
	uint64_t key;
	void *value;

	for (unsigned level = 0; level < BILLING_LEVELS; level++) {
		size_t cursor = 0;
		while (map_next(&budgets->of[level], &cursor, &key, &value))
			((struct budget *)value)->account = (struct ledger_account_id){0};
	}
}
