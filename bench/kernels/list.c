/* SPDX-License-Identifier: MIT */
/* A linked list: built in random order, searched, reversed and merge-sorted. */
#include "kernel.h"

const u64 kernel_rounds = 3800;

typedef struct Node {
    struct Node *next;
    i32 value;
    i32 key;
} Node;

enum { NODES = 1024 };
static Node nodes[NODES];

static Node *build(u64 *seed)
{
    Node *head = NULL;
    size_t at = 0;

    for (size_t i = 0; i < NODES; i++) {
        Node *node = &nodes[at];

        at = (at + 517) % NODES;
        node->value = (i32)(next_random(seed) & 0xffffff);
        node->key = (i32)i;
        node->next = head;
        head = node;
    }
    return head;
}

static NOINLINE Node *reverse(Node *head)
{
    Node *done = NULL;

    while (head) {
        Node *next = head->next;

        head->next = done;
        done = head;
        head = next;
    }
    return done;
}

static NOINLINE const Node *find(const Node *head, i32 key)
{
    while (head && head->key != key)
        head = head->next;
    return head;
}

static Node *merge(Node *a, Node *b)
{
    Node head, *tail = &head;

    while (a && b) {
        if (a->value <= b->value)
            tail->next = a, a = a->next;
        else
            tail->next = b, b = b->next;
        tail = tail->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

/* Bottom up: slot i holds a sorted list of 2^i nodes. */
static NOINLINE Node *sort(Node *head)
{
    Node *slots[32] = {NULL}, *all = NULL;

    while (head) {
        Node *run = head;
        int i = 0;

        head = head->next;
        run->next = NULL;
        for (; slots[i]; i++) {
            run = merge(slots[i], run);
            slots[i] = NULL;
        }
        slots[i] = run;
    }
    for (int i = 0; i < 32; i++)
        all = merge(slots[i], all);
    return all;
}

u64 kernel_run(u64 rounds)
{
    u64 seed = 4, sum = 0;

    for (u64 i = 0; i < rounds; i++) {
        Node *head = build(&seed);

        for (i32 key = 0; key < 48; key++)
            sum += (u64)find(head, key * 21)->value;
        head = sort(reverse(head));
        for (Node *node = head; node; node = node->next)
            sum = sum * 31 + (u64)node->value;
    }
    return sum;
}
