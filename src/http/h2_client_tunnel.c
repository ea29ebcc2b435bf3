/*
 * Tunnels through a trunk: extended CONNECT (RFC 8441), in place of HTTP/1.1's upgrade.
 *
 * A client may ask only a peer whose settings allow it. So the head of such a call is kept until
 * they have come, and the call fails where they do not.
 */
#include <stdlib.h>

#include "base/check.h"
#include "http/h2_client_internal.h"

/* A head that waits for the peer's settings. */
struct http_h2_wish {
	size_t count;
	nghttp2_nv pairs[];
};

void http_branch_wish(struct http_branch *branch, const nghttp2_nv *pairs, size_t count)
{
	struct http_h2_wish *wish = malloc(sizeof(*wish) + http_h2_pairs_bytes(pairs, count));

	check(wish != NULL);
	wish->count = count;
	http_h2_pairs_copy(wish->pairs, pairs, count);
	branch->wish = wish;
	branch->call.upgrade = true;
	http_branch_make_due(branch);
}

void http_branch_wish_look(struct http_branch *branch)
{
	struct http_trunk *trunk = branch->trunk;
	const nghttp2_data_provider body = {.read_callback = http_branch_read_output};
	struct http_h2_wish *wish = branch->wish;

	if (!trunk->settled)
		return;
	if (nghttp2_session_get_remote_settings(trunk->session,
						NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) != 1) {
		http_branch_fail(branch, HTTP_FAILED_UNSUPPORTED, NGHTTP2_NO_ERROR);
		return;
	}
	branch->wish = NULL;
	branch->id = nghttp2_submit_request(trunk->session, NULL, wish->pairs, wish->count, &body,
					    branch);
	check(branch->id > 0);
	free(wish);
	http_wire_defer(&trunk->wire);
}

void http_trunk_look_at_wishes(struct http_trunk *trunk)
{
	for (struct http_branch *branch = trunk->first; branch != NULL; branch = branch->next)
		if (branch->wish != NULL)
			http_branch_make_due(branch);
}

bool http_branch_is_undecided(const struct http_branch *branch)
{
	return branch->call.upgrade && !branch->call.head_told;
}

void http_branch_switch(struct http_branch *branch, struct http_response *response)
{
	response->status = 101;
	response->http_2 = true;
	response->body_bytes = HTTP_LENGTH_UNKNOWN;
	branch->call.switched = true;
	branch->call.finished = false;
	branch->call.announced_bytes = HTTP_LENGTH_UNKNOWN;
}

uint64_t http_branch_idle_timeout_ns(const struct http_branch *branch)
{
	return branch->call.switched
		       ? 0
		       : http_trunk_client(branch->trunk)->options.limits.body_idle_timeout_ns;
}
