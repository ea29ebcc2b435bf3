/*
 * wire: what the server's and the client's connections share: a stream, the bytes that wait to
 * be sent, the bytes that were received but not used, and two deadlines.
 *
 * Output is copied into blocks of a pool that the whole server or client shares; what a turn
 * appends leaves in one send. Input is used where it was received; only what cannot be used yet
 * (the begin of a head, what came while nobody wanted it) is kept.
 *
 * Deadlines are two numbers. The timer behind them is set only where it would come too late;
 * one that comes too early finds the deadline moved and sets itself again. So a call usually
 * moves no timer.
 *
 * Threads: the loop's.
 */
#pragma once

#include "http/http.h"

#define HTTP_BLOCK_BYTES  (16 * 1024 - 64)
#define HTTP_BLOCKS_SPARE 256          /* blocks that the pool keeps */
#define HTTP_KEPT_HIGH    (16 * 1024)  /* unwanted input beyond it stops reading */
#define HTTP_SEND_MAX     (128 * 1024) /* one send, so that its progress shows */

struct http_block {
	struct http_block *next;
	uint32_t capacity, used, sent;
	_Alignas(16) char bytes[]; /* also of whatever structures are kept in a block */
};

struct http_blocks {
	struct http_block *free;
	uint32_t count;
};

/* Blocks that are used one after the other. Zeroed: empty. */
struct http_chain {
	struct http_block *first, *last;
};

void http_blocks_fini(struct http_blocks *blocks);
/* An empty one with room for that many bytes or more. */
struct http_block *http_block_take(struct http_blocks *blocks, size_t bytes);
void http_block_give(struct http_blocks *blocks, struct http_block *block);
/* Room for that many bytes in one piece, in the last block. */
struct http_block *http_chain_reserve(struct http_chain *chain, struct http_blocks *blocks,
				      size_t bytes);
/* Copies. */
void http_chain_append(struct http_chain *chain, struct http_blocks *blocks, struct slice bytes);
void http_chain_drop_first(struct http_chain *chain, struct http_blocks *blocks);
void http_chain_clear(struct http_chain *chain, struct http_blocks *blocks);

struct http_tls_kit;
struct http_tls_session;

struct http_wire {
	struct loop *loop;
	struct loop_stream stream;
	struct loop_task turn; /* the owner's: run once at the end of a turn that touched it */
	struct loop_timer timer;
	uint64_t read_deadline_ns, send_deadline_ns; /* 0: none */

	struct http_blocks *blocks;
	struct http_chain output;
	size_t waiting_bytes; /* appended, not yet with the kernel */
	size_t sending_bytes; /* of these in the send under way */
	size_t unsent_bytes;  /* of these when the send's deadline was last looked at */

	char *kept;
	size_t kept_length, kept_capacity;
	bool held; /* nothing leaves: http_exchange_hold */
	bool reading;
	bool ended; /* the peer will send no more */
	bool cut;   /* and did not say so, though TLS would have it */
	bool unfit; /* what was sent is not whole: the connection's end must not look like its end
		     */
	struct http_tls_session *tls; /* NULL: plain */
};

/* Memory zeroed; stream events, turn.run and timer.on_due are set by the owner. */
void http_wire_init(struct http_wire *wire, struct loop *loop, struct http_blocks *blocks);
/* The stream is this descriptor's; with `tls` the events tell what it means in plain. */
void http_wire_adopt(struct http_wire *wire, int descriptor,
		     const struct loop_stream_events *events, struct http_tls *tls,
		     struct http_tls_kit *kit);
/* Closes the stream at once. A peer that speaks TLS is told that this is the end, unless what was
 * sent is not whole. */
void http_wire_close(struct http_wire *wire);
/* No more will be sent behind what is with the kernel. */
void http_wire_shutdown(struct http_wire *wire);
/* When the stream is closed, or was never opened. */
void http_wire_fini(struct http_wire *wire);
/* Runs `turn` at the end of the loop's turn. Nothing happens once the stream closes. */
void http_wire_defer(struct http_wire *wire);

/* ---- output ---- */

/* Room for that many bytes in one piece; how many were written is said at once after. */
char *http_wire_reserve(struct http_wire *wire, size_t bytes);
void http_wire_commit(struct http_wire *wire, const char *end);
void http_wire_append(struct http_wire *wire, struct slice bytes);
/* Hands what waits to the kernel, unless a send is under way. */
void http_wire_flush(struct http_wire *wire, uint64_t idle_timeout_ns);
/* Bytes that are nobody else's go to the kernel; the send's deadline begins. */
void http_wire_hand_over(struct http_wire *wire, const struct iovec *parts, uint32_t part_count,
			 size_t bytes, uint64_t idle_timeout_ns);
/* Nothing more is to be appended: true once that, too, is with the kernel. */
bool http_wire_said_end(struct http_wire *wire, uint64_t idle_timeout_ns);
/* The send is over: its blocks are free. */
void http_wire_sent(struct http_wire *wire);

/* ---- input ---- */

/* What was kept with `bytes` behind it. */
struct slice http_wire_view(struct http_wire *wire, struct slice bytes);
/* `rest`, the end of the view, could not be used yet. `wanted`: more would help. */
void http_wire_keep(struct http_wire *wire, struct slice rest, bool wanted);

/* ---- deadlines ---- */

enum http_wire_due { HTTP_WIRE_NOT_DUE, HTTP_WIRE_READ_DUE, HTTP_WIRE_SEND_DUE };

/* A timeout of 0 is none. */
void http_wire_read_within(struct http_wire *wire, uint64_t timeout_ns);
/* When the timer is due: what is. A read deadline is cleared by that. */
enum http_wire_due http_wire_due(struct http_wire *wire, uint64_t send_timeout_ns);
