/* SPDX-License-Identifier: MIT */
/* A 16550A: eight byte-wide registers, two FIFOs of 16, one interrupt line.  Bytes go
 * out as fast as the other end takes them: only then does the transmitter wait.  What
 * the data sheet leaves open is done as QEMU's serial-mm does it. */
#include <string.h>
#include "board.h"

enum { FIFO_SIZE = 16, BAUD_BASE = 399193 };

enum Register { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, REGISTERS, FCR = IIR };

enum IerBits { IER_RECEIVED = 1, IER_THRE = 2, IER_LINE = 4, IER_MODEM = 8 };
enum IirBits {
    IIR_MODEM = 0,
    IIR_NONE = 1,
    IIR_THRE = 2,
    IIR_RECEIVED = 4,
    IIR_LINE = 6,
    IIR_TIMEOUT = 12,
    IIR_ID = 15,
    IIR_FIFOS = 0xc0,
};
enum FcrBits { FCR_ENABLE = 1, FCR_CLEAR_IN = 2, FCR_CLEAR_OUT = 4, FCR_KEPT = 0xc9 };
enum LcrBits { LCR_STOP = 4, LCR_PARITY = 8, LCR_DLAB = 0x80 };
enum McrBits { MCR_DTR = 1, MCR_RTS = 2, MCR_OUTS = 12, MCR_OUT2 = 8, MCR_LOOP = 16 };
enum LsrBits {
    LSR_READY = 1,
    LSR_OVERRUN = 2,
    LSR_BREAK = 16,
    LSR_ERRORS = 0x1e,
    LSR_THRE = 32, /* nothing more to be sent after.. */
    LSR_TEMT = 64, /* ..what is being sent */
};
enum MsrBits { MSR_DELTAS = 15, MSR_CTS = 16, MSR_DSR = 32, MSR_DCD = 128 };

typedef struct Fifo {
    u8 byte[FIFO_SIZE];
    u8 first, n;
} Fifo;

typedef struct Uart {
    Device device;
    Chardev *serial;
    CharClient client;
    u16 divisor;
    u8 ier, iir, fcr, lcr, mcr, lsr, msr, scr;
    u8 received, holding, shifting; /* RBR, THR, and what is on its way out */
    bool stuck;                     /* shifting waits for the other end to take it */
    bool thre_pending, timeout_pending;
    Fifo in, out;
    Timer *timer;
    u64 timeout; /* when the timer fires */
} Uart;

static Uart *uart(Device *d) { return (Uart *)d; }
static bool fifos_on(const Uart *u) { return u->fcr & FCR_ENABLE; }

/* ---- FIFOs ---- */

static void fifo_push(Fifo *f, u8 byte)
{
    f->byte[(f->first + f->n++) % FIFO_SIZE] = byte;
}

static u8 fifo_pop(Fifo *f)
{
    u8 byte = f->byte[f->first];

    f->first = (f->first + 1) % FIFO_SIZE;
    f->n--;
    return byte;
}

/* ---- interrupts ---- */

/* How many received bytes are worth an interrupt. */
static u32 trigger(const Uart *u)
{
    static const u8 level[4] = {1, 4, 8, 14};

    return fifos_on(u) ? level[u->fcr >> 6] : 1;
}

static u8 interrupt_id(const Uart *u)
{
    if (u->ier & IER_LINE && u->lsr & LSR_ERRORS)
        return IIR_LINE;
    if (u->ier & IER_RECEIVED && u->timeout_pending)
        return IIR_TIMEOUT;
    if (u->ier & IER_RECEIVED && u->lsr & LSR_READY &&
        (!fifos_on(u) || u->in.n >= trigger(u)))
        return IIR_RECEIVED;
    if (u->ier & IER_THRE && u->thre_pending)
        return IIR_THRE;
    if (u->ier & IER_MODEM && u->msr & MSR_DELTAS)
        return IIR_MODEM;
    return IIR_NONE;
}

static void interrupt_update(Uart *u)
{
    u->iir = interrupt_id(u) | (fifos_on(u) ? IIR_FIFOS : 0);
    device_irq(&u->device, (u->iir & IIR_ID) != IIR_NONE);
}

/* Bytes that stay below the trigger are announced after four characters' time. */
static void timeout_start(Uart *u)
{
    u32 bits = 1 + 5 + (u->lcr & 3) + (u->lcr & LCR_PARITY ? 1 : 0) +
               (u->lcr & LCR_STOP ? 2 : 1);
    u64 baud = u->divisor ? MAX(BAUD_BASE / u->divisor, 1) : 3500;

    u->timeout = machine_clock(u->device.machine) + 4 * bits * (1000000000ull / baud);
    timer_set(u->timer, u->timeout);
}

static void timeout_stop(Uart *u)
{
    u->timeout_pending = false;
    u->timeout = TIMER_OFF;
    timer_set(u->timer, TIMER_OFF);
}

static void timeout_fire(void *ctx)
{
    Uart *u = ctx;

    u->timeout = TIMER_OFF;
    if (u->in.n) {
        u->timeout_pending = true;
        interrupt_update(u);
    }
}

/* ---- receiving ---- */

static size_t uart_room(void *ctx)
{
    Uart *u = ctx;

    if (u->mcr & MCR_LOOP) /* the line leads nowhere: what arrives waits */
        return 0;
    if (fifos_on(u))
        return FIFO_SIZE - u->in.n;
    return !(u->lsr & LSR_READY);
}

static void receive_byte(Uart *u, u8 byte)
{
    u->lsr |= LSR_READY;
    if (!fifos_on(u)) {
        u->received = byte;
    } else if (u->in.n < FIFO_SIZE) {
        fifo_push(&u->in, byte);
        timeout_start(u);
    } else {
        u->lsr |= LSR_OVERRUN;
    }
}

static void uart_receive(void *ctx, const u8 *bytes, size_t n)
{
    Uart *u = ctx;

    for (size_t i = 0; i < n; i++) {
        if (!fifos_on(u) && u->lsr & LSR_READY)
            u->lsr |= LSR_OVERRUN;
        receive_byte(u, bytes[i]);
    }
    interrupt_update(u);
}

static void uart_event(void *ctx, int event)
{
    Uart *u = ctx;

    if (event == CHAR_BREAK) {
        receive_byte(u, 0);
        u->lsr |= LSR_BREAK;
        interrupt_update(u);
    }
}

static void clear_received(Uart *u)
{
    u->lsr &= ~(LSR_READY | LSR_BREAK);
    u->in.n = 0;
    timeout_stop(u);
}

static u8 read_received(Uart *u)
{
    u8 byte = u->received;

    if (fifos_on(u)) {
        byte = u->in.n ? fifo_pop(&u->in) : 0;
        timeout_stop(u);
        if (u->in.n)
            timeout_start(u);
    }
    if (!fifos_on(u) || !u->in.n)
        u->lsr &= ~(LSR_READY | LSR_BREAK);
    interrupt_update(u);
    if (u->serial)
        chardev_accept(u->serial, &u->client);
    return byte;
}

/* ---- sending ---- */

/* The next byte from the FIFO or the holding register; there is one. */
static void shift_next(Uart *u)
{
    u->shifting = fifos_on(u) ? fifo_pop(&u->out) : u->holding;
    if (!fifos_on(u) || !u->out.n) {
        u->lsr |= LSR_THRE;
        u->thre_pending = true;
        interrupt_update(u);
    }
}

static bool send_byte(Uart *u)
{
    if (u->mcr & MCR_LOOP) {
        uart_receive(u, &u->shifting, 1);
        return true;
    }
    return !u->serial || chardev_write(u->serial, &u->client, &u->shifting, 1);
}

/* Sends until all is out or the other end takes no more. */
static void transmit(Uart *u)
{
    while (u->stuck || !(u->lsr & LSR_THRE)) {
        if (!u->stuck)
            shift_next(u);
        u->stuck = !send_byte(u);
        if (u->stuck)
            return;
    }
    u->lsr |= LSR_TEMT;
}

static void uart_writable(void *ctx)
{
    Uart *u = ctx;

    if (u->stuck)
        transmit(u);
}

static void write_holding(Uart *u, u8 byte)
{
    u->holding = byte;
    if (fifos_on(u)) {
        if (u->out.n == FIFO_SIZE)
            fifo_pop(&u->out);
        fifo_push(&u->out, byte);
    }
    u->lsr &= ~(LSR_THRE | LSR_TEMT);
    u->thre_pending = false;
    interrupt_update(u);
    if (!u->stuck)
        transmit(u);
}

static void clear_sent(Uart *u)
{
    u->out.n = 0;
    u->lsr |= LSR_THRE;
    u->thre_pending = true;
}

/* ---- registers ---- */

static void write_fcr(Uart *u, u8 value)
{
    bool changed = (value ^ u->fcr) & FCR_ENABLE;

    if (changed || value & FCR_CLEAR_IN)
        clear_received(u);
    if (changed || value & FCR_CLEAR_OUT)
        clear_sent(u);
    u->fcr = value & FCR_KEPT;
    interrupt_update(u);
    if (u->serial)
        chardev_accept(u->serial, &u->client);
}

/* Allowed again while nothing is to be sent, THRE interrupts at once, even if IIR has
 * been read since: drivers rely on it. */
static void write_ier(Uart *u, u8 value)
{
    bool changed = (value ^ u->ier) & IER_THRE;

    u->ier = value & (IER_RECEIVED | IER_THRE | IER_LINE | IER_MODEM);
    if (changed)
        u->thre_pending = u->ier & IER_THRE && u->lsr & LSR_THRE;
    interrupt_update(u);
}

static u8 read_iir(Uart *u)
{
    u8 value = u->iir;

    if ((value & IIR_ID) == IIR_THRE) {
        u->thre_pending = false;
        interrupt_update(u);
    }
    return value;
}

static u8 read_lsr(Uart *u)
{
    u8 value = u->lsr;

    if (value & (LSR_BREAK | LSR_OVERRUN)) {
        u->lsr &= ~(LSR_BREAK | LSR_OVERRUN);
        interrupt_update(u);
    }
    return value;
}

/* In the loop, the modem's inputs are the outputs: OUT1 OUT2, DTR, RTS. */
static u8 read_msr(Uart *u)
{
    u8 value = u->msr;

    if (u->mcr & MCR_LOOP)
        return (u->mcr & MCR_OUTS) << 4 | (u->mcr & MCR_RTS) << 3 |
               (u->mcr & MCR_DTR) << 5;
    if (value & MSR_DELTAS) {
        u->msr &= ~MSR_DELTAS;
        interrupt_update(u);
    }
    return value;
}

static void write_mcr(Uart *u, u8 value)
{
    u->mcr = value & 0x1f;
    if (u->serial)
        chardev_accept(u->serial, &u->client);
}

static u64 uart_read(Device *d, u64 offset, u32 width)
{
    Uart *u = uart(d);

    if (u->lcr & LCR_DLAB && offset <= IER)
        return u->divisor >> (offset == IER ? 8 : 0) & 0xff;
    switch (offset) {
    case DATA: return read_received(u);
    case IER: return u->ier;
    case IIR: return read_iir(u);
    case LCR: return u->lcr;
    case MCR: return u->mcr;
    case LSR: return read_lsr(u);
    case MSR: return read_msr(u);
    default: return u->scr;
    }
}

static void uart_write(Device *d, u64 offset, u64 value, u32 width)
{
    Uart *u = uart(d);
    u8 byte = value;

    if (u->lcr & LCR_DLAB && offset == DATA) {
        u->divisor = (u->divisor & 0xff00) | byte;
        return;
    }
    if (u->lcr & LCR_DLAB && offset == IER) {
        u->divisor = (u->divisor & 0xff) | byte << 8;
        return;
    }
    switch (offset) {
    case DATA: write_holding(u, byte); break;
    case IER: write_ier(u, byte); break;
    case FCR: write_fcr(u, byte); break;
    case LCR: u->lcr = byte; break;
    case MCR: write_mcr(u, byte); break;
    case SCR: u->scr = byte; break;
    }
}

/* ---- the device ---- */

static void uart_reset(Device *d)
{
    Uart *u = uart(d);

    u->divisor = 12;
    u->ier = u->fcr = u->lcr = u->scr = 0;
    u->received = u->holding = u->shifting = 0;
    u->mcr = MCR_OUT2;
    u->lsr = LSR_THRE | LSR_TEMT;
    u->msr = MSR_DCD | MSR_DSR | MSR_CTS;
    u->stuck = u->thre_pending = false;
    memset(&u->in, 0, sizeof u->in);
    memset(&u->out, 0, sizeof u->out);
    timeout_stop(u);
    interrupt_update(u);
}

static void fifo_state(State *s, Fifo *f)
{
    state_bytes(s, f->byte, sizeof f->byte);
    state_u8(s, &f->first);
    state_u8(s, &f->n);
    if (f->first >= FIFO_SIZE || f->n > FIFO_SIZE) {
        f->first = f->n = 0;
        state_refuse(s, "a FIFO beyond its end");
    }
}

/* What can be asked of it must hold: a byte to be sent is there. */
static void loaded(Uart *u, State *s)
{
    if (!(u->lsr & LSR_THRE) && fifos_on(u) && !u->out.n) {
        u->lsr |= LSR_THRE;
        state_refuse(s, "a byte to be sent that is not there");
    }
    timer_set(u->timer, u->timeout);
    interrupt_update(u);
    if (u->stuck || !(u->lsr & LSR_THRE))
        transmit(u);
    if (u->serial)
        chardev_accept(u->serial, &u->client);
}

static void uart_state(Device *d, State *s)
{
    Uart *u = uart(d);
    u8 *const bytes[] = {&u->ier, &u->fcr, &u->lcr,      &u->mcr,     &u->lsr,
                         &u->msr, &u->scr, &u->received, &u->holding, &u->shifting};

    for (u32 i = 0; i < ARRAY_SIZE(bytes); i++)
        state_u8(s, bytes[i]);
    state_u16(s, &u->divisor);
    state_bool(s, &u->stuck);
    state_bool(s, &u->thre_pending);
    state_bool(s, &u->timeout_pending);
    state_u64(s, &u->timeout);
    fifo_state(s, &u->in);
    fifo_state(s, &u->out);
    if (s->loading)
        loaded(u, s);
}

static void uart_info(const Device *d, GString *out)
{
    const Uart *u = (const Uart *)d;

    g_string_append_printf(out, "%u baud, received %u, to send %u%s\n",
                           u->divisor ? BAUD_BASE / u->divisor : 0, u->in.n, u->out.n,
                           u->stuck ? ", waits for the other end" : "");
}

static void uart_free(Device *d)
{
    timer_free(uart(d)->timer);
    g_free(d);
}

static const DeviceType uart16550 = {
    .name = "uart16550",
    .size = REGISTERS,
    .widths = 1 | 2 | 4 | 8,
    .read = uart_read,
    .write = uart_write,
    .reset = uart_reset,
    .state = uart_state,
    .info = uart_info,
    .free = uart_free,
};

bool uart16550_new(Machine *m, u64 base, u32 irq, Chardev *serial, char **error)
{
    Uart *u = g_new0(Uart, 1);

    u->client = (CharClient){.ctx = u,
                             .room = uart_room,
                             .receive = uart_receive,
                             .event = uart_event,
                             .writable = uart_writable};
    u->timer = timer_new(m, timeout_fire, u);
    u->device.machine = m;
    if (!device_add(m, &u->device, &uart16550, base, irq)) {
        *error = g_strdup("a UART has no place of its own");
        uart_free(&u->device);
        return false;
    }
    uart_reset(&u->device);
    if (serial && !chardev_attach(serial, &u->client)) {
        *error = g_strdup("a serial line leads to something that is taken already");
        return false;
    }
    u->serial = serial;
    return true;
}
