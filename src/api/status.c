#include "api/api_internal.h"
#include "api/schemas.h"

/* clang-format off */
const struct api_member api_status_members[] = {
	{"cloud", API_IS_TEXT, 0, NULL, "its name"},
	{"currency", API_IS_TEXT, 0, NULL, "of all amounts"},
	{"time", API_IS_TIME, 0, NULL, "now, by the node's clock"},
	{"version", API_IS_TEXT, 0, NULL, "of the program"},
	{"started", API_IS_TIME, 0, NULL, "since when the node runs"},
	{"gateway", API_IS_TEXT, API_LIST_OF, NULL, "addresses that take calls, as settings have them"},
	{"io", API_IS_CHOICE, 0, "uring|epoll", "how the gateway waits for the network"},
	{"io_reason", API_IS_TEXT, 0, NULL, "why so"},
	{"workers", API_IS_COUNT, 0, NULL, "threads that serve calls"},
	{"calls", API_IS_COUNT, API_MAP_OF, NULL, "the gateway's counts"},
	{"poster", API_IS_FIGURE, API_MAP_OF, NULL, "the counts of who bills the calls"},
	{"log_key", API_IS_TEXT, 0, NULL, "public key of what the cloud signs, a C2SP vkey"},
	{"journal", API_IS_OBJECT, 0, "JournalState", "how far it is written, durable and posted"},
	{"instances", API_IS_OBJECT, API_LIST_OF, "Instance", "the running copies of services"},
	{"instances_are", API_IS_TEXT, 0, NULL, "how they are held together and limited, and why so"},
	{"troubles", API_IS_OBJECT, API_LIST_OF, "Trouble", "what cannot do its work now"},
};

const struct api_member api_trouble_members[] = {
	{"part", API_IS_TEXT, 0, NULL, "which part of the node"},
	{"since", API_IS_TIME, 0, NULL, "when it began"},
	{"reason", API_IS_TEXT, 0, NULL, "why"},
	{"effect", API_IS_TEXT, 0, NULL, "what that means for calls"},
	{"advice", API_IS_TEXT, 0, NULL, "what to do about it"},
};

const struct api_member api_journal_state_members[] = {
	{"failed", API_IS_FLAG, 0, NULL, "it can take no more records, and calls are refused"},
	{"streams", API_IS_OBJECT, API_LIST_OF, "Stream", "one for each worker"},
};

const struct api_member api_stream_members[] = {
	{"written", API_IS_COUNT, 0, NULL, "records, ever"},
	{"durable", API_IS_COUNT, 0, NULL, "of them, those on the disk"},
	{"posted", API_IS_COUNT, 0, NULL, "of them, those in the ledger"},
};

const struct api_member api_instance_members[] = {
	{"id", API_IS_ID, 0, NULL, "of the instance"},
	{"service", API_IS_TEXT, 0, NULL, "the service's name"},
	{"version", API_IS_TEXT, 0, NULL, "the service's version that it runs"},
	{"place", API_IS_COUNT, 0, NULL, "its number in the service, from 0 on"},
	{"state", API_IS_TEXT, 0, NULL, "what it does now"},
	{"pid", API_IS_COUNT, 0, NULL, "its process, 0 where none runs"},
	{"since", API_IS_TIME, 0, NULL, "when the state began"},
	{"address", API_IS_TEXT, 0, NULL, "where it listens"},
	{"starts", API_IS_COUNT, 0, NULL, "how often it was started"},
	{"failures", API_IS_COUNT, 0, NULL, "starts that failed in a row"},
	{"reason", API_IS_TEXT, 0, NULL, "why it failed last, or empty"},
	{"last_lines", API_IS_TEXT, 0, NULL, "what it wrote last before it failed"},
};
/* clang-format on */

int api_health(struct api_request *request, struct fault *fault)
{
	(void)fault;
	request->answer = json_pack("{s:s}", "status", "ok");
	return 0;
}

int api_metrics(struct api_request *request, struct fault *fault)
{
	const struct api_ports *ports = &request->api->options.ports;

	(void)fault;
	ports->metrics(ports->context, &request->output);
	return 0;
}

int api_status(struct api_request *request, struct fault *fault)
{
	const struct api_options *options = &request->api->options;
	json_t *node = options->ports.status(options->ports.context);

	(void)fault;
	request->answer = json_pack("{s:s, s:s, s:o}", "cloud", options->cloud_name, "currency",
				    options->currency, "time", api_json_time(request->now_ns));
	json_object_update(request->answer, node);
	json_decref(node);
	return 0;
}
