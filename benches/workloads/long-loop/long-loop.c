/* One long loop in main: the case for on-stack replacement.
 *
 * Stands for: programs that are called once and never call anything that is hot,
 * as small numerical programs and the inner parts of many benchmarks are. An
 * engine that changes tiers only at calls stays in its slow tier to the end.
 *
 * A turmite, a Turing machine on a plane: an ant stands on a cell of a torus of
 * 512 x 512 cells, and by the cell's colour and its own mood it recolours the cell,
 * turns, takes a new mood and moves by one. Every so often a little weather, a
 * random number, recolours another cell, so that the ant never settles into a
 * repeating path. The state is seven local variables.
 *
 * What dominates: one chain of dependent loads, shifts and a table of rules; no
 * calls but one per step of work, no floating point.
 * Sizes: the number of moves. The check: the changes of colours that were made
 * along the way add up to the colours of the cells at the end. */
#include "../common/workload.h"

enum { SIDE = 512, CELLS = SIDE * SIDE, COLOURS = 8, MOODS = 4, STEPS = 100 };

/* What an ant of some mood does on a cell of some colour. */
struct rule {
    uint8_t colour; /* for the cell */
    uint8_t turn;   /* 0 to 3 quarters to the right */
    uint8_t mood;
};

static uint8_t cells[CELLS];
static struct rule rules[MOODS * COLOURS];

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct random random = {UINT64_C(0x6c6f6e676c6f6f70)};
    const uint32_t moves_per_step = workload_pick(&w, 80000, 1700000, 17000000);

    for (uint32_t i = 0; i < MOODS * COLOURS; i++) {
        rules[i].colour = (uint8_t)((i * 5 + 1 + random_below(&random, 3)) % COLOURS);
        rules[i].turn = (uint8_t)((i + random_below(&random, 2) * 2 + 1) % 4);
        rules[i].mood = (uint8_t)random_below(&random, MOODS);
    }

    uint32_t x = SIDE / 2, y = SIDE / 2, heading = 0, mood = 0;
    uint32_t weather = 1, until_step = moves_per_step;
    uint64_t trail = 0, colours = 0;
    for (uint64_t left = (uint64_t)moves_per_step * STEPS; left > 0; left--) {
        uint8_t *cell = &cells[y * SIDE + x];
        const struct rule *rule = &rules[mood * COLOURS + *cell];
        colours += (uint64_t)rule->colour - *cell;
        trail = trail * 31 + *cell + heading;
        *cell = rule->colour;
        heading = (heading + rule->turn) & 3;
        mood = rule->mood;
        /* North, east, south, west, without a branch on something random. */
        x = (x + (heading & 1) - ((heading >> 1) & heading & 1) * 2) & (SIDE - 1);
        y = (y + (~heading & 1) * (heading - 1)) & (SIDE - 1);
        weather ^= weather << 13;
        weather ^= weather >> 17;
        weather ^= weather << 5;
        if ((weather & 1023) == 0) {
            uint8_t *wet = &cells[(weather >> 10) % CELLS];
            uint8_t colour = (*wet + 1) % COLOURS;
            colours += (uint64_t)colour - *wet;
            *wet = colour;
        }
        if (--until_step == 0) {
            until_step = moves_per_step;
            workload_step(&w);
        }
    }

    uint64_t sum = 0;
    uint32_t visited = 0;
    for (uint32_t i = 0; i < CELLS; i++) {
        sum += cells[i];
        visited += cells[i] != 0;
    }
    if (sum != colours) workload_fail("the colours do not add up");
    workload_hash_bytes(&w, cells, sizeof cells);
    workload_hash(&w, trail);
    printf("%" PRIu64 " moves, %" PRIu32 " coloured cells, sum of colours %" PRIu64 "\n",
           (uint64_t)moves_per_step * STEPS, visited, sum);
    printf("the ant stands at %" PRIu32 ", %" PRIu32 "\n", x, y);
    return workload_end(&w);
}
