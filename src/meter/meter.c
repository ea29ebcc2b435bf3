#include "meter/meter.h"

const struct store_migration meter_migrations[] = {
	{.domain = "meter",
	 .number = 1,
	 .sql = "CREATE TABLE meter_usage ("
		" subscription BIGINT NOT NULL, month BIGINT NOT NULL,"
		" q0 BIGINT NOT NULL, q1 BIGINT NOT NULL, q2 BIGINT NOT NULL, q3 BIGINT NOT NULL,"
		" q4 BIGINT NOT NULL, q5 BIGINT NOT NULL, q6 BIGINT NOT NULL, q7 BIGINT NOT NULL,"
		" usage_nano BIGINT NOT NULL, told_nano BIGINT NOT NULL,"
		" PRIMARY KEY (subscription, month));"
		"CREATE INDEX meter_usage_month ON meter_usage (month, subscription);"
		"CREATE TABLE meter_cloud ("
		" subscription BIGINT NOT NULL, month BIGINT NOT NULL, card BIGINT NOT NULL,"
		" q0 BIGINT NOT NULL, q1 BIGINT NOT NULL, q2 BIGINT NOT NULL, q3 BIGINT NOT NULL,"
		" q4 BIGINT NOT NULL, q5 BIGINT NOT NULL, q6 BIGINT NOT NULL,"
		" usage_nano BIGINT NOT NULL, cloud_nano BIGINT NOT NULL, fee_nano BIGINT NOT NULL,"
		" PRIMARY KEY (subscription, month, card));"
		"CREATE INDEX meter_cloud_month ON meter_cloud (month, subscription, card);"
		"CREATE TABLE meter_minute ("
		" service BIGINT NOT NULL, minute BIGINT NOT NULL, subscription BIGINT NOT NULL,"
		" calls BIGINT NOT NULL, billed_calls BIGINT NOT NULL, errors BIGINT NOT NULL,"
		" request_bytes BIGINT NOT NULL, response_bytes BIGINT NOT NULL,"
		" duration_us BIGINT NOT NULL,"
		" unit_0 BIGINT NOT NULL, unit_1 BIGINT NOT NULL, unit_2 BIGINT NOT NULL,"
		" unit_3 BIGINT NOT NULL, latency TEXT NOT NULL,"
		" PRIMARY KEY (service, minute, subscription));"},
	{.domain = "meter",
	 .number = 2,
	 .sql = "CREATE TABLE meter_key ("
		" key BIGINT NOT NULL, month BIGINT NOT NULL,"
		" calls BIGINT NOT NULL, last_minute BIGINT NOT NULL,"
		" PRIMARY KEY (key, month))"},
	{.domain = "meter",
	 .number = 3,
	 .sql = "CREATE TABLE meter_reported ("
		" key TEXT NOT NULL PRIMARY KEY, digest TEXT NOT NULL, call TEXT NOT NULL,"
		" stream BIGINT NOT NULL, position BIGINT NOT NULL, at_ns BIGINT NOT NULL,"
		" UNIQUE (stream, position));"
		"CREATE INDEX meter_reported_at ON meter_reported (at_ns)"},
};
const size_t meter_migration_count = sizeof(meter_migrations) / sizeof(meter_migrations[0]);

int meter_migrate(struct store *store, struct fault *fault)
{
	return store_migrate(store, meter_migrations, meter_migration_count, fault);
}
