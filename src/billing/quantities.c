/* What was counted so far. */
#include "billing/billing.h"

#include "base/check.h"
#include "billing/card.h"
#include "meter/meter.h"

/* meter keeps quantities by slot number: rating's order. */
static_assert(METER_SLOTS == RATING_METERS, "a slot for each meter");
static_assert(METER_CLOUD_SLOTS == RATING_CLOUD_METERS, "a slot for each cloud meter");
static_assert(sizeof(struct rating_quantities) == METER_SLOTS * sizeof(int64_t), "only slots");

int billing_used(struct store *store, struct subscription_id subscription, uint32_t month,
		 struct rating_quantities *ret_used, struct rating_cloud_quantities *ret_cloud_used,
		 struct fault *fault)
{
	struct card card;
	struct meter_usage usage;
	struct meter_cloud cloud;
	int code = card_in_force(store, &card, fault);

	if (code == 0)
		code = meter_usage_load(store, subscription, month, &usage, fault);
	if (code == 0)
		code = meter_cloud_load(store, subscription, month, card.number, &cloud, fault);
	if (code < 0)
		return code;
	memcpy(ret_used->of, usage.of, sizeof(ret_used->of));
	memcpy(ret_cloud_used->of, cloud.of, sizeof(ret_cloud_used->of));
	return 0;
}
