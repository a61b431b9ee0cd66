/* SPDX-License-Identifier: MIT */
/* Bodies that attract each other, stepped in double precision. */
#include "kernel.h"
#include <math.h>

const u64 kernel_rounds = 2500000;

typedef struct {
    double x, y, z, vx, vy, vz, mass;
} Body;

enum { BODIES = 5 };
static Body bodies[BODIES];

static void place_bodies(void)
{
    for (int i = 0; i < BODIES; i++) {
        double k = i + 1;

        bodies[i] = (Body){.x = k * 3.1,
                           .y = 7.0 / k,
                           .z = k * k * 0.11,
                           .vx = 0.1 / k,
                           .vy = 0.02 * k,
                           .vz = -0.03,
                           .mass = i ? 0.01 * k : 39.5};
    }
}

static void attract(Body *a, Body *b, double dt)
{
    double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
    double d2 = dx * dx + dy * dy + dz * dz;
    double force = dt / (d2 * sqrt(d2));

    a->vx -= dx * b->mass * force;
    a->vy -= dy * b->mass * force;
    a->vz -= dz * b->mass * force;
    b->vx += dx * a->mass * force;
    b->vy += dy * a->mass * force;
    b->vz += dz * a->mass * force;
}

static NOINLINE void advance(double dt)
{
    for (int i = 0; i < BODIES; i++) {
        for (int j = i + 1; j < BODIES; j++)
            attract(&bodies[i], &bodies[j], dt);
    }
    for (int i = 0; i < BODIES; i++) {
        bodies[i].x += dt * bodies[i].vx;
        bodies[i].y += dt * bodies[i].vy;
        bodies[i].z += dt * bodies[i].vz;
    }
}

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    place_bodies();
    for (u64 i = 0; i < rounds; i++)
        advance(0.001);
    for (int i = 0; i < BODIES; i++)
        sum = checksum_double(checksum_double(sum, bodies[i].x), bodies[i].vy);
    return sum;
}
