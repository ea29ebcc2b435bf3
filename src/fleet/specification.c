#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "fleet/fleet_internal.h"

static bool is_dns_label(const char *name)
{
	const size_t length = strlen(name);

	if (length == 0 || length >= FLEET_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		const char c = name[i];
		const bool is_inner = c == '-' && i > 0 && i + 1 < length;
		if (!is_inner && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
			return false;
	}
	return true;
}

static size_t word_count(const char *const *words)
{
	size_t count = 0;

	while (words != NULL && words[count] != NULL)
		count++;
	return count;
}

static int check_environment(const struct fleet_service *given, struct fault *fault)
{
	char shown[TEXT_SHOWN_MAX];

	if (word_count(given->environment) > FLEET_VARIABLES_MAX)
		return fault_set(fault, FAULT_INPUT,
				 "service %s has more than %d environment variables", given->name,
				 FLEET_VARIABLES_MAX);
	for (size_t i = 0; given->environment != NULL && given->environment[i] != NULL; i++) {
		const struct slice variable = slice_of(given->environment[i]);
		const size_t equals = slice_find_byte(variable, '=', 0);
		const struct slice name = slice_part(variable, 0, equals);
		if (equals == 0 || equals == variable.length)
			return fault_set(fault, FAULT_INPUT,
					 "service %s: the environment's \"%s\" is not NAME=value",
					 given->name, text_show(variable, shown));
		if (slice_starts_with(name, slice_of("STOA_")) ||
		    slice_equal(name, slice_of("PORT")))
			return fault_set(fault, FAULT_INPUT,
					 "service %s: the environment variable %s is set by Stoa",
					 given->name, text_show(name, shown));
	}
	return 0;
}

int specification_check(const struct fleet_service *given, struct fault *fault)
{
	char shown[TEXT_SHOWN_MAX];

	check(given->id.value > 0);
	check(given->name != NULL);
	check(given->version != NULL);
	check(given->folder != NULL);
	check(given->command != NULL);
	if (!is_dns_label(given->name))
		return fault_set(fault, FAULT_INPUT, "a service's name is a DNS label, not \"%s\"",
				 text_show(slice_of(given->name), shown));
	if (strlen(given->version) >= FLEET_VERSION_MAX)
		return fault_set(fault, FAULT_INPUT,
				 "service %s: its version has more than %d bytes", given->name,
				 FLEET_VERSION_MAX - 1);
	if (given->folder[0] == '\0')
		return fault_set(fault, FAULT_INPUT, "service %s has no folder to run in",
				 given->name);
	if (given->command[0] == NULL || given->command[0][0] == '\0')
		return fault_set(fault, FAULT_INPUT, "service %s has no command", given->name);
	if (word_count(given->command) > FLEET_ARGUMENTS_MAX)
		return fault_set(fault, FAULT_INPUT,
				 "service %s: its command has more than %d words", given->name,
				 FLEET_ARGUMENTS_MAX);
	if (given->health_path != NULL && given->health_path[0] != '/')
		return fault_set(fault, FAULT_INPUT,
				 "service %s: its health path \"%s\" does not begin with '/'",
				 given->name, text_show(slice_of(given->health_path), shown));
	/* It becomes part of a request line. */
	for (const char *c = given->health_path; c != NULL && *c != '\0'; c++)
		if (*c <= ' ' || *c == 0x7f)
			return fault_set(fault, FAULT_INPUT,
					 "service %s: its health path holds a character that no "
					 "path has",
					 given->name);
	if (given->count > FLEET_INSTANCES_MAX)
		return fault_set(fault, FAULT_INPUT,
				 "service %s: %u instances are more than the %d allowed",
				 given->name, given->count, FLEET_INSTANCES_MAX);
	return check_environment(given, fault);
}

/* A block that is first measured, then filled: with `data` NULL it only counts. */
struct block {
	char *data;
	size_t used;
};

static const char *block_text(struct block *block, const char *text)
{
	char *at = block->data + block->used;

	if (text == NULL)
		return NULL;
	const size_t bytes = strlen(text) + 1;
	if (block->data != NULL)
		memcpy(at, text, bytes);
	block->used += bytes;
	return block->data != NULL ? at : NULL;
}

/* The pointers stand in `slots`, the texts in the block. */
static const char *const *block_words(struct block *block, const char **slots,
				      const char *const *words)
{
	const size_t count = word_count(words);

	for (size_t i = 0; i < count; i++) {
		const char *copied = block_text(block, words[i]);
		if (slots != NULL)
			slots[i] = copied;
	}
	if (slots != NULL)
		slots[count] = NULL;
	return slots;
}

static void fill(struct fleet_service *copy, const char **slots, struct block *block,
		 const struct fleet_service *given)
{
	const char **environment_slots =
		slots != NULL ? slots + word_count(given->command) + 1 : NULL;

	copy->name = block_text(block, given->name);
	copy->version = block_text(block, given->version);
	copy->folder = block_text(block, given->folder);
	copy->health_path = block_text(block, given->health_path);
	copy->identity_keys = block_text(block, given->identity_keys);
	copy->command = block_words(block, slots, given->command);
	copy->environment = block_words(block, environment_slots, given->environment);
}

struct fleet_service *specification_copy(const struct fleet_service *given)
{
	const size_t slot_bytes =
		(word_count(given->command) + word_count(given->environment) + 2) *
		sizeof(const char *);
	struct fleet_service measured = *given;
	struct block block = {0};

	fill(&measured, NULL, &block, given);
	struct fleet_service *copy = malloc(sizeof(*copy) + slot_bytes + block.used);
	check(copy != NULL);
	*copy = *given;
	const char **slots = (const char **)(copy + 1);
	block = (struct block){.data = (char *)slots + slot_bytes};
	fill(copy, slots, &block, given);
	if (copy->start_timeout_ns == 0)
		copy->start_timeout_ns = START_TIMEOUT_DEFAULT_NS;
	if (copy->drain_timeout_ns == 0)
		copy->drain_timeout_ns = DRAIN_TIMEOUT_DEFAULT_NS;
	if (copy->stop_grace_ns == 0)
		copy->stop_grace_ns = STOP_GRACE_DEFAULT_NS;
	return copy;
}

static bool text_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool words_equal(const char *const *a, const char *const *b)
{
	const size_t count = word_count(a);

	if (word_count(b) != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

bool specification_equal(const struct fleet_service *a, const struct fleet_service *b)
{
	return a->id.value == b->id.value && text_equal(a->name, b->name) &&
	       text_equal(a->version, b->version) && text_equal(a->folder, b->folder) &&
	       words_equal(a->command, b->command) && words_equal(a->environment, b->environment) &&
	       a->listen == b->listen && a->protocol == b->protocol &&
	       text_equal(a->health_path, b->health_path) &&
	       text_equal(a->identity_keys, b->identity_keys) &&
	       a->memory_bytes == b->memory_bytes && a->cpu_milli == b->cpu_milli &&
	       a->concurrency == b->concurrency && a->start_timeout_ns == b->start_timeout_ns &&
	       a->drain_timeout_ns == b->drain_timeout_ns && a->stop_grace_ns == b->stop_grace_ns;
}
