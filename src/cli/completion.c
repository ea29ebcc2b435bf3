/* Completion in the shells. Their scripts ask `stoa completion words` for what may stand at the end
 * of a line: words with a tab and a description, or that files or folders may. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>

/* A shell splits its words at ':' too, so the line is split here. */
static const char bash_script[] =
	"_stoa()\n"
	"{\n"
	"	local line=${COMP_LINE:0:COMP_POINT} candidate\n"
	"	local -a words\n"
	"	read -ra words <<<\"$line\"\n"
	"	[[ $line == *[[:space:]] ]] && words+=('')\n"
	"	COMPREPLY=()\n"
	"	while IFS= read -r candidate; do\n"
	"		case $candidate in\n"
	"		" CLI_COMPLETE_FILES ") compopt -o default ;;\n"
	"		" CLI_COMPLETE_FOLDERS ") compopt -o dirnames ;;\n"
	"		*) COMPREPLY+=(\"${candidate%%$'\\t'*}\") ;;\n"
	"		esac\n"
	"	done < <(\"${words[0]}\" completion words -- \"${words[@]:1}\" 2>/dev/null)\n"
	"}\n"
	"complete -F _stoa stoa\n";

/* It is read from a start file, or found as _stoa in a folder of functions. */
static const char zsh_script[] = "#compdef stoa\n"
				 "_stoa()\n"
				 "{\n"
				 "	local candidate\n"
				 "	local -a found shown\n"
				 "	while IFS= read -r candidate; do\n"
				 "		case $candidate in\n"
				 "		" CLI_COMPLETE_FILES ") _files; return ;;\n"
				 "		" CLI_COMPLETE_FOLDERS ") _files -/; return ;;\n"
				 "		*) found+=(\"${candidate%%$'\\t'*}\"); "
				 "shown+=(\"${candidate/$'\\t'/  }\") ;;\n"
				 "		esac\n"
				 "	done < <(\"${words[1]}\" completion words -- "
				 "\"${(@Q)words[2,CURRENT]}\" 2>/dev/null)\n"
				 "	compadd -l -d shown -a found\n"
				 "}\n"
				 "if [[ ${funcstack[1]} == _stoa ]]; then\n"
				 "	_stoa \"$@\"\n"
				 "else\n"
				 "	compdef _stoa stoa\n"
				 "fi\n";

static const char fish_script[] =
	"function __stoa_candidates\n"
	"	set -l current (commandline -ct)\n"
	"	set -l words (commandline -opc) \"$current\"\n"
	"	for candidate in ($words[1] completion words -- $words[2..-1] 2>/dev/null)\n"
	"		switch $candidate\n"
	"			case " CLI_COMPLETE_FILES "\n"
	"				__fish_complete_path \"$current\"\n"
	"			case " CLI_COMPLETE_FOLDERS "\n"
	"				__fish_complete_directories \"$current\"\n"
	"			case '*'\n"
	"				echo $candidate\n"
	"		end\n"
	"	end\n"
	"end\n"
	"complete -c stoa -f -a '(__stoa_candidates)'\n";

static int print_words(struct cli *cli)
{
	struct text lines;

	text_init(&lines, 1u << 20);
	cli_complete(cli, cli->arguments + 1, cli->argument_count - 1, &lines);
	fputs(lines.length > 0 ? lines.data : "", stdout);
	text_fini(&lines);
	return CLI_DONE;
}

int cli_completion(struct cli *cli)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

	if (strcmp(cli->arguments[0], "words") == 0)
		return print_words(cli);
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		if (strcmp(cli->arguments[0], scripts[i].shell) != 0)
			continue;
		if (cli->argument_count > 1)
			return cli_misuse(cli, "\"%s\" is too much", cli->arguments[1]);
		fputs(scripts[i].script, stdout);
		return CLI_DONE;
	}
	return cli_misuse(cli, "\"%s\": bash, zsh or fish is allowed", cli->arguments[0]);
}
