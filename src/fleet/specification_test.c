#include "base/testing.h"

#include <string.h>

#include "fleet/fleet_internal.h"

static const char *const command[] = {"./server", "--fast", NULL};
static const char *const environment[] = {"COLOR=blue", "EMPTY=", NULL};

static struct fleet_service sample(void)
{
	return (struct fleet_service){
		.id = {7},
		.name = "thumbs",
		.version = "1.4.0",
		.folder = "/srv/thumbs",
		.command = command,
		.environment = environment,
		.health_path = "/healthz",
		.memory_bytes = 1024,
		.count = 2,
	};
}

static void assert_refused(const struct fleet_service *given, const char *sentence)
{
	struct fault fault = {0};

	assert_int_equal(specification_check(given, &fault), FAULT_INPUT);
	assert_string_equal(fault.text, sentence);
}

static void what_can_run_is_taken(void **state)
{
	struct fleet_service given = sample();
	struct fault fault;

	(void)state;
	assert_int_equal(specification_check(&given, &fault), 0);
	given.environment = NULL;
	given.health_path = NULL;
	given.count = FLEET_INSTANCES_MAX;
	assert_int_equal(specification_check(&given, &fault), 0);
}

static void names_that_are_no_dns_label_are_refused(void **state)
{
	static const char *const names[] = {"",   "Thumbs", "a.b", "../a",
					    "-a", "a-",     "a b", "\xc3\xa4"};
	struct fleet_service given = sample();
	struct fault fault;
	char name[FLEET_NAME_MAX + 1] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		given.name = names[i];
		assert_int_equal(specification_check(&given, &fault), FAULT_INPUT);
	}
	memset(name, 'a', FLEET_NAME_MAX);
	given.name = name;
	assert_int_equal(specification_check(&given, &fault), FAULT_INPUT);
	name[FLEET_NAME_MAX - 1] = '\0';
	assert_int_equal(specification_check(&given, &fault), 0);
}

static void each_other_refusal_says_what_is_wrong(void **state)
{
	static const char *const nothing[] = {NULL};
	static const char *const own_socket[] = {"STOA_SOCKET=/tmp/x", NULL};
	static const char *const own_port[] = {"PORT=80", NULL};
	static const char *const no_value[] = {"COLOR", NULL};
	struct fleet_service given = sample();

	(void)state;
	given.folder = "";
	assert_refused(&given, "service thumbs has no folder to run in");
	given = sample();
	given.command = nothing;
	assert_refused(&given, "service thumbs has no command");
	given = sample();
	given.health_path = "healthz";
	assert_refused(&given,
		       "service thumbs: its health path \"healthz\" does not begin with '/'");
	given.health_path = "/a\r\nHost: b";
	assert_refused(&given,
		       "service thumbs: its health path holds a character that no path has");
	given = sample();
	given.environment = own_socket;
	assert_refused(&given,
		       "service thumbs: the environment variable STOA_SOCKET is set by Stoa");
	given.environment = own_port;
	assert_refused(&given, "service thumbs: the environment variable PORT is set by Stoa");
	given.environment = no_value;
	assert_refused(&given, "service thumbs: the environment's \"COLOR\" is not NAME=value");
	given = sample();
	given.count = FLEET_INSTANCES_MAX + 1;
	assert_refused(&given, "service thumbs: 65 instances are more than the 64 allowed");
}

static void words_and_variables_have_a_maximum(void **state)
{
	const char *words[FLEET_VARIABLES_MAX + 2] = {0};
	struct fleet_service given = sample();
	struct fault fault;

	(void)state;
	for (size_t i = 0; i < FLEET_ARGUMENTS_MAX; i++)
		words[i] = "A=b";
	given.command = words;
	assert_int_equal(specification_check(&given, &fault), 0);
	words[FLEET_ARGUMENTS_MAX] = "A=b";
	assert_int_equal(specification_check(&given, &fault), FAULT_INPUT);
	given = sample();
	given.environment = words;
	for (size_t i = 0; i < FLEET_VARIABLES_MAX; i++)
		words[i] = "A=b";
	assert_int_equal(specification_check(&given, &fault), 0);
	words[FLEET_VARIABLES_MAX] = "A=b";
	assert_int_equal(specification_check(&given, &fault), FAULT_INPUT);
}

static void a_copy_shares_nothing_and_has_the_defaults(void **state)
{
	char name[] = "thumbs", word[] = "./server";
	const char *words[] = {word, NULL};
	struct fleet_service given = sample();

	(void)state;
	given.name = name;
	given.command = words;
	given.environment = NULL;
	given.health_path = NULL;
	struct fleet_service *copy = specification_copy(&given);
	name[0] = word[2] = 'X';
	words[0] = NULL;
	assert_string_equal(copy->name, "thumbs");
	assert_string_equal(copy->command[0], "./server");
	assert_null(copy->command[1]);
	assert_null(copy->health_path);
	assert_true(copy->environment == NULL || copy->environment[0] == NULL);
	assert_int_equal(copy->start_timeout_ns, 10 * CLOCK_NS_PER_S);
	assert_int_equal(copy->drain_timeout_ns, 30 * CLOCK_NS_PER_S);
	assert_int_equal(copy->stop_grace_ns, 5 * CLOCK_NS_PER_S);
	free(copy);
}

static void a_copy_equals_its_original_and_any_change_but_the_count_shows(void **state)
{
	static const char *const other_words[] = {"./server", NULL};
	struct fleet_service given = sample();

	(void)state;
	given.start_timeout_ns = given.drain_timeout_ns = given.stop_grace_ns = 1;
	struct fleet_service *copy = specification_copy(&given);
	assert_true(specification_equal(copy, &given));
	struct fleet_service other = given;
	other.count = 9;
	assert_true(specification_equal(copy, &other));
#define ASSERT_SHOWS(member, value) \
	other = given;              \
	other.member = value;       \
	assert_false(specification_equal(copy, &other))
	ASSERT_SHOWS(name, "thumb");
	ASSERT_SHOWS(version, "2");
	ASSERT_SHOWS(folder, "/srv");
	ASSERT_SHOWS(command, other_words);
	ASSERT_SHOWS(environment, other_words);
	ASSERT_SHOWS(environment, NULL);
	ASSERT_SHOWS(listen, FLEET_LISTEN_PORT);
	ASSERT_SHOWS(protocol, HTTP_PROTOCOL_2);
	ASSERT_SHOWS(health_path, NULL);
	ASSERT_SHOWS(memory_bytes, 2);
	ASSERT_SHOWS(cpu_milli, 2);
	ASSERT_SHOWS(concurrency, 2);
	ASSERT_SHOWS(start_timeout_ns, 2);
	ASSERT_SHOWS(drain_timeout_ns, 2);
	ASSERT_SHOWS(stop_grace_ns, 2);
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_can_run_is_taken),
		cmocka_unit_test(names_that_are_no_dns_label_are_refused),
		cmocka_unit_test(each_other_refusal_says_what_is_wrong),
		cmocka_unit_test(words_and_variables_have_a_maximum),
		cmocka_unit_test(a_copy_shares_nothing_and_has_the_defaults),
		cmocka_unit_test(a_copy_equals_its_original_and_any_change_but_the_count_shows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
