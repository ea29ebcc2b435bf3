#include "gateway/route.h"

static bool is_digits_and_dots(struct slice host)
{
	for (size_t i = 0; i < host.length; i++) {
		if (host.data[i] != '.' && (host.data[i] < '0' || host.data[i] > '9'))
			return false;
	}
	return true;
}

bool route_host_label(struct slice authority, struct slice *ret_label)
{
	if (authority.length == 0 || authority.data[0] == '[')
		return false;
	const struct slice host = slice_part(authority, 0, slice_find_byte(authority, ':', 0));
	const size_t dot = slice_find_byte(host, '.', 0);
	if (dot == 0 || dot + 1 >= host.length || is_digits_and_dots(host))
		return false;
	*ret_label = slice_part(host, 0, dot);
	return true;
}

bool route_path_segment(struct slice target, struct slice *ret_segment, struct slice *ret_rest,
			bool *ret_bare)
{
	if (target.length < 2 || target.data[0] != '/')
		return false;
	size_t end = 1;
	while (end < target.length && target.data[end] != '/' && target.data[end] != '?')
		end++;
	if (end == 1)
		return false;
	*ret_segment = slice_part(target, 1, end);
	*ret_rest = slice_part(target, end, target.length);
	*ret_bare = ret_rest->length == 0 || ret_rest->data[0] == '?';
	return true;
}
