#include "loop/loop_internal.h"

#include "base/check.h"

#define TICK_NS   1000000ull
#define SLOT_BITS 6

static_assert(LOOP_WHEEL_SLOTS == 1 << SLOT_BITS, "six bits of a tick name a slot");
static_assert(UINT64_MAX / TICK_NS < 1ull << (SLOT_BITS * LOOP_WHEEL_LEVELS),
	      "every tick has its level");

static void list_init(struct loop_timer *sentinel)
{
	sentinel->next = sentinel->previous = sentinel;
}

static bool list_empty(const struct loop_timer *sentinel)
{
	return sentinel->next == sentinel;
}

static void list_add(struct loop_timer *sentinel, struct loop_timer *timer)
{
	timer->next = sentinel;
	timer->previous = sentinel->previous;
	sentinel->previous->next = timer;
	sentinel->previous = timer;
}

static void list_remove(struct loop_timer *timer)
{
	timer->previous->next = timer->next;
	timer->next->previous = timer->previous;
	timer->next = timer->previous = NULL;
}

/* Moves all of `from`, in order, behind what is in `to`. */
static void list_move(struct loop_timer *from, struct loop_timer *to)
{
	if (list_empty(from))
		return;
	from->next->previous = to->previous;
	to->previous->next = from->next;
	from->previous->next = to;
	to->previous = from->previous;
	list_init(from);
}

static uint64_t tick_of(uint64_t due_ns)
{
	return due_ns / TICK_NS + (due_ns % TICK_NS != 0);
}

void loop_wheel_init(struct loop_wheel *wheel, uint64_t now_ns)
{
	wheel->tick = now_ns / TICK_NS;
	for (int level = 0; level < LOOP_WHEEL_LEVELS; level++) {
		wheel->occupied[level] = 0;
		for (int slot = 0; slot < LOOP_WHEEL_SLOTS; slot++)
			list_init(&wheel->slots[level][slot]);
	}
	list_init(&wheel->due);
	list_init(&wheel->running);
}

static void wheel_place_due(struct loop_wheel *wheel, struct loop_timer *timer)
{
	timer->placed_tick = 0;
	list_add(&wheel->due, timer);
}

static void wheel_place(struct loop_wheel *wheel, struct loop_timer *timer)
{
	const uint64_t tick = tick_of(timer->due_ns);
	if (tick <= wheel->tick) {
		wheel_place_due(wheel, timer);
		return;
	}
	const int level = (63 - __builtin_clzll(tick ^ wheel->tick)) / SLOT_BITS;
	const uint64_t slot = (tick >> (SLOT_BITS * level)) % LOOP_WHEEL_SLOTS;
	timer->placed_tick = tick;
	wheel->occupied[level] |= 1ull << slot;
	list_add(&wheel->slots[level][slot], timer);
}

/* The slot that begins next; false where all are empty. Lower levels always begin sooner. */
static bool wheel_next_slot(struct loop_wheel *wheel, int *ret_level, uint64_t *ret_tick)
{
	for (int level = 0; level < LOOP_WHEEL_LEVELS; level++) {
		const uint64_t here = wheel->tick >> (SLOT_BITS * level);
		const uint64_t passed = here % LOOP_WHEEL_SLOTS;
		/* Slots up to the current one are empty: shift in two steps, 64 is undefined. */
		uint64_t later = wheel->occupied[level] & (~0ull << passed << 1);
		while (later != 0) {
			const int slot = __builtin_ctzll(later);
			if (!list_empty(&wheel->slots[level][slot])) {
				*ret_level = level;
				*ret_tick = (here - passed + (uint64_t)slot) << (SLOT_BITS * level);
				return true;
			}
			later &= later - 1;
			wheel->occupied[level] &= ~(1ull << slot);
		}
	}
	return false;
}

/* Takes what is due up to now out of the slots, tick by tick. */
static void wheel_advance(struct loop_wheel *wheel, uint64_t now_tick)
{
	int level;
	uint64_t tick;

	while (wheel_next_slot(wheel, &level, &tick) && tick <= now_tick) {
		struct loop_timer moving;
		list_init(&moving);
		const uint64_t slot = (tick >> (SLOT_BITS * level)) % LOOP_WHEEL_SLOTS;
		list_move(&wheel->slots[level][slot], &moving);
		wheel->occupied[level] &= ~(1ull << slot);
		wheel->tick = tick;
		while (!list_empty(&moving)) {
			struct loop_timer *timer = moving.next;
			list_remove(timer);
			wheel_place(wheel, timer);
		}
	}
	if (wheel->tick < now_tick)
		wheel->tick = now_tick;
}

void loop_wheel_run(struct loop_wheel *wheel, uint64_t now_ns)
{
	const uint64_t now_tick = now_ns / TICK_NS;

	if (now_tick > wheel->tick)
		wheel_advance(wheel, now_tick);
	/* What a callback arms for the past goes to `due` and waits for the next turn. */
	list_move(&wheel->due, &wheel->running);
	while (!list_empty(&wheel->running)) {
		struct loop_timer *timer = wheel->running.next;
		list_remove(timer);
		if (timer->due_ns > now_ns) {
			wheel_place(wheel, timer); /* it was moved since */
			continue;
		}
		timer->due_ns = 0;
		timer->on_due(timer);
	}
}

uint64_t loop_wheel_next_ns(struct loop_wheel *wheel, uint64_t now_ns)
{
	int level;
	uint64_t tick;

	if (!list_empty(&wheel->due))
		return now_ns;
	if (!wheel_next_slot(wheel, &level, &tick))
		return UINT64_MAX;
	return tick > UINT64_MAX / TICK_NS ? UINT64_MAX : tick * TICK_NS;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t due_ns)
{
	check(timer->on_due != NULL);
	if (due_ns == 0)
		due_ns = 1;
	const bool armed = timer->due_ns != 0;
	timer->due_ns = due_ns;
	if (armed) {
		/* Left where it is, it is looked at early and placed anew then. */
		if (tick_of(due_ns) >= timer->placed_tick)
			return;
		list_remove(timer);
	}
	if (due_ns <= loop->now_ns)
		wheel_place_due(&loop->wheel, timer);
	else
		wheel_place(&loop->wheel, timer);
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
	(void)loop;
	if (timer->due_ns == 0)
		return;
	list_remove(timer);
	timer->due_ns = 0;
}
