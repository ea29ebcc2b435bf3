/*
 * h2_frames: HTTP/2 frames put together and taken apart by hand (RFC 9113, RFC 7541), right or
 * wrong, without nghttp2's session: for the clients and services of this folder's tests.
 *
 * Threads: one.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "base/text.h"

#define H2_FRAME_HEAD_BYTES 9

/* ---- put together: appended to `text` ---- */

void h2_put_number(struct text *text, uint64_t number, int bytes);
void h2_put_frame(struct text *text, uint8_t type, uint8_t flags, uint32_t id,
		  struct slice payload);
/* Of RST_STREAM and WINDOW_UPDATE: one number. */
void h2_put_number_frame(struct text *text, uint8_t type, uint32_t id, uint32_t number);
/* SETTINGS that holds one of them. */
void h2_put_setting(struct text *text, uint16_t name, uint32_t value);
/* A header block. `fields`: "name: value" lines with a '\n' between; no table keeps them. */
void h2_put_fields(struct text *block, const char *fields);

/* ---- taken apart ---- */

/* Big-endian; it must be there. */
uint32_t h2_number_at(struct slice bytes, size_t at, size_t length);
/* Appends "name=value name=value" of a header block, but of none that is called `but` (NULL: all).
 */
void h2_log_fields(struct text *log, nghttp2_hd_inflater *inflater, struct slice block,
		   const char *but);
