// penstockctl: Penstock's command line. Finds the command and hands over; exit codes are those of command.h.
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sv.h"
#include "command.h"

#define WORDS_MAX 2

typedef struct command {
    const char *words;
    ctl_command_run *run;
    const char *summary;
} command;

static const command COMMANDS[] = {
#define COMMAND(words, function, summary) {words, function, summary},
#include "commands.def"
#undef COMMAND
};

static void print_commands(FILE *out) {
    fputs("penstockctl COMMAND [options]\n\n", out);
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++) fprintf(out, "  %-16s %s\n", COMMANDS[i].words, COMMANDS[i].summary);
    fputs("\nEach command has --help. PENSTOCK_DATABASE names the database where one is needed.\n", out);
}

// How many leading arguments spell the command's words; 0 when they do not.
static int words_match(const char *words, int argc, char **argv) {
    sv rest = sv_of(words), word;
    int matched = 0;
    while (sv_next(&rest, ' ', &word)) {
        if (matched == argc || !sv_equal(word, sv_of(argv[matched]))) return 0;
        matched++;
    }
    return matched;
}

int main(int argc, char **argv) {
    argc--;
    argv++;
    const command *best = NULL;
    int best_words = 0;
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++) {
        int words = words_match(COMMANDS[i].words, argc, argv);
        if (words > best_words) {
            best = &COMMANDS[i];
            best_words = words;
        }
    }
    if (best) return best->run(argc - best_words, argv + best_words);
    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "help") == 0 || strcmp(argv[0], "-h") == 0)) {
        print_commands(stdout);
        return CTL_OK;
    }
    if (argc > 0)
        ctl_say("unknown command '%s%s%s'; see penstockctl --help", argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
    else
        print_commands(stderr);
    return CTL_BAD_INPUT;
}
