#include "billing/billing.h"

#include "billing/phase.h"

static const struct store_migration migrations[] = {
	{.domain = "billing",
	 .number = 1,
	 .sql = "CREATE TABLE billing_turn ("
		" node BIGINT NOT NULL, turn BIGINT NOT NULL, records BIGINT NOT NULL,"
		" poster BIGINT NOT NULL, PRIMARY KEY (node));"
		"CREATE TABLE billing_cursor ("
		" node BIGINT NOT NULL, stream BIGINT NOT NULL, position BIGINT NOT NULL,"
		" PRIMARY KEY (node, stream));"
		"CREATE TABLE billing_parked ("
		" node BIGINT NOT NULL, stream BIGINT NOT NULL, position BIGINT NOT NULL,"
		" record BLOB NOT NULL, PRIMARY KEY (node, stream, position));"
		"CREATE TABLE billing_budget ("
		" account BIGINT NOT NULL, granted_nano BIGINT NOT NULL, PRIMARY KEY (account));"
		"CREATE TABLE billing_party ("
		" subscription BIGINT NOT NULL, account BIGINT NOT NULL, provider BIGINT NOT NULL,"
		" PRIMARY KEY (subscription));"
		"CREATE INDEX billing_party_account ON billing_party (account);"
		"CREATE INDEX billing_party_provider ON billing_party (provider);"
		"CREATE TABLE billing_card ("
		" number BIGINT NOT NULL, fee_ppm BIGINT NOT NULL,"
		" nano0 BIGINT NOT NULL, per0 BIGINT NOT NULL, nano1 BIGINT NOT NULL,"
		" per1 BIGINT NOT NULL, nano2 BIGINT NOT NULL, per2 BIGINT NOT NULL,"
		" nano3 BIGINT NOT NULL, per3 BIGINT NOT NULL, nano4 BIGINT NOT NULL,"
		" per4 BIGINT NOT NULL, nano5 BIGINT NOT NULL, per5 BIGINT NOT NULL,"
		" nano6 BIGINT NOT NULL, per6 BIGINT NOT NULL, in_force_since BIGINT NOT NULL,"
		" PRIMARY KEY (number));"},
	{.domain = "billing",
	 .number = 2,
	 .sql = "CREATE TABLE billing_phase ("
		" number BIGINT NOT NULL, node BIGINT NOT NULL, card BIGINT NOT NULL,"
		" PRIMARY KEY (number));"
		"CREATE TABLE billing_phase_start ("
		" phase BIGINT NOT NULL, stream BIGINT NOT NULL, position BIGINT NOT NULL,"
		" PRIMARY KEY (phase, stream));"
		"CREATE TABLE billing_late ("
		" node BIGINT NOT NULL, stream BIGINT NOT NULL, position BIGINT NOT NULL,"
		" month BIGINT NOT NULL, phase BIGINT NOT NULL, subscription BIGINT NOT NULL,"
		" PRIMARY KEY (node, stream, position));"
		"CREATE TABLE billing_month ("
		" node BIGINT NOT NULL, stream BIGINT NOT NULL, month BIGINT NOT NULL,"
		" first_position BIGINT NOT NULL, end_position BIGINT NOT NULL,"
		" PRIMARY KEY (node, month, stream));"},
	{.domain = "billing",
	 .number = 3,
	 .sql = "CREATE TABLE billing_budget_terms ("
		" level BIGINT NOT NULL, id BIGINT NOT NULL, nano BIGINT NOT NULL,"
		" monthly BIGINT NOT NULL, PRIMARY KEY (level, id));"},
};

int billing_migrate(struct store *store, struct fault *fault)
{
	return store_migrate(store, migrations, sizeof(migrations) / sizeof(migrations[0]), fault);
}

int billing_positions_load(struct store *store, uint32_t node,
			   uint64_t ret_positions[JOURNAL_STREAMS_MAX], struct fault *fault)
{
	return positions_select(store,
				"SELECT stream, position FROM billing_cursor WHERE node = $1", node,
				ret_positions, fault);
}
