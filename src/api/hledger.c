/* The ledger of money as a journal of hledger. */
#include "api/api_internal.h"

#include "billing/hledger.h"

static int next(void *context, struct text *output, bool *ret_done, struct fault *fault)
{
	return billing_hledger_next(context, output, ret_done, fault);
}

static void close_journal(void *context)
{
	billing_hledger_close(context);
}

int api_ledger_hledger(struct api_request *request, struct fault *fault)
{
	const struct api_options *options = &request->api->options;
	const struct billing_hledger_options wanted = {
		.store = options->store,
		.currency = options->currency,
		.from_month = (uint32_t)api_argument_number(request, "from", 0),
		.to_month = (uint32_t)api_argument_number(request, "to", UINT32_MAX),
		.now_ns = request->now_ns,
	};
	struct billing_hledger *journal;
	const int code = billing_hledger_open(&wanted, &journal, fault);

	if (code == FAULT_INPUT)
		return api_at(request, "from", code);
	if (code < 0)
		return code;
	request->stream =
		(struct api_stream){.next = next, .close = close_journal, .context = journal};
	return 0;
}
