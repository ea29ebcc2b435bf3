#include "api/api_internal.h"

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
