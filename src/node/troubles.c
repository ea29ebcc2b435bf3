#include "node/troubles.h"

#include <stdio.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

static const struct row {
	const char *part, *failed, *recovered, *effect, *advice;
} rows[] = {
#define X(kind, part, effect, advice) \
	[TROUBLE_##kind] = {part, part ".failed", part ".recovered", effect, advice},
	TROUBLES(X)
#undef X
};

void troubles_init(struct troubles *troubles)
{
	*troubles = (struct troubles){0};
	check_equal(pthread_mutex_init(&troubles->mutex, NULL), 0);
}

void troubles_fini(struct troubles *troubles)
{
	check_equal(pthread_mutex_destroy(&troubles->mutex), 0);
}

void troubles_note(struct troubles *troubles, enum trouble_kind kind, uint64_t wall_ns,
		   const struct fault *fault)
{
	struct trouble *trouble = &troubles->of[kind];
	char since[CLOCK_TEXT_MAX];

	check_equal(pthread_mutex_lock(&troubles->mutex), 0);
	const bool changed = trouble->present != (fault != NULL);
	trouble->present = fault != NULL;
	if (fault != NULL)
		snprintf(trouble->reason, sizeof(trouble->reason), "%s", fault->text);
	if (fault != NULL && changed)
		trouble->since_ns = wall_ns;
	clock_format_wall(trouble->since_ns, since);
	check_equal(pthread_mutex_unlock(&troubles->mutex), 0);
	if (!changed)
		return;
	if (fault != NULL)
		log_event(LOG_ERROR, rows[kind].failed, log_text("fault", fault->text),
			  log_text("effect", rows[kind].effect),
			  log_text("advice", rows[kind].advice));
	else
		log_event(LOG_INFO, rows[kind].recovered, log_text("failed_since", since));
}

bool troubles_present(struct troubles *troubles, enum trouble_kind kind)
{
	check_equal(pthread_mutex_lock(&troubles->mutex), 0);
	const bool present = troubles->of[kind].present;
	check_equal(pthread_mutex_unlock(&troubles->mutex), 0);
	return present;
}

const char *trouble_part(enum trouble_kind kind)
{
	return rows[kind].part;
}

json_t *troubles_json(struct troubles *troubles)
{
	json_t *list = json_array();

	check_equal(pthread_mutex_lock(&troubles->mutex), 0);
	for (size_t i = 0; i < TROUBLE_KINDS; i++) {
		const struct trouble *trouble = &troubles->of[i];
		char since[CLOCK_TEXT_MAX];
		if (!trouble->present)
			continue;
		clock_format_wall(trouble->since_ns, since);
		/* A fault's text may quote bytes that are no UTF-8. */
		json_t *reason = json_string(trouble->reason);
		if (reason == NULL)
			reason = json_string("the log has the reason");
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:o, s:s, s:s}", "part", rows[i].part,
						"since", since, "reason", reason, "effect",
						rows[i].effect, "advice", rows[i].advice));
	}
	check_equal(pthread_mutex_unlock(&troubles->mutex), 0);
	return list;
}
