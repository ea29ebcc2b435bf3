#include "http/http.h"

#include "base/clock.h"

/* RFC 9110 15, and those that RFC 6585, 7725, 8470 and 9110's registry add. */
static const char *const reasons[600] = {
	[101] = "Switching Protocols",
	[200] = "OK",
	[201] = "Created",
	[202] = "Accepted",
	[203] = "Non-Authoritative Information",
	[204] = "No Content",
	[205] = "Reset Content",
	[206] = "Partial Content",
	[207] = "Multi-Status",
	[208] = "Already Reported",
	[226] = "IM Used",
	[300] = "Multiple Choices",
	[301] = "Moved Permanently",
	[302] = "Found",
	[303] = "See Other",
	[304] = "Not Modified",
	[305] = "Use Proxy",
	[307] = "Temporary Redirect",
	[308] = "Permanent Redirect",
	[400] = "Bad Request",
	[401] = "Unauthorized",
	[402] = "Payment Required",
	[403] = "Forbidden",
	[404] = "Not Found",
	[405] = "Method Not Allowed",
	[406] = "Not Acceptable",
	[407] = "Proxy Authentication Required",
	[408] = "Request Timeout",
	[409] = "Conflict",
	[410] = "Gone",
	[411] = "Length Required",
	[412] = "Precondition Failed",
	[413] = "Content Too Large",
	[414] = "URI Too Long",
	[415] = "Unsupported Media Type",
	[416] = "Range Not Satisfiable",
	[417] = "Expectation Failed",
	[421] = "Misdirected Request",
	[422] = "Unprocessable Content",
	[423] = "Locked",
	[424] = "Failed Dependency",
	[425] = "Too Early",
	[426] = "Upgrade Required",
	[428] = "Precondition Required",
	[429] = "Too Many Requests",
	[431] = "Request Header Fields Too Large",
	[451] = "Unavailable For Legal Reasons",
	[500] = "Internal Server Error",
	[501] = "Not Implemented",
	[502] = "Bad Gateway",
	[503] = "Service Unavailable",
	[504] = "Gateway Timeout",
	[505] = "HTTP Version Not Supported",
	[506] = "Variant Also Negotiates",
	[507] = "Insufficient Storage",
	[508] = "Loop Detected",
	[511] = "Network Authentication Required",
};

const char *http_status_reason(unsigned status)
{
	return status < 600 && reasons[status] ? reasons[status] : "";
}

void http_limits_default(struct http_limits *limits)
{
	*limits = (struct http_limits){
		.head_bytes_max = 32 * 1024,
		.target_bytes_max = 8 * 1024,
		.body_bytes_max = 1024ull * 1024 * 1024,
		.output_bytes_high = 256 * 1024,
		.head_timeout_ns = 10 * CLOCK_NS_PER_S,
		.body_idle_timeout_ns = 30 * CLOCK_NS_PER_S,
		.keep_alive_timeout_ns = 60 * CLOCK_NS_PER_S,
		.send_idle_timeout_ns = 30 * CLOCK_NS_PER_S,
		.connect_timeout_ns = 1 * CLOCK_NS_PER_S,
		.answer_timeout_ns = 60 * CLOCK_NS_PER_S,
	};
}
