#include "words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONGEST_WORD 256

static int tally(FILE *file, const char *name, size_t top) {
    struct words words = {0};
    size_t lines = 0, bytes = 0, total = 0, length = 0;
    char word[LONGEST_WORD];
    int c;

    do {
        c = getc(file);
        bytes += c != EOF;
        lines += c == '\n';
        if (c != EOF && isalpha(c)) {
            if (length < sizeof word)
                word[length++] = (char)tolower(c);
        } else if (length > 0) {
            if (words_add(&words, word, length) != 0) {
                perror(name);
                return 1;
            }
            total++;
            length = 0;
        }
    } while (c != EOF);

    printf("%s: %zu lines, %zu words, %zu bytes\n", name, lines, total, bytes);
    words_rank(&words);
    for (size_t i = 0; i < top && i < words.used; i++)
        printf("  %4zu %s\n", words.slots[i].count, words.slots[i].text);
    words_free(&words);
    return 0;
}

int main(int argc, char **argv) {
    const char *limit = getenv("TALLY_TOP");
    size_t top = limit ? strtoul(limit, NULL, 10) : 10;
    int failed = 0;

    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("tally %s\n", VERSION);
        return 0;
    }
    printf("tally %s, user %d\n", VERSION, (int)getuid());
    if (argc == 1)
        return tally(stdin, "standard input", top);
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "r");
        if (!file) {
            perror(argv[i]);
            failed = 1;
            continue;
        }
        failed |= tally(file, argv[i], top);
        fclose(file);
    }
    return failed;
}
