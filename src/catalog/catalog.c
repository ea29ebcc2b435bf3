#include "catalog/catalog.h"

const struct store_migration catalog_migrations[] = {
	{.domain = "catalog",
	 .number = 1,
	 .sql = "CREATE TABLE services ("
		" id INTEGER PRIMARY KEY,"
		" account BIGINT NOT NULL REFERENCES accounts (id),"
		" name TEXT NOT NULL UNIQUE,"
		" revision BIGINT NOT NULL,"
		" folder TEXT NOT NULL,"
		/* Of the current revision, for searching. Tags: a space before and behind each. */
		" version TEXT NOT NULL,"
		" summary TEXT NOT NULL,"
		" tags TEXT NOT NULL,"
		" created_ns BIGINT NOT NULL);"
		"CREATE TABLE service_revisions ("
		" service BIGINT NOT NULL REFERENCES services (id),"
		" revision BIGINT NOT NULL,"
		" version TEXT NOT NULL,"
		" content TEXT NOT NULL,"
		" published_ns BIGINT NOT NULL,"
		" PRIMARY KEY (service, revision));"
		"CREATE TABLE service_units ("
		" service BIGINT NOT NULL REFERENCES services (id),"
		" slot BIGINT NOT NULL,"
		" name TEXT NOT NULL,"
		" unit TEXT NOT NULL,"
		" PRIMARY KEY (service, slot),"
		" UNIQUE (service, name));"
		"CREATE TABLE plans ("
		" id INTEGER PRIMARY KEY,"
		" service BIGINT NOT NULL REFERENCES services (id),"
		" name TEXT NOT NULL,"
		" version BIGINT NOT NULL,"
		" offered BIGINT NOT NULL,"
		" hash TEXT NOT NULL,"
		" content TEXT NOT NULL,"
		" created_ns BIGINT NOT NULL,"
		" UNIQUE (service, name, version));"
		"CREATE TABLE subscriptions ("
		" id INTEGER PRIMARY KEY,"
		" app BIGINT NOT NULL REFERENCES apps (id),"
		" service BIGINT NOT NULL REFERENCES services (id),"
		" plan BIGINT NOT NULL REFERENCES plans (id),"
		" budget_nano BIGINT NOT NULL,"
		" budget_period BIGINT NOT NULL,"
		" created_ns BIGINT NOT NULL,"
		" ended_ns BIGINT NOT NULL);"
		"CREATE UNIQUE INDEX subscriptions_active ON subscriptions (app, service)"
		" WHERE ended_ns = 0;"
		"CREATE INDEX subscriptions_by_app ON subscriptions (app, id)"},
	{.domain = "catalog",
	 .number = 2,
	 .sql = "ALTER TABLE services ADD COLUMN identity_key BIGINT NOT NULL DEFAULT 1"},
	/* From the start of which month it is the version of those who have an earlier one; 0:
	 * never, or not any more. */
	{.domain = "catalog",
	 .number = 3,
	 .sql = "ALTER TABLE plans ADD COLUMN move_month BIGINT NOT NULL DEFAULT 0"},
};
const size_t catalog_migration_count = sizeof(catalog_migrations) / sizeof(catalog_migrations[0]);

int catalog_migrate(struct store *store, struct fault *fault)
{
	return store_migrate(store, catalog_migrations, catalog_migration_count, fault);
}
