/* SPDX-License-Identifier: MIT */
/* A binary search tree, every operation recursive: insert, look up, depth, walk. */
#include "kernel.h"

const u64 kernel_rounds = 480;

typedef struct Node {
    struct Node *left, *right;
    u64 key, hits;
} Node;

enum { NODES = 4096 };
static Node pool[NODES];
static size_t used;

static Node *new_node(u64 key)
{
    Node *node = &pool[used++];

    *node = (Node){.key = key};
    return node;
}

static NOINLINE Node *insert(Node *node, u64 key)
{
    if (!node)
        return new_node(key);
    if (key < node->key)
        node->left = insert(node->left, key);
    else if (key > node->key)
        node->right = insert(node->right, key);
    else
        node->hits++;
    return node;
}

static NOINLINE u64 depth(const Node *node)
{
    u64 left, right;

    if (!node)
        return 0;
    left = depth(node->left);
    right = depth(node->right);
    return 1 + (left > right ? left : right);
}

static NOINLINE u64 walk(const Node *node, u64 sum)
{
    if (!node)
        return sum;
    sum = walk(node->left, sum);
    sum = checksum(sum, node->key + node->hits);
    return walk(node->right, sum);
}

u64 kernel_run(u64 rounds)
{
    u64 seed = 7, sum = 0;

    for (u64 i = 0; i < rounds; i++) {
        Node *root = NULL;

        used = 0;
        for (int n = 0; n < NODES; n++)
            root = insert(root, next_random(&seed) % 100000);
        for (int n = 0; n < 8; n++)
            sum += depth(root);
        sum = walk(root, sum);
    }
    return sum;
}
