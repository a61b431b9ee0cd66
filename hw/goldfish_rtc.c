/* SPDX-License-Identifier: MIT */
/* Goldfish's clock: nanoseconds since 1970 (the host's, or the machine's from -rtc's
 * date on, until the guest sets them) and one alarm.  A reset leaves the time alone. */
#include <inttypes.h>
#include <time.h>
#include "board.h"

enum Register {
    TIME_LOW = 0x00, /* reading it holds TIME_HIGH fast */
    TIME_HIGH = 0x04,
    ALARM_LOW = 0x08, /* writing it arms the alarm */
    ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14,
    ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c,
    REGISTERS_END = 0x24,
};

typedef struct Rtc {
    Device device;
    Timer *timer;
    u64 shift; /* of the guest's time to the host's */
    u64 alarm;
    u32 time_high;
    bool armed, pending, enabled;
} Rtc;

static Rtc *rtc(Device *d) { return (Rtc *)d; }

static u64 rtc_now(const Rtc *r)
{
    const Machine *m = r->device.machine;
    struct timespec t;

    if (m->options->rtc_base)
        return r->shift + m->options->rtc_base + machine_clock(m);
    clock_gettime(CLOCK_REALTIME, &t);
    return r->shift + t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void irq_update(Rtc *r) { device_irq(&r->device, r->pending && r->enabled); }

/* Fires the alarm if it is due, else asks to be called again when it is. */
static void alarm_check(Rtc *r)
{
    u64 now = rtc_now(r);

    if (r->armed && r->alarm <= now) {
        r->armed = false;
        r->pending = true;
        irq_update(r);
    }
    timer_set(r->timer, r->armed ? machine_clock(r->device.machine) + (r->alarm - now)
                                 : TIMER_OFF);
}

static void alarm_fire(void *ctx) { alarm_check(ctx); }

/* The machine's clock has stood still, this one has not. */
static void on_event(void *ctx, MachineEvent event)
{
    if (event == EVENT_RESUME)
        alarm_check(ctx);
}

static u64 rtc_read(Device *d, u64 offset, u32 width)
{
    Rtc *r = rtc(d);
    u64 now;

    switch (offset) {
    case TIME_LOW:
        now = rtc_now(r);
        r->time_high = now >> 32;
        return (u32)now;
    case TIME_HIGH: return r->time_high;
    case ALARM_LOW: return (u32)r->alarm;
    case ALARM_HIGH: return r->alarm >> 32;
    case IRQ_ENABLED: return r->enabled;
    case ALARM_STATUS: return r->armed;
    default: return 0;
    }
}

static u64 with_low(u64 v, u32 low) { return v >> 32 << 32 | low; }
static u64 with_high(u64 v, u32 high) { return (u64)high << 32 | (u32)v; }

static void time_set(Rtc *r, u64 now, u64 to)
{
    r->shift += to - now;
    alarm_check(r);
}

static void rtc_write(Device *d, u64 offset, u64 value, u32 width)
{
    Rtc *r = rtc(d);
    u64 now = rtc_now(r);

    switch (offset) {
    case TIME_LOW: time_set(r, now, with_low(now, value)); break;
    case TIME_HIGH: time_set(r, now, with_high(now, value)); break;
    case ALARM_LOW:
        r->alarm = with_low(r->alarm, value);
        r->armed = true;
        alarm_check(r);
        break;
    case ALARM_HIGH: r->alarm = with_high(r->alarm, value); break;
    case IRQ_ENABLED:
        r->enabled = value & 1;
        irq_update(r);
        break;
    case CLEAR_ALARM:
        r->armed = false;
        alarm_check(r);
        break;
    case CLEAR_INTERRUPT:
        r->pending = false;
        irq_update(r);
        break;
    }
}

static void rtc_reset(Device *d)
{
    Rtc *r = rtc(d);

    r->alarm = 0;
    r->armed = r->pending = r->enabled = false;
    alarm_check(r);
    irq_update(r);
}

static void rtc_state(Device *d, State *s)
{
    Rtc *r = rtc(d);

    state_u64(s, &r->shift);
    state_u64(s, &r->alarm);
    state_u32(s, &r->time_high);
    state_bool(s, &r->armed);
    state_bool(s, &r->pending);
    state_bool(s, &r->enabled);
    if (s->loading) {
        irq_update(r);
        alarm_check(r);
    }
}

static void rtc_info(const Device *d, GString *out)
{
    const Rtc *r = (const Rtc *)d;

    g_string_append_printf(out, "%" PRIu64 " ns, alarm %" PRIu64 "%s%s\n",
                           (uint64_t)rtc_now(r), (uint64_t)r->alarm,
                           r->armed ? " armed" : "", r->pending ? " pending" : "");
}

static void rtc_free(Device *d)
{
    timer_free(rtc(d)->timer);
    g_free(d);
}

static const DeviceType goldfish_rtc = {
    .name = "goldfish_rtc",
    .size = REGISTERS_END,
    .widths = 4,
    .read = rtc_read,
    .write = rtc_write,
    .reset = rtc_reset,
    .state = rtc_state,
    .info = rtc_info,
    .free = rtc_free,
};

bool goldfish_rtc_new(Machine *m, u64 base, u32 irq, char **error)
{
    Rtc *r = g_new0(Rtc, 1);

    r->timer = timer_new(m, alarm_fire, r);
    if (!device_add(m, &r->device, &goldfish_rtc, base, irq)) {
        *error = g_strdup("the clock has no place of its own");
        rtc_free(&r->device);
        return false;
    }
    machine_listen(m, on_event, r);
    return true;
}
