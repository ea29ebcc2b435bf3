/*
 * call: one call's life in its worker. Private to the gateway.
 *
 * The steps run in the table's order. A step returns the next one, or CALL_WAIT: the call then
 * stands in the worker's waiting list until money or an instance is there, or its time is up.
 * From CALL_ANSWER on events of the two connections carry it.
 *
 * Every call ends exactly once: refused before a service saw it (call_refuse: no record, no
 * cost), or settled (call_settle: a record, and a charge where the plan says so). Both give back
 * what was taken: hold, concurrency, the instance's place.
 *
 * Memory: the exchange's state, from on_request to on_over. Threads: the worker's.
 */
#pragma once

#include "gateway/admit.h"
#include "gateway/certificate.h"
#include "gateway/directory.h"
#include "gateway/forwarded.h"
#include "gateway/keep.h"
#include "gateway/limits.h"
#include "gateway/problem.h"
#include "gateway/trace.h"
#include "gateway/worker.h"

/* step, function, sentence */
#define CALL_STEPS(X)                                                                     \
	X(CALL_ROUTE, call_route, "find the service that host or path names")             \
	X(CALL_AUTHENTICATE, call_authenticate,                                           \
	  "find the app behind key or certificate, what it may, its subscription")        \
	X(CALL_ADMIT, call_admit, "rate, concurrency, quota; keep the request")           \
	X(CALL_HOLD, call_hold, "hold the most that it can cost, or wait for the ledger") \
	X(CALL_BALANCE, call_balance, "choose an instance, or wait for one")              \
	X(CALL_FORWARD, call_forward, "send the request, stream its body")

enum call_step {
#define X(step, function, sentence) step,
	CALL_STEPS(X)
#undef X
		CALL_ANSWER, /* the service works or answers */
	CALL_OVER,           /* refused or settled; what is left is output */
	CALL_WAIT            /* never stored: stay in this step and wait */
};

#define CALL_GRPC_SILENT UINT8_MAX

/* What a worker remembers of a client connection: who it is, the digest of the key it sent last. */
struct call_connection {
	struct forwarded_peer peer;
	bool encrypted;                  /* it came by TLS */
	bool proxy;                      /* a trusted one: proxied.h */
	struct certificate *certificate; /* that the client has shown; NULL: none */
	uint32_t key_bytes;
	char key[GATEWAY_KEY_TEXT_MAX];
	uint8_t digest[32];
};

struct call {
	struct http_exchange *exchange;
	struct worker *worker;
	const struct http_request *request; /* NULL once its head is gone */
	struct slice target;                /* what the service sees; while `request` is there */
	struct directory_service *service;
	struct directory_subscription *subscription;
	const struct directory_plan *plan;
	struct directory_instance *instance;
	struct http_call *upstream; /* NULL: not sent, or over */
	struct keep *keep;
	struct call *next, *previous;                 /* the waiting list */
	struct call *durable_next, *durable_previous; /* while `durable_waits`: durable.h */
	uint64_t durable_position;                    /* of its record */
	struct loop_timer timer;
	struct admit_hold hold;
	struct call_id id;
	char id_text[CALL_ID_TEXT_MAX];                 /* "": not admitted */
	char trace[TRACE_BYTES];                        /* set when the request is presented */
	struct key_id key;                              /* without one the certificate's */
	struct key_id certificate;                      /* 0: none was shown */
	struct call *admitted_next, *admitted_previous; /* while `entered` */
	enum call_step step;
	uint64_t started_ns, started_wall_ns;
	uint64_t forwarded_ns;   /* 0: no service has seen it */
	uint64_t key_ends_ns;    /* the key or the certificate does; UINT64_MAX: never */
	uint64_t deadline_ns;    /* the plan's timeout, or the key's end */
	uint64_t wait_due_ns;    /* while it waits: until when */
	uint64_t replaced_by_ns; /* 0, or until when it waits for the one in `missed`'s place */
	uint32_t missed;         /* the id of the instance that it could not be connected to */
	uint64_t moved_ns;       /* of a tunnel: when bytes last went either way */
	uint64_t request_bytes, response_bytes;
	uint64_t hold_bytes;                        /* transfer that the hold covers */
	uint32_t memory_mib_share, cpu_milli_share; /* what the hold covers */
	struct rating_quantities units;
	struct call_parts *parts; /* of one that runs long, or is a tunnel: part.h */
	struct admit_left left;   /* where the plan has something to tell */
	uint16_t status;          /* of the service's answer; of gRPC what it comes to: grpc.h */
	uint8_t events; /* enum events_place: where in an event stream its answer is: farewell.h */
	uint8_t grpc_code; /* what the service said; CALL_GRPC_SILENT: nothing so far */
	uint8_t failed_by; /* enum problem; PROBLEM_COUNT: none */
	bool entered : 1;  /* admit_leave is owed */
	bool waiting : 1;
	bool retried : 1;
	bool may_be_seen : 1; /* an instance may have got it, though it never answered */
	bool probe : 1;       /* the one that tries an ejected instance */
	bool key_in_authorization : 1;
	bool certificate_ends : 1; /* it is the certificate that ends at key_ends_ns */
	bool target_bare : 1;      /* a '/' belongs before `target` */
	bool accepts_trailers : 1;
	bool head_only : 1;       /* the request's method is HEAD */
	bool trailers_wanted : 1; /* the answer goes out chunked */
	bool request_ended : 1;
	bool cut_for_caller : 1; /* its key or money ended: what was delivered is billed */
	bool responded : 1;
	bool billed : 1;                              /* a record of it is */
	bool durable_waits : 1;                       /* for its record to be on disk */
	bool grpc : 1;                                /* the request is gRPC, */
	bool grpc_answer : 1;                         /* and so is the answer */
	bool callers_deadline : 1;                    /* it ends before the plan's timeout does */
	bool upgrade : 1;                             /* it asks for a tunnel */
	bool tunnel : 1;                              /* and has it: see tunnel.h */
	bool starved_request : 1, starved_answer : 1; /* paused until the hold is extended */
	/* An answer that has arrived, not yet handed on: see answer.c. */
	const struct http_response *head;
	struct http_response held_head; /* with its fields and its body in `held` */
	struct keep *held;
	uint32_t piece_count;
	struct slice pieces[GATEWAY_PIECES_MAX];
};

/* Runs steps from call->step on until one waits or the call is with the service. */
void call_run(struct call *call);
/* Calls in the waiting list look again, oldest first. */
void call_retry_waiting(struct worker *worker);

/* Ends a call with Stoa's own answer; nothing was forwarded. Returns CALL_OVER. */
enum call_step call_refuse(struct call *call, enum problem problem, uint64_t retry_after_ns);
/* The same after the service failed: records it. */
void call_fail(struct call *call, enum problem problem, enum journal_outcome outcome);

/* authenticate.c: the step. */
enum call_step call_authenticate(struct call *call);
/* What is not in the directory is refused with `problem`; as long as the directory is not complete
 * nobody knows. Returns CALL_OVER. */
enum call_step call_refuse_unknown(struct call *call, enum problem problem);
/* The problem when that end has come. */
enum problem call_problem_of_key_end(const struct call *call);
/* The call's key expires at another time than it knows. */
void call_key_expires(struct call *call, uint64_t expires_us);

/* Its key or its subscription has ended, and so does the call: refused where it waits, cut where
 * it is with the service. */
void call_end(struct call *call, enum problem problem);

/* Writes the record, charges what is due, gives back the rest. *ret_charge_nano is what the
 * caller pays for the call. Once, in CALL_ANSWER; the call is in CALL_OVER after it. */
void call_settle(struct call *call, enum journal_outcome outcome, int64_t *ret_charge_nano);
/* Writes a record of what was used so far, and charges that; the call and its hold go on. */
void call_settle_part(struct call *call, uint64_t service_us);
/* Cuts it since its account or budget has no more; what was delivered is billed. */
void call_cut_for_money(struct call *call, enum problem problem);
/* Why there is none: `outcome` of a hold is a refusal. */
enum problem call_problem_of_money(enum admit_outcome outcome);
/* When its timer is due, while it is in CALL_ANSWER. */
uint64_t call_due_ns(const struct call *call);
/* Gives back hold, concurrency and the instance's place. */
void call_let_go(struct call *call, bool counted);
/* Whether the hold covers what is transferred so far and one more piece, extending it if need
 * be. False: pause; the call's timer tries again. */
bool call_reserve(struct call *call);

/* balance.c: takes a place on an instance other than the one of id `but` (0: any); NULL where all
 * are full or none is there. */
struct directory_instance *balance_choose(struct call *call, uint32_t but);
/* Gives the place back; the call has no instance then. */
void balance_release(struct call *call);
/* How the instance did, once a call: by what came of it, not by how long it took. */
void balance_note(struct call *call, bool failed);
void balance_answered(struct directory_instance *instance, uint32_t latency_us);

/* present.c: what is written on requests and answers. */
void present_request(struct call *call, struct http_origin *origin);
void present_answer(struct call *call, int64_t body_bytes, const int64_t *charge_nano);
/* 101, from call->head. accept: what a WebSocket caller is to find in Sec-WebSocket-Accept, where
 * the service has not said it; may be empty. */
void present_switch(struct call *call, struct slice protocol, struct slice accept);
void present_problem(struct call *call, enum problem problem, uint64_t retry_after_ns);
/* Ends an answer that has begun, and could not be ended well, in the caller's language: of gRPC by
 * trailers with the outcome; else by the farewell, if there is one; else so that the caller sees it
 * cut. */
void present_cut(struct call *call, enum problem problem, struct slice farewell);
/* "0.05 USD"; returns its length. */
size_t present_charge(const struct call *call, int64_t nano, char *text, size_t text_bytes_max);
