#include "words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash(const char *text, size_t length) {
    uint64_t value = 14695981039346656037u;
    for (size_t i = 0; i < length; i++)
        value = (value ^ (unsigned char)text[i]) * 1099511628211u;
    return value;
}

/* The slot of a word: the one that holds it, or the free one that it belongs into. */
static struct word *find(struct word *slots, size_t capacity, const char *text, size_t length) {
    size_t at = hash(text, length) & (capacity - 1);
    while (slots[at].text && (strncmp(slots[at].text, text, length) != 0 || slots[at].text[length] != '\0'))
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static int grow(struct words *words) {
    size_t capacity = words->capacity ? words->capacity * 2 : 64;
    struct word *slots = calloc(capacity, sizeof *slots);
    if (!slots)
        return -1;
    for (size_t i = 0; i < words->capacity; i++) {
        struct word *old = &words->slots[i];
        if (old->text)
            *find(slots, capacity, old->text, strlen(old->text)) = *old;
    }
    free(words->slots);
    words->slots = slots;
    words->capacity = capacity;
    return 0;
}

int words_add(struct words *words, const char *text, size_t length) {
    if (words->used * 2 >= words->capacity && grow(words) != 0)
        return -1;
    struct word *slot = find(words->slots, words->capacity, text, length);
    if (!slot->text) {
        slot->text = strndup(text, length);
        if (!slot->text)
            return -1;
        words->used++;
    }
    slot->count++;
    return 0;
}

static int compare(const void *left, const void *right) {
    const struct word *a = left, *b = right;
    if (!a->text || !b->text)
        return !a->text - !b->text;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return strcmp(a->text, b->text);
}

void words_rank(struct words *words) {
    if (words->capacity)
        qsort(words->slots, words->capacity, sizeof *words->slots, compare);
}

void words_free(struct words *words) {
    for (size_t i = 0; i < words->capacity; i++)
        free(words->slots[i].text);
    free(words->slots);
    *words = (struct words){0};
}
