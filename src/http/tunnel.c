/*
 * Tunnels: a connection of either side that was switched to another protocol (RFC 9110 7.8).
 *
 * To the rest of the folder the bytes behind a 101 are a body without framing that ends with the
 * connection, one in each direction. So pausing, resuming, bounds and ends are those of bodies;
 * only the timeout between pieces is left out, for a protocol may be silent.
 */
#include "base/check.h"
#include "http/client_internal.h"
#include "http/h2_server_internal.h"

void http_exchange_switch(struct http_exchange *exchange, struct slice protocol,
			  const struct http_header *headers, size_t header_count)
{
	check(exchange->live);
	if (exchange->aborted)
		return;
	check(!exchange->responded && exchange->body_told && !exchange->http_1_0);
	exchange->responded = true;
	exchange->switched = true;
	exchange->keep_alive = false;
	exchange->dropped = exchange->chunked = false;
	exchange->announced_bytes = HTTP_LENGTH_UNKNOWN;
	exchange->body_told = false;
	if (exchange->h2) {
		http_h2_switch(http_h2_stream_of(exchange), headers, header_count);
		return;
	}
	struct http_connection *connection = http_exchange_connection(exchange);
	struct http_server *server = connection->server;
	http_body_begin(&connection->body, HTTP_BODY_UNTIL_CLOSE, 0, &server->options.limits);
	connection->body.bytes_max = INT64_MAX;
	connection->wire.read_deadline_ns = 0;
	http_date_update(&server->date, loop_wall_ns(server->loop));
	http_compose_answer(&connection->wire,
			    &(struct http_answer_head){
				    .status = 101,
				    .headers = headers,
				    .header_count = header_count,
				    .content_length = HTTP_LENGTH_UNKNOWN,
				    .upgrade = protocol,
			    },
			    &server->date);
	http_wire_defer(&connection->wire);
}

void http_link_switch(struct http_link *link)
{
	struct http_call *call = &link->call;

	call->switched = true;
	call->head_told = true;
	call->keep_alive = false;
	call->finished = false;
	call->announced_bytes = HTTP_LENGTH_UNKNOWN;
	http_body_begin(&link->body, HTTP_BODY_UNTIL_CLOSE, 0,
			&link->origin->client->options.limits);
	link->body.bytes_max = INT64_MAX;
	link->wire.read_deadline_ns = 0;
}

void http_link_shut(struct http_link *link)
{
	struct http_call *call = &link->call;

	if (link->state != HTTP_LINK_CALLING || !call->finished || call->shut ||
	    link->wire.waiting_bytes > 0)
		return;
	call->shut = true;
	http_wire_shutdown(&link->wire);
}

uint64_t http_link_idle_timeout_ns(const struct http_link *link)
{
	return link->call.switched ? 0 : link->origin->client->options.limits.body_idle_timeout_ns;
}
