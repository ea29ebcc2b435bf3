#include "gateway/problem.h"

#include <stdio.h>

#include "base/check.h"
#include "base/scope.h"

#define LEFT_MAX 96

static const struct problem_text texts[] = {
#define X(name, status, type, title, next) {status, type, title, next},
	PROBLEMS(X)
#undef X
};

const struct problem_text *problem_text(enum problem problem)
{
	check(problem < PROBLEM_COUNT);
	return &texts[problem];
}

size_t problem_compose(enum problem problem, const struct problem_facts *facts, char *body,
		       size_t body_bytes_max)
{
	const struct slice call = facts->call;
	const struct slice scope = facts->scope;
	const struct problem_text *text = problem_text(problem);
	char member[SCOPE_TEXT_MAX + 16] = "";
	char left[LEFT_MAX] = "", left_member[LEFT_MAX] = "";

	/* Neither the table's texts nor a scope hold a character that JSON escapes; tests say so.
	 */
	if (scope.length > 0)
		snprintf(member, sizeof(member), ",\"scope\":\"%.*s\"", SLICE_ARGS(scope));
	else if (call.length > 0)
		snprintf(member, sizeof(member), ",\"call\":\"%.*s\"", SLICE_ARGS(call));
	if (facts->left.length > 0) {
		snprintf(left, sizeof(left), "%.*s is left. ", SLICE_ARGS(facts->left));
		snprintf(left_member, sizeof(left_member), ",\"left\":\"%.*s\"",
			 SLICE_ARGS(facts->left));
	}
	const int length = snprintf(
		body, body_bytes_max,
		"{\"type\":\"" PROBLEM_TYPE_PREFIX
		"%s\",\"title\":\"%s\",\"status\":%u,\"detail\":\"%s%s\"%s%s}\n",
		text->type, text->title, text->status, left, text->next, left_member, member);
	check(length > 0 && (size_t)length < body_bytes_max);
	return (size_t)length;
}

void problem_document(struct text *text)
{
	text_append_text(
		text,
		"# Problems\n"
		"\n"
		"What a caller gets where Stoa answers in the service's place: "
		"`application/problem+json`\n"
		"(RFC 9457) with a stable `type`, `" PROBLEM_TYPE_PREFIX
		"` and the name below. None of\n"
		"these calls costs anything; a stream that is cut is told the same in its own\n"
		"language ([gateway.md](gateway.md#long-calls)), and what it had delivered is "
		"billed. `call` is the call's id where it has one; `stoa "
		"journal cat`\n"
		"has the record of those that a service saw. `left` is what the balance or budget "
		"that\n"
		"refused has for calls now: less than the call may cost. `scope` is the scope that "
		"a key "
		"lacks\n"
		"([keys.md](keys.md)). This page is written from the table in\n"
		"`src/gateway/problem.h`; the API has its own problems in [api.md](api.md).\n"
		"\n"
		"| type | status | title | what to do |\n"
		"|---|---|---|---|\n");
	for (size_t i = 0; i < PROBLEM_COUNT; i++)
		text_printf(text, "| `%s` | %u | %s | %s |\n", texts[i].type, texts[i].status,
			    texts[i].title, texts[i].next);
}
