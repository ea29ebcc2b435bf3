/*
 * reader: takes values out of a YAML document and gathers what is wrong with them, in the file's
 * order, so that a person sees all of it at once.
 *
 * Every function that takes a node may be given NULL, for a key that is not there: it then
 * returns false and complains of nothing. After a complaint the reading goes on.
 *
 * Ownership: texts are copied into the arena that was handed in. Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/yaml.h"
#include "catalog/catalog.h"

#define READER_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct reader {
	const struct yaml *yaml;
	struct arena *arena;
	struct catalog_complaints *complaints;
	uint32_t complaint_count;     /* told or not */
	const struct yaml_node *list; /* the last one read: what its entries are called by */
};

/* "file:line:column: text", at the value. */
void reader_complain(struct reader *reader, const struct yaml_node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same at the value's key. */
void reader_complain_of_key(struct reader *reader, const struct yaml_node *node, const char *format,
			    ...) __attribute__((format(printf, 3, 4)));
/* `KEY: "VALUE" is not allowed here; allowed: ALLOWED`, said of a scalar. */
void reader_complain_of_value(struct reader *reader, const struct yaml_node *node,
			      const char *allowed);

/* What stands under the keys known, in their order; NULL where a key is not there. Complains
 * where the node is no mapping and of every other key, with the nearest known one. An empty
 * value is an empty mapping. `what` is how complaints call the mapping. */
bool reader_mapping(struct reader *reader, const struct yaml_node *node, const char *what,
		    const char *const *known, size_t known_count,
		    const struct yaml_node **ret_values);
/* A mapping whose keys are free, 0 .. most of them. */
bool reader_names(struct reader *reader, const struct yaml_node *node, size_t most);
/* A list of least .. most entries. */
bool reader_list(struct reader *reader, const struct yaml_node *node, size_t least, size_t most,
		 const char *example);
/* Complains at the mapping where `value` is NULL. */
bool reader_need(struct reader *reader, const struct yaml_node *mapping, const char *what,
		 const struct yaml_node *value, const char *key);

/* One value, not a list or a mapping, not empty. */
bool reader_scalar(struct reader *reader, const struct yaml_node *node, struct slice *ret_text);
/* One line without control characters, shorter than bytes_max. */
bool reader_line(struct reader *reader, const struct yaml_node *node, size_t bytes_max,
		 const char **ret_text);
/* One of the words; *ret_index is which. */
bool reader_word(struct reader *reader, const struct yaml_node *node, const char *const *words,
		 size_t word_count, size_t *ret_index);
bool reader_count(struct reader *reader, const struct yaml_node *node, uint64_t least,
		  uint64_t most, uint64_t *ret_count);
bool reader_bytes(struct reader *reader, const struct yaml_node *node, uint64_t least,
		  uint64_t most, uint64_t *ret_bytes);
bool reader_duration_ns(struct reader *reader, const struct yaml_node *node, uint64_t least,
			uint64_t most, uint64_t *ret_ns);

/* In the arena, which has room for all that a file can hold. */
const char *reader_copy(struct reader *reader, struct slice text);
void *reader_alloc(struct reader *reader, size_t count, size_t size);
