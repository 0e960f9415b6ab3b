/* simplex: minimum-cost flow by the primal network simplex method.
 *
 * Stands for SPEC's mcf. A transport network lies on a map: towns on a jittered grid,
 * roads to neighbours, long links between hubs; depots have goods, shops need them.
 * The basis is a spanning tree of node records linked by pointers (parent, child,
 * siblings). Each pivot takes an arc from a basket of promising ones, walks the cycle
 * it closes in the tree, hangs a subtree elsewhere and shifts the potentials below.
 * After the first optimum the costs of some roads change (traffic), and the solver
 * goes on from the tree it has, several times.
 *
 * Time goes into pointer chasing through the tree (cycle walks, potential updates)
 * and into pricing, which streams over arcs and reads the potentials of both ends.
 * Sizes differ in the side of the map and in the number of rounds of traffic.
 *
 * Every optimum is proved: flows within bounds, conserved at every node, no artificial
 * flow left, and reduced costs of the right sign on every arc. */
#include "../common/workload.h"

typedef struct node node;
typedef struct arc arc;

enum arc_state { AT_LOWER, IN_TREE, AT_UPPER };

struct arc {
    node *tail, *head;
    int64_t cost;
    int64_t flow;
    int64_t capacity;
    enum arc_state state;
};

struct node {
    int64_t potential;
    node *parent;
    node *child;             /* the first of its children */
    node *next, *previous;   /* the other children of its parent */
    arc *basic;              /* the tree arc between it and its parent */
    bool upward;             /* whether `basic` points to the parent */
    int32_t depth;
    int64_t supply;          /* negative: a demand */
    int32_t x, y;            /* place on the map */
};

enum {
    BASKET_MAX = 96,   /* candidates kept between pivots */
    CELL = 100,        /* distance of grid lines */
    SUPPLY_MAX = 40,
    NODE_WORK = 3,     /* what a node under a moved subtree costs, in priced arcs */
    PIVOT_WORK = 1200, /* the same for what all pivots have in common */
};

/* Dearer than any path through the network. */
#define COST_ARTIFICIAL INT64_C(1000000000)
#define CAPACITY_FREE (INT64_C(1) << 40)

struct candidate {
    arc *arc;
    int64_t violation;
};

struct network {
    uint32_t side;
    uint32_t node_count;      /* without the root */
    uint32_t arc_count;       /* without artificial arcs, which lie behind the others */
    node *nodes;              /* the root is the last */
    arc *arcs;
    struct candidate basket[BASKET_MAX];
    uint32_t basket_count;
    uint32_t group;           /* which group of arcs is priced next */
    uint32_t group_count;
    uint64_t pivots, flips;
    uint64_t work;            /* done since the last step, in priced arcs */
    uint64_t work_per_step;
};

/* ---- the map ---- */

static int64_t road_length(const node *a, const node *b) {
    int32_t dx = a->x > b->x ? a->x - b->x : b->x - a->x;
    int32_t dy = a->y > b->y ? a->y - b->y : b->y - a->y;
    int32_t longer = dx > dy ? dx : dy, shorter = dx > dy ? dy : dx;
    return longer + shorter * 3 / 8; /* near the Euclidean distance */
}

static void add_arc(struct network *net, struct random *r, node *tail, node *head,
                    int64_t capacity, uint32_t percent) {
    arc *a = &net->arcs[net->arc_count++];
    a->tail = tail;
    a->head = head;
    a->cost = road_length(tail, head) * percent / 100 + random_below(r, 15);
    a->capacity = capacity;
    a->flow = 0;
    a->state = AT_LOWER;
}

static node *town(struct network *net, uint32_t column, uint32_t row) {
    return &net->nodes[row * net->side + column];
}

/* A road around all towns without limit, so that a solution exists. */
static void add_ring(struct network *net, struct random *r) {
    node *previous = town(net, 0, 0);
    for (uint32_t i = 1; i <= net->node_count; i++) {
        uint32_t at = i % net->node_count, row = at / net->side, column = at % net->side;
        node *here = town(net, row & 1 ? net->side - 1 - column : column, row);
        add_arc(net, r, previous, here, CAPACITY_FREE, 170);
        previous = here;
    }
}

static void add_roads(struct network *net, struct random *r) {
    for (uint32_t row = 0; row < net->side; row++) {
        for (uint32_t column = 0; column < net->side; column++) {
            node *here = town(net, column, row);
            for (uint32_t k = 0; k < 4; k++) {
                uint32_t c = column + random_below(r, 5), w = row + random_below(r, 5);
                if (c < 2 || w < 2 || c - 2 >= net->side || w - 2 >= net->side) continue;
                node *there = town(net, c - 2, w - 2);
                if (there == here) continue;
                int64_t capacity = 10 + random_below(r, 200);
                add_arc(net, r, here, there, capacity, 90 + random_below(r, 60));
            }
        }
    }
}

static node *random_hub(struct network *net, struct random *r) {
    uint32_t column = random_below(r, net->side / 4) * 4;
    uint32_t row = random_below(r, net->side / 4) * 4;
    return town(net, column, row);
}

/* Rails between hubs: cheap and wide, but few. */
static void add_rails(struct network *net, struct random *r) {
    for (uint32_t i = 0; i < net->node_count / 12; i++) {
        node *a = random_hub(net, r), *b = random_hub(net, r);
        if (a == b) continue;
        add_arc(net, r, a, b, 100 + random_below(r, 900), 50);
        add_arc(net, r, b, a, 100 + random_below(r, 900), 50);
    }
}

static void place_goods(struct network *net, struct random *r) {
    int64_t total = 0;
    for (uint32_t i = 0; i < net->node_count; i++) {
        uint32_t kind = random_below(r, 10);
        int64_t goods = 0;
        if (kind < 2) goods = 1 + random_below(r, 3 * SUPPLY_MAX);
        if (kind > 4) goods = -1 - (int64_t)random_below(r, SUPPLY_MAX);
        net->nodes[i].supply = goods;
        total += goods;
    }
    /* Towns give or take one thing after another until the map is balanced. */
    for (uint32_t i = 0; total != 0; i = (i + 7) % net->node_count) {
        net->nodes[i].supply += total > 0 ? -1 : 1;
        total += total > 0 ? -1 : 1;
    }
}

static void build_map(struct network *net, struct random *r) {
    net->node_count = net->side * net->side;
    net->nodes = workload_allocate(net->node_count + 1, sizeof(node));
    net->arcs = workload_allocate((size_t)net->node_count * 7, sizeof(arc));
    for (uint32_t i = 0; i < net->node_count; i++) {
        net->nodes[i].x = (int32_t)(i % net->side * CELL + random_below(r, CELL));
        net->nodes[i].y = (int32_t)(i / net->side * CELL + random_below(r, CELL));
    }
    add_ring(net, r);
    add_roads(net, r);
    add_rails(net, r);
    place_goods(net, r);
    net->group_count = net->arc_count / 400 + 1;
}

/* ---- the tree ---- */

static void attach(node *child, node *parent) {
    child->parent = parent;
    child->previous = NULL;
    child->next = parent->child;
    if (parent->child) parent->child->previous = child;
    parent->child = child;
}

static void detach(node *child) {
    if (child->previous) {
        child->previous->next = child->next;
    } else {
        child->parent->child = child->next;
    }
    if (child->next) child->next->previous = child->previous;
}

/* The first tree: every node hangs at the root by an artificial arc. */
static void build_tree(struct network *net) {
    node *root = &net->nodes[net->node_count];
    for (uint32_t i = 0; i < net->node_count; i++) {
        node *n = &net->nodes[i];
        arc *a = &net->arcs[net->arc_count + i];
        n->upward = n->supply >= 0;
        a->tail = n->upward ? n : root;
        a->head = n->upward ? root : n;
        a->cost = COST_ARTIFICIAL;
        a->capacity = CAPACITY_FREE;
        a->flow = n->upward ? n->supply : -n->supply;
        a->state = IN_TREE;
        n->basic = a;
        n->depth = 1;
        n->potential = n->upward ? COST_ARTIFICIAL : -COST_ARTIFICIAL;
        attach(n, root);
    }
}

static void refresh_node(node *n) {
    const node *parent = n->parent;
    n->depth = parent->depth + 1;
    n->potential = n->upward ? parent->potential + n->basic->cost
                             : parent->potential - n->basic->cost;
}

/* Sets depth and potential of all nodes under `top` from their parents; `top` itself
 * is right already. Preorder without a stack; returns how many they are. */
static uint64_t refresh_below(node *top) {
    node *n = top;
    uint64_t count = 0;
    for (;;) {
        if (n->child) {
            n = n->child;
        } else {
            while (n != top && !n->next) n = n->parent;
            if (n == top) return count;
            n = n->next;
        }
        refresh_node(n);
        count++;
    }
}

/* ---- pricing ---- */

static int64_t reduced_cost(const arc *a) {
    return a->cost - a->tail->potential + a->head->potential;
}

/* How much one unit along the arc saves; 0 or less when it is no use. */
static int64_t violation_of(const arc *a) {
    if (a->state == IN_TREE) return 0;
    int64_t cost = reduced_cost(a);
    return a->state == AT_LOWER ? -cost : cost;
}

static void sort_basket(struct candidate *list, int32_t low, int32_t high) {
    while (low < high) {
        int64_t middle = list[low + (high - low) / 2].violation;
        int32_t i = low, j = high;
        while (i <= j) {
            while (list[i].violation > middle) i++;
            while (list[j].violation < middle) j--;
            if (i <= j) {
                struct candidate swapped = list[i];
                list[i++] = list[j];
                list[j--] = swapped;
            }
        }
        if (j - low < high - i) {
            sort_basket(list, low, j);
            low = i;
        } else {
            sort_basket(list, i, high);
            high = j;
        }
    }
}

/* Prices every group_count-th arc, beginning with number `group`. */
static void price_group(struct network *net) {
    for (uint32_t i = net->group; i < net->arc_count; i += net->group_count) {
        int64_t violation = violation_of(&net->arcs[i]);
        if (violation > 0 && net->basket_count < BASKET_MAX) {
            net->basket[net->basket_count++] = (struct candidate){&net->arcs[i], violation};
        }
    }
    net->group = (net->group + 1) % net->group_count;
    net->work += net->arc_count / net->group_count;
}

/* The best arc of a refreshed basket; NULL proves that the tree is optimal. */
static arc *choose_entering(struct network *net) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < net->basket_count; i++) {
        arc *a = net->basket[i].arc;
        int64_t violation = violation_of(a);
        if (violation > 0 && kept < BASKET_MAX / 3) {
            net->basket[kept++] = (struct candidate){a, violation};
        }
    }
    net->basket_count = kept;
    for (uint32_t i = 0; i < net->group_count; i++) {
        price_group(net);
        if (net->basket_count > BASKET_MAX / 2) break;
    }
    if (net->basket_count == 0) return NULL;
    sort_basket(net->basket, 0, (int32_t)net->basket_count - 1);
    arc *best = net->basket[0].arc;
    net->basket[0] = net->basket[--net->basket_count];
    return best;
}

/* ---- pivots ---- */

/* How much more flow fits from the parent down to `n`, or from `n` up to it. */
static int64_t room(const node *n, bool up) {
    return n->upward == up ? n->basic->capacity - n->basic->flow : n->basic->flow;
}

static void push(node *n, bool up, int64_t amount) {
    n->basic->flow += n->upward == up ? amount : -amount;
}

struct cycle {
    node *first, *second;  /* flow goes from first to second over the entering arc */
    node *leaving;         /* whose basic arc leaves; NULL: the entering arc is full */
    bool on_first;         /* the leaving arc is on the side of first */
    int64_t amount;
};

/* Ties go to the last blocking arc along the cycle as seen from its top: that keeps
 * the tree strongly feasible, and the method cannot run in circles. */
static struct cycle find_cycle(const arc *entering) {
    bool forward = entering->state == AT_LOWER;
    struct cycle c = {forward ? entering->tail : entering->head,
                      forward ? entering->head : entering->tail, NULL, false,
                      entering->capacity};
    node *a = c.first, *b = c.second;
    while (a != b) {
        if (a->depth >= b->depth) {
            int64_t space = room(a, false);
            if (space < c.amount) {
                c.amount = space;
                c.leaving = a;
                c.on_first = true;
            }
            a = a->parent;
        } else {
            int64_t space = room(b, true);
            if (space <= c.amount) {
                c.amount = space;
                c.leaving = b;
                c.on_first = false;
            }
            b = b->parent;
        }
    }
    return c;
}

static void push_cycle(arc *entering, const struct cycle *c) {
    entering->flow += entering->state == AT_LOWER ? c->amount : -c->amount;
    node *a = c->first, *b = c->second;
    while (a != b) {
        if (a->depth >= b->depth) {
            push(a, false, c->amount);
            a = a->parent;
        } else {
            push(b, true, c->amount);
            b = b->parent;
        }
    }
}

/* Turns the path from `low` up to the leaving node around and hangs it at `host`. */
static void hang_subtree(node *low, node *host, node *leaving, arc *entering) {
    node *n = low, *parent = host;
    arc *link = entering;
    bool upward = entering->tail == low;
    for (;;) {
        node *old_parent = n->parent;
        arc *old_link = n->basic;
        bool old_upward = n->upward;
        detach(n);
        attach(n, parent);
        n->basic = link;
        n->upward = upward;
        if (n == leaving) return;
        parent = n;
        link = old_link;
        upward = !old_upward;
        n = old_parent;
    }
}

static void pivot(struct network *net, arc *entering) {
    struct cycle c = find_cycle(entering);
    push_cycle(entering, &c);
    net->pivots++;
    net->work += PIVOT_WORK;
    if (!c.leaving) {
        entering->state = entering->state == AT_LOWER ? AT_UPPER : AT_LOWER;
        net->flips++;
        return;
    }
    arc *out = c.leaving->basic;
    out->state = out->flow == 0 ? AT_LOWER : AT_UPPER;
    entering->state = IN_TREE;
    node *low = c.on_first ? c.first : c.second;
    hang_subtree(low, c.on_first ? c.second : c.first, c.leaving, entering);
    refresh_node(low);
    net->work += NODE_WORK * refresh_below(low);
}

static void solve(struct network *net, const struct workload *w) {
    net->basket_count = 0;
    for (arc *entering; (entering = choose_entering(net)) != NULL;) {
        pivot(net, entering);
        if (net->work >= net->work_per_step) {
            net->work -= net->work_per_step;
            workload_step(w);
        }
    }
}

/* ---- proof and result ---- */

static int64_t check_optimal(const struct network *net) {
    int64_t *balance = workload_allocate(net->node_count + 1, sizeof(int64_t));
    int64_t total = 0;
    uint32_t basic = 0;
    for (uint32_t i = 0; i < net->arc_count + net->node_count; i++) {
        const arc *a = &net->arcs[i];
        if (a->flow < 0 || a->flow > a->capacity) workload_fail("a flow is out of bounds");
        if (a->state == AT_LOWER && a->flow != 0) workload_fail("an idle arc has flow");
        if (a->state == AT_UPPER && a->flow != a->capacity) workload_fail("a full arc is not");
        if (i >= net->arc_count && a->flow != 0) workload_fail("goods are left undelivered");
        int64_t reduced = reduced_cost(a);
        if (a->state == IN_TREE ? reduced != 0 : i < net->arc_count && violation_of(a) > 0) {
            workload_fail("an arc is not priced out");
        }
        basic += a->state == IN_TREE;
        balance[a->tail - net->nodes] -= a->flow;
        balance[a->head - net->nodes] += a->flow;
        total += a->flow * a->cost;
    }
    if (basic != net->node_count) workload_fail("the basis is no tree");
    for (uint32_t i = 0; i < net->node_count; i++) {
        if (balance[i] + net->nodes[i].supply != 0) workload_fail("goods got lost");
    }
    free(balance);
    return total;
}

/* Traffic: some roads in a part of the map become slower, others recover. */
static void change_costs(struct network *net, struct random *r) {
    uint32_t extent = net->side * CELL;
    int32_t left = (int32_t)random_below(r, extent), top = (int32_t)random_below(r, extent);
    int32_t reach = (int32_t)extent / 4;
    for (uint32_t i = 0; i < net->arc_count; i++) {
        arc *a = &net->arcs[i];
        int32_t dx = a->tail->x - left, dy = a->tail->y - top;
        if (dx < -reach || dx > reach || dy < -reach || dy > reach) continue;
        if (random_below(r, 3) == 0) a->cost = a->cost * (70 + random_below(r, 70)) / 100 + 1;
    }
    refresh_below(&net->nodes[net->node_count]);
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct network net = {.side = workload_pick(&w, 56, 112, 168)};
    uint32_t rounds = workload_pick(&w, 6, 10, 18);
    net.work_per_step = workload_pick(&w, 250000, 2400000, 18000000);
    struct random r = {UINT64_C(0x5eed0f51391e)};
    build_map(&net, &r);
    build_tree(&net);
    printf("%u towns, %u arcs\n", net.node_count, net.arc_count);
    for (uint32_t round = 0; round <= rounds; round++) {
        if (round > 0) change_costs(&net, &r);
        solve(&net, &w);
        int64_t cost = check_optimal(&net);
        workload_hash(&w, (uint64_t)cost);
        if (round == 0 || round == rounds) {
            printf("round %u: cost %" PRId64 " after %" PRIu64 " pivots\n", round, cost,
                   net.pivots);
        }
    }
    for (uint32_t i = 0; i < net.arc_count; i++) workload_hash(&w, (uint64_t)net.arcs[i].flow);
    workload_hash(&w, net.pivots);
    workload_hash(&w, net.flips);
    free(net.arcs);
    free(net.nodes);
    return workload_end(&w);
}
