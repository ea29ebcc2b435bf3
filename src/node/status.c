#include "node/node_internal.h"

#include <stdlib.h>

static json_t *amount_json(int64_t nano)
{
	char text[AMOUNT_TEXT_MAX];

	amount_format(amount_nano(nano), text);
	return json_string(text);
}

static json_t *addresses_json(const struct node *node)
{
	json_t *list = json_array();
	char text[LOOP_ADDRESS_TEXT_MAX];
	struct loop_address address;

	for (uint32_t i = 0; gateway_listener_address(node->gateway, i, &address); i++) {
		loop_address_format(&address, text);
		json_array_append_new(
			list, json_sprintf("%s%s",
					   gateway_listener_is_tls(node->gateway, i) ? "tls:" : "",
					   text));
	}
	return list;
}

static json_t *calls_json(const struct node *node)
{
	json_t *object = json_object();
	struct gateway_counts counts;

	gateway_counts_read(node->gateway, &counts);
#define X(kind, name, sentence) \
	json_object_set_new(object, #name, json_integer((json_int_t)counts.name));
	GATEWAY_COUNTS(X)
#undef X
	return object;
}

static json_t *poster_json(const struct node *node)
{
	json_t *object = json_object();
	struct billing_counts counts;

	billing_poster_counts(node->poster, &counts);
#define X(kind, name, sentence) \
	json_object_set_new(object, #name, json_integer((json_int_t)counts.name));
	BILLING_COUNTS(X)
#undef X
	/* Money is a decimal text everywhere. */
	json_object_del(object, "leased_nano");
	json_object_del(object, "mismatch_nano");
	json_object_set_new(object, "leased", amount_json((int64_t)counts.leased_nano));
	json_object_set_new(object, "mismatch", amount_json((int64_t)counts.mismatch_nano));
	return object;
}

static json_t *journal_json(const struct node *node)
{
	json_t *streams = json_array();

	for (uint32_t i = 0; i < journal_stream_count(node->journal); i++)
		json_array_append_new(
			streams,
			json_pack("{s:I, s:I, s:I}", "written",
				  (json_int_t)journal_stream_head(node->journal, i), "durable",
				  (json_int_t)journal_stream_durable(node->journal, i), "posted",
				  (json_int_t)billing_poster_position(node->poster, i)));
	return json_pack("{s:b, s:o}", "failed", journal_is_failed(node->journal), "streams",
			 streams);
}

static json_t *instance_json(const struct fleet_status *place)
{
	char since[CLOCK_TEXT_MAX], id[ID_TEXT_MAX];

	clock_format_wall(place->since_ns, since);
	id_format("inst", place->instance.value, id);
	return json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:s, s:s, s:i, s:i, s:s, s:s}", "id", id,
			 "service", place->service_name, "version", place->version, "place",
			 (int)place->place, "state", fleet_state_text(place->state), "pid",
			 (int)place->pid, "since", since, "address", place->address, "starts",
			 (int)place->starts, "failures", (int)place->failures, "reason",
			 place->reason, "last_lines", place->last_lines);
}

static json_t *instances_json(const struct node *node)
{
	json_t *list = json_array();
	struct fleet_status *places;
	size_t count;

	fleet_status_list(node->fleet, &places, &count);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, instance_json(&places[i]));
	free(places);
	return list;
}

json_t *status_compose(void *context)
{
	struct node *node = context;
	char started[CLOCK_TEXT_MAX], key[AUDIT_VKEY_MAX];
	char isolation[CGROUP_WHY_MAX + 64];
	const char *reason;
	const enum loop_io io = gateway_io(node->gateway, &reason);

	clock_format_wall(node->started_ns, started);
	cgroups_describe(&node->groups, isolation);
	audit_key_format(&node->signer.key, key);
	return json_pack("{s:s, s:s, s:o, s:s, s:s, s:i, s:o, s:o, s:s, s:o, s:o, s:s, s:o}",
			 "version", STOA_VERSION, "started", started, "gateway",
			 addresses_json(node), "io", io == LOOP_IO_URING ? "uring" : "epoll",
			 "io_reason", reason, "workers", (int)node->worker_count, "calls",
			 calls_json(node), "poster", poster_json(node), "log_key", key, "journal",
			 journal_json(node), "instances", instances_json(node), "instances_are",
			 isolation, "troubles", troubles_json(&node->troubles));
}
