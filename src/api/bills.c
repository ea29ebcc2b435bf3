/* Bills: a month's statement with the proof of every call in it. */
#include "api/api_internal.h"

static int next(void *context, struct text *output, bool *ret_done, struct fault *fault)
{
	return billing_bill_next(context, output, ret_done, fault);
}

static void close_bill(void *context)
{
	billing_bill_close(context);
}

int api_accounts_bill(struct api_request *request, struct fault *fault)
{
	const struct api_options *options = &request->api->options;
	const struct billing_bill_options bill_options = {
		.store = options->store,
		.terms = &options->terms,
		.journal = options->journal,
		.logs = options->logs,
		.node = options->node,
		.currency = options->currency,
		.account_name = api_argument(request, "account")->text,
		.month = (uint32_t)api_argument_number(request, "period",
						       clock_month_of(request->now_ns)),
		.now_ns = request->now_ns,
	};
	struct account account;
	struct billing_bill *bill;
	int code = api_at(request, "account",
			  account_get(options->store, bill_options.account_name, &account, fault));

	if (code == 0)
		code = billing_bill_open(&bill_options, &bill, fault);
	if (code < 0)
		return code;
	request->stream = (struct api_stream){.next = next, .close = close_bill, .context = bill};
	return 0;
}
