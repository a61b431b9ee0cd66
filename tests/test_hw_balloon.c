/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_balloon
 *
 * The memory balloon: pages given up leave this process, others stay; monitors' wishes
 * and the guest's answers; statistics; and pages that no guest has. */
#include <linux/virtio_balloon.h>
#include <sys/mman.h>
#include "hw_driver.h"

enum { INFLATE, DEFLATE, STATS, REPORTING, QUEUES, PAGE = 4096, PAGES = 64 };
enum { AT_PAGES = 0x100000, AT_LIST = 0x10000, ACTUAL = 4, POISON = 12 };

static Driver begin(const char *options, u64 features)
{
    Machine *m = driver_machine();
    char *list = g_strdup_printf("virtio-balloon-device%s", options);
    u64 slot = driver_plug(m, &virtio_balloon, list);

    g_free(list);
    return driver_new(m, slot, features, QUEUES);
}

static void fill(Driver *d)
{
    memset(ram(d, BOARD_RAM + AT_PAGES), 0x5a, PAGES * PAGE);
}

/* Pages of the area that this process has. */
static u32 resident(Driver *d)
{
    u8 in[PAGES];
    u32 n = 0;

    cr_assert(!mincore(ram(d, BOARD_RAM + AT_PAGES), PAGES * PAGE, in));
    for (u32 i = 0; i < PAGES; i++)
        n += in[i] & 1;
    return n;
}

static void give(Driver *d, u32 queue, const u32 *pfn, u32 n)
{
    memcpy(ram(d, BOARD_RAM + AT_LIST), pfn, n * 4);
    driver_add(d, queue, (Buffer[]){{BOARD_RAM + AT_LIST, n * 4, false}}, 1);
    driver_kick(d, queue);
    driver_wait(d, queue);
}

Test(balloon, gives_pages_back_to_the_host)
{
    const u32 first = (BOARD_RAM + AT_PAGES) / PAGE;
    Driver d = begin("", 0);
    u32 pfn[PAGES];

    madvise(ram(&d, BOARD_RAM), BOARD_RAM_SIZE, MADV_NOHUGEPAGE);
    fill(&d);
    cr_assert(resident(&d) == PAGES);
    for (u32 i = 0; i < 20; i++) /* downwards, as Linux has them */
        pfn[i] = first + 40 - i;
    give(&d, INFLATE, pfn, 20);
    cr_expect(resident(&d) == PAGES - 20, "%u", resident(&d));
    for (u32 i = 0; i < 10; i++)
        pfn[i] = first + 2 * i;
    give(&d, INFLATE, pfn, 10);
    cr_expect(resident(&d) == PAGES - 30, "%u", resident(&d));
    for (u32 i = 0; i < PAGES; i++) {
        bool gone = (i >= 21 && i <= 40) || (i < 20 && i % 2 == 0);
        u8 is = *(u8 *)ram(&d, BOARD_RAM + AT_PAGES + i * PAGE);

        cr_expect(is == (gone ? 0 : 0x5a), "page %u", i);
    }
    give(&d, DEFLATE, pfn, 10);
    fill(&d);
    cr_expect(resident(&d) == PAGES);
    machine_free(d.m);
}

Test(balloon, takes_only_the_guests_pages)
{
    static const u32 bad[] = {0,          1,       0x10001,
                              0xffffffff, 0x7ffff, (BOARD_RAM + BOARD_RAM_SIZE) / PAGE};
    Driver d = begin("", 0);

    fill(&d);
    give(&d, INFLATE, bad, G_N_ELEMENTS(bad));
    cr_expect(resident(&d) == PAGES && !driver_broken(&d));
    driver_add(&d, INFLATE, (Buffer[]){{BOARD_RAM + AT_LIST, 3, false}}, 1);
    driver_kick(&d, INFLATE);
    driver_wait(&d, INFLATE);
    machine_free(d.m);
}

Test(balloon, takes_reports_of_free_pages)
{
    u64 at = BOARD_RAM + AT_PAGES;
    Driver d =
        begin(",free-page-reporting=on", 1ull << VIRTIO_BALLOON_F_REPORTING |
                                             1ull << VIRTIO_BALLOON_F_PAGE_POISON);

    madvise(ram(&d, BOARD_RAM), BOARD_RAM_SIZE, MADV_NOHUGEPAGE);
    fill(&d);
    driver_add(&d, REPORTING,
               (Buffer[]){{at, 8 * PAGE, true}, {at + 9 * PAGE, PAGE, true}}, 2);
    driver_kick(&d, REPORTING);
    driver_wait(&d, REPORTING);
    cr_expect(resident(&d) == PAGES - 9, "%u", resident(&d));
    driver_add(&d, REPORTING, (Buffer[]){{at + 20 * PAGE + 1, 2 * PAGE, true}}, 1);
    driver_kick(&d, REPORTING);
    driver_wait(&d, REPORTING);
    cr_expect(resident(&d) == PAGES - 10, "only whole pages");
    cr_expect(*(u8 *)ram(&d, at + 20 * PAGE) == 0x5a);
    cr_expect(*(u8 *)ram(&d, at + 22 * PAGE) == 0x5a);
    set(&d, VIRTIO_MMIO_CONFIG + POISON, 0xaaaaaaaa);
    fill(&d);
    driver_add(&d, REPORTING, (Buffer[]){{at, PAGE, true}}, 1);
    driver_kick(&d, REPORTING);
    driver_wait(&d, REPORTING);
    cr_expect(resident(&d) == PAGES, "a guest that poisons pages wants them back so");
    machine_free(d.m);
}

static void on_event(void *ctx, MachineEvent event)
{
    *(u32 *)ctx += event == EVENT_BALLOON;
}

Test(balloon, says_what_monitors_want)
{
    Driver d = begin("", 0);
    char *error = NULL;
    u32 changes = 0;
    u64 is;

    machine_lock(d.m);
    machine_listen(d.m, on_event, &changes);
    cr_expect(balloon_set(d.m, BOARD_RAM_SIZE - 5 * PAGE, &error));
    machine_unlock(d.m);
    cr_expect(reg(&d, VIRTIO_MMIO_CONFIG) == 5);
    cr_expect(reg(&d, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
    set(&d, VIRTIO_MMIO_CONFIG + ACTUAL, 3);
    set(&d, VIRTIO_MMIO_CONFIG + ACTUAL, 3);
    machine_lock(d.m);
    cr_expect(balloon_get(d.m, &is, &error) && is == BOARD_RAM_SIZE - 3 * PAGE);
    cr_expect(balloon_set(d.m, ~0ull, &error));
    machine_unlock(d.m);
    cr_expect(reg(&d, VIRTIO_MMIO_CONFIG) == 0 && changes == 1);
    set(&d, VIRTIO_MMIO_CONFIG + ACTUAL, ~0u);
    machine_lock(d.m);
    cr_expect(balloon_get(d.m, &is, &error) && is == 0);
    machine_unlock(d.m);
    machine_free(d.m);
}

Test(balloon, asks_for_statistics)
{
    struct virtio_balloon_stat stat[] = {{VIRTIO_BALLOON_S_MEMFREE, 12345},
                                         {VIRTIO_BALLOON_S_NR + 7, 1}};
    Driver d = begin(",guest-stats-polling-interval=1", 0);
    GString *out = g_string_new(NULL);
    Device *device = NULL;

    for (u32 i = 0; i < d.m->devices->len; i++) {
        Device *is = d.m->devices->pdata[i];

        device = is->base == d.slot ? is : device;
    }
    memcpy(ram(&d, BOARD_RAM + AT_LIST), stat, sizeof stat);
    driver_add(&d, STATS, (Buffer[]){{BOARD_RAM + AT_LIST, sizeof stat, false}}, 1);
    driver_kick(&d, STATS);
    machine_lock(d.m);
    device->type->info(device, out);
    machine_unlock(d.m);
    cr_expect(strstr(out->str, "free-memory 12345\n"), "%s", out->str);
    cr_expect(!strstr(out->str, "total-memory"));
    driver_wait(&d, STATS); /* it is asked again after a second */
    g_string_free(out, TRUE);
    machine_free(d.m);
}

Test(balloon, refuses_a_second_one)
{
    Driver d = begin("", 0);
    char *error = NULL;

    machine_lock(d.m);
    cr_expect(!devices_add(d.m, "virtio-balloon-device", &error));
    cr_expect(error && !strchr(error, '\n'));
    machine_unlock(d.m);
    g_free(error);
    machine_free(d.m);
}
