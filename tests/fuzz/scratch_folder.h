/*
 * scratch_folder: a folder for targets that read files, made once, gone when the process ends.
 *
 * Threads: one.
 */
#pragma once

#include "base/slice.h"

/* Its path. */
const char *scratch_folder(void);
/* FOLDER/NAME has exactly these bytes. */
void scratch_file(const char *name, struct slice first, struct slice second);
