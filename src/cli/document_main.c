/* Prints docs/cli.md, which a test compares with the file. */
#include <stdio.h>

#include "cli/cli_internal.h"

int main(void)
{
	struct text text;

	text_init(&text, 1u << 20);
	cli_document(&text);
	const bool good = !text.failed && fwrite(text.data, 1, text.length, stdout) == text.length;
	text_fini(&text);
	return good && fflush(stdout) == 0 ? 0 : 1;
}
