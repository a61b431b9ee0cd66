/* SPDX-License-Identifier: MIT */
/* Links between blocks: an exit's jump is pointed at the next block, or back at its
 * stub, by one atomic store while other threads run it.  The lock is held. */
#include "explain.h"

/* The code of a saved file goes on at host; NULL: leaves to C. */
static void set_slot(Cache *c, const TbExit *x, const u8 *host)
{
    __atomic_store_n((u64 *)(c->exec + x->jump), (u64)(uintptr_t)host,
                     __ATOMIC_RELEASE);
}

void chain_link(Cache *c, u32 number, Tb *to)
{
    TbExit *x = &c->exits[number];

    if (!x->jump || x->to || to->state != TB_ALIVE ||
        (c->tbs[x->tb].state != TB_ALIVE && !x->hot) ||
        (!x->slot && !fork_may_write(c, x->jump, 1)))
        return;
    x->to = tb_number(c, to);
    x->next = to->in_first;
    to->in_first = number + 1;
    if (x->slot)
        set_slot(c, x, c->exec + to->code);
    else
        host_patch(c->write, x->jump, to->code);
    c->stats.links++;
    if (c->explain)
        explain_linked(c, number);
    if (log_on(LOG_CHAIN))
        log_printf("chain: 0x%llx -> 0x%llx\n", (unsigned long long)c->tbs[x->tb].pc,
                   (unsigned long long)to->pc);
}

static void point_at_stub(Cache *c, TbExit *x)
{
    if (!x->slot && x->jump < c->frozen)
        fork_own_all(c, c->frozen);
    if (x->slot)
        set_slot(c, x, NULL);
    else
        host_patch(c->write, x->jump, x->stub);
    x->to = x->next = 0;
}

void chain_unlink_into(Cache *c, Tb *tb)
{
    for (u32 i = tb->in_first, next; i; i = next) {
        TbExit *x = &c->exits[i - 1];

        next = x->next;
        point_at_stub(c, x);
    }
    tb->in_first = 0;
}

void chain_unlink_from(Cache *c, Tb *tb)
{
    for (u32 i = tb->first_exit; i < tb->first_exit + tb->n_exits; i++) {
        TbExit *x = &c->exits[i];
        u32 *list;

        if (!x->to)
            continue;
        for (list = &c->tbs[x->to].in_first; *list && *list != i + 1;)
            list = &c->exits[*list - 1].next;
        if (*list)
            *list = x->next;
        point_at_stub(c, x);
    }
}
