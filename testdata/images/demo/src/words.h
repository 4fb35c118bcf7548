/* A table of words and how often each was seen. */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>

struct word {
    char *text;
    size_t count;
};

struct words {
    struct word *slots;
    size_t capacity; /* a power of two */
    size_t used;
};

/* Counts one more of a word; it is copied. Returns 0, or -1 if there is no memory. */
int words_add(struct words *words, const char *text, size_t length);

/* Puts the used slots first, the most frequent word at the front; the table cannot be added to afterwards. */
void words_rank(struct words *words);

void words_free(struct words *words);

#endif
