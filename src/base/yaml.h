/*
 * yaml: a document in memory, each value with the line and column where it stands, so that
 * every complaint about a file can say where.
 *
 * Wraps libfyaml. Anchors, aliases, tags and duplicate keys are refused: a configuration says
 * what it says. Sizes, depth and node count are bounded.
 *
 * Ownership: nodes and their texts live as long as the document. Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/fault.h"
#include "base/slice.h"

#define YAML_BYTES_MAX (1u << 20)
#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 20000

struct yaml;

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
	enum yaml_kind kind;
	unsigned line;	 /* from 1 */
	unsigned column; /* from 1 */
	struct slice key;    /* within a mapping: its name; else empty */
	unsigned key_line, key_column;
	struct slice scalar; /* YAML_SCALAR: the value, NUL-terminated as well */
	bool quoted;	     /* YAML_SCALAR: written in quotes */
	const struct yaml_node *first; /* children, in the file's order */
	const struct yaml_node *next;  /* sibling */
	size_t child_count;
};

/* `name` is how messages call the file. Faults read "name:line:column: what is wrong". */
int yaml_parse(const char *name, struct slice bytes, struct yaml **ret_yaml, struct fault *fault);
void yaml_free(struct yaml *yaml);
const struct yaml_node *yaml_root(const struct yaml *yaml);
const char *yaml_name(const struct yaml *yaml);

/* NULL when the mapping has no such key. */
const struct yaml_node *yaml_find(const struct yaml_node *mapping, const char *key);

/* "name:line:column: text"; FAULT_INPUT. */
int yaml_fault(const struct yaml *yaml, const struct yaml_node *node, struct fault *fault,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));
