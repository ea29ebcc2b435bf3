/* Prints docs/metrics.md; a test compares it with the file. */
#include <stdio.h>

#include "node/metrics.h"

int main(void)
{
	struct text text;

	text_init(&text, 1u << 16);
	metrics_document(&text);
	const bool good = !text.failed && fwrite(text.data, 1, text.length, stdout) == text.length;
	text_fini(&text);
	return good && fflush(stdout) == 0 ? 0 : 1;
}
